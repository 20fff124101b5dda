"""What every model class of every backend does the same way: calls, loading, saving, resizing, pruning.

A backend's `PretrainedModel` adds its framework's base class and a few hooks (see `ModelBase`).
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from multimodal import hub, registry, specs
from multimodal.checkpoints import choice as choices
from multimodal.checkpoints import folder as folders
from multimodal.checkpoints import limits, names
from multimodal.checkpoints.layout import to_backend
from multimodal.checkpoints.names import Row
from multimodal.checkpoints.plan import LoadReport, make_plan
from multimodal.checkpoints.source import FreshSource, MemorySource, Source
from multimodal.configs.base import PretrainedConfig
from multimodal.configs.heads import settle_pruned_heads
from multimodal.dtypes import dtype_name
from multimodal.generation.config import CONFIG_NAME as GENERATION_CONFIG_NAME
from multimodal.generation.config import GenerationConfig
from multimodal.modeling.changes import Changeable
from multimodal.modeling.outputs import ModelOutput
from multimodal.modeling.parts import Parts
from multimodal.modeling.published import PublishedNames, loading_info
from multimodal.modeling.structures import Cache, checked_past_length, past_view
from multimodal.publishing import Publishable
from multimodal.specs import Specification
from multimodal.specs.check import check_names
from multimodal.specs.documentation import CALLS, document

logger = logging.getLogger("multimodal")

NOT_NEEDED = frozenset(["low_cpu_mem_usage", "trust_remote_code", "_fast_init"])
"""Published keywords of `from_pretrained` that are accepted and change nothing: tensors are read one at a time, no code of
a checkpoint runs, and what is loaded is not drawn first."""
OTHER_NAMES = {"last_hidden_state": "x", "pooler_output": "pooled"}
"""{field of an output: what a network calls it} where the two names differ."""


class ModelBase(Changeable, PublishedNames, Parts, Publishable):
    """The neutral half of every public model.

    Hooks: `_build()` makes `self.network` (or the module) for `self.config` without values; `_load(pairs)` takes (our
    name, array in the backend's layout) pairs; `_fetch(names)` gives {our name: array in the backend's layout}, of all
    tensors where none are named; `_ready()` is called once `from_pretrained` is done; `_is_traced(given)` and
    `_extent(value)` say what a call's arguments are; `Changeable`, `PublishedNames` and `Parts` have their own.
    """

    backend: ClassVar[str]
    spec: ClassVar[Specification]
    config_class: ClassVar[type]
    framework: ClassVar[str]
    main_input_name: ClassVar[str]
    config: Any
    generation_config: GenerationConfig
    parts: tuple[str, ...]
    load_report: LoadReport
    validate: bool = True
    """Whether the values of arguments are checked in every call; shapes and values are never checked in a trace."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "spec" in vars(cls):
            cls.config_class = registry.config_class_of(cls.spec.model_type)
            cls.framework, cls.main_input_name = cls.backend, cls.spec.arguments[0].name
            document(cls)
            _annotate(cls)

    def _prepare(self, config: PretrainedConfig, parts: tuple[str, ...] | None = None) -> None:
        """Set what does not depend on the framework."""
        expected = registry.config_class_of(self.spec.model_type)
        if not isinstance(config, expected):
            raise ValueError(f"config: expected a {expected.__name__}, got {type(config).__name__}")
        settle_pruned_heads(config)  # it may have been set since the configuration was made
        if self.spec.fits is not None:
            self.spec.fits(config)
        self.config = config
        self.generation_config = GenerationConfig.from_model_config_values(config)
        self.parts = names.present_parts(config, self.spec, parts)
        self.load_report = LoadReport()

    def rows(self) -> list[Row]:
        """The tensors of this model."""
        return names.table(self.config).rows(self.parts, self.spec.head)

    # Fresh and loaded values

    def _fresh(self, rows: list[Row], seed: int = 0) -> FreshSource:
        return FreshSource(rows, seed, self.config.initializer_range)

    def _initialise(self, seed: int, skip: tuple[str, ...] = ()) -> None:
        """Draw every tensor whose name does not start with one of `skip`."""
        rows = [row for row in self.rows() if not row.name.startswith(skip or ("\0",))]
        source = self._fresh(rows, seed)
        self._load(self._laid_out((row, source, row.published) for row in rows))

    def _laid_out(self, reads: Iterable[tuple[Row, Source, str]]) -> Iterator[tuple[str, np.ndarray]]:
        """(our name, array in the backend's layout), reading each published tensor once."""
        last, array = None, None
        for row, source, key in sorted(reads, key=lambda read: (read[2], read[0].name)):
            if last != (id(source), key):
                last, array = (id(source), key), source.read(key)
            yield row.name, to_backend(row.unpack(array), row.kind, self.backend)

    def load_source(self, source: Source, ignore_mismatched_sizes: bool = False) -> None:
        """Load every tensor from a checkpoint; CheckpointError with one table of everything that does not fit."""
        table, rows = names.table(self.config), self.rows()
        plan = make_plan(
            source, table, rows, self.spec.head, type(self).__name__, ignore_mismatched=ignore_mismatched_sizes
        )
        fresh = self._fresh(rows)
        reads = [
            (row, source, plan.keys[row.name]) if plan.keys[row.name] else (row, fresh, row.published) for row in rows
        ]
        self._load(self._laid_out(reads))
        self.load_report = plan.report
        if plan.report.lines():
            logger.warning("%s loaded with differences:\n%s", type(self).__name__, plan.report)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | None,
        *model_args: Any,
        config: PretrainedConfig | str | Path | None = None,
        dtype: Any = None,
        state_dict: Mapping[str, Any] | None = None,
        ignore_mismatched_sizes: bool = False,
        output_loading_info: bool = False,
        attn_implementation: str | None = None,
        device_map: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Load a checkpoint from a folder, a name under MULTIMODAL_CHECKPOINTS, or the hub.

        `dtype` (also `torch_dtype`): float32 where it is not given (Keras: its global policy), "auto" for what the file
        holds. `state_dict`: tensors by their published names, or by the model's own, in the place of the checkpoint's,
        which may be None where `config` is given.
        `ignore_mismatched_sizes`: what has another shape in the checkpoint is drawn fresh. `output_loading_info`: give
        (model, what was missing, unexpected or of another shape). `attn_implementation` ("eager", "sdpa") and `device_map`
        (one device) as the framework has them. `from_pt`, `from_tf`, `from_flax`, `use_safetensors`: which file is read where
        there are several (`checkpoints.choice`). Other keywords are hub options, arguments of the class, or override fields
        of the configuration. What was drawn fresh or not used stands in `load_report`.
        Errors: CheckpointError, ValueError naming what was expected.
        """
        hub_options, kwargs = hub.split_options(kwargs)
        choice, kwargs = choices.split({k: v for k, v in kwargs.items() if k not in NOT_NEEDED})
        files = choices.files_in_order(**choice)
        dtype = kwargs.pop("torch_dtype", None) if dtype is None else dtype
        options = {k: kwargs.pop(k) for k in list(kwargs) if k in _own_options(cls)}
        checkpoint = None
        if name_or_path is not None:
            checkpoint = folders.find(name_or_path, files, **hub_options)
        elif config is None or state_dict is None:
            raise ValueError("from_pretrained: expected a checkpoint, or None with config= and state_dict=, got None")
        config = cls._config_for(checkpoint, config, kwargs)
        source = (
            checkpoint.tensors
            if state_dict is None
            else MemorySource({name: cls._numpy(tensor) for name, tensor in state_dict.items()})
        )
        limits.check(config, source.shapes(), "state_dict" if checkpoint is None else checkpoint.folder)
        if dtype == "auto":
            dtype = _dtype_of(source)
        model = cls(config, *model_args, dtype=dtype, _do_init=False, **options)
        if state_dict is not None and state_dict.keys() == model.published_names().keys():
            source = MemorySource(model.published_tensors(model._shown_arrays(state_dict)))
        model.load_source(source, ignore_mismatched_sizes)
        if checkpoint is not None:
            if (checkpoint.folder / GENERATION_CONFIG_NAME).is_file():
                model.generation_config = GenerationConfig.from_pretrained(checkpoint.folder)
                model._compare_settings(checkpoint.config or {})
            config.name_or_path = str(name_or_path)
        model._run_as(attn_implementation, device_map)
        model._ready()
        made: Any = (model, loading_info(model.load_report)) if output_loading_info else model
        return made

    def _compare_settings(self, values: Mapping[str, Any]) -> None:
        """Report special tokens of which the content of `config.json` says something else than `generation_config`."""
        found = self.load_report.settings = self.generation_config.unlike(values)
        if found:
            shown = "\n".join(f"{name:<30} {what}" for name, what in found.items())
            logger.warning("%s: special tokens that two files say otherwise:\n%s", type(self).__name__, shown)

    def _run_as(self, attn_implementation: str | None, device_map: Any) -> None:
        """Heed two keywords of `from_pretrained`. ValueError for what the framework does not have."""
        if attn_implementation not in (None, "eager"):
            raise ValueError(
                f"attn_implementation: expected 'eager' (only PyTorch has a fused kernel), got {attn_implementation!r}"
            )
        if device_map is not None:
            raise ValueError(
                f"device_map: expected None (the framework itself places a model's tensors), got {device_map!r}"
            )

    @classmethod
    def _config_for(
        cls, checkpoint: folders.Checkpoint | None, config: Any, overrides: dict[str, Any]
    ) -> PretrainedConfig:
        expected = registry.config_class_of(cls.spec.model_type)
        if config is None:
            return expected.from_file(checkpoint.config, checkpoint.folder, **overrides)
        if isinstance(config, str | Path):
            return expected.from_pretrained(config, **overrides)
        config.override(**overrides)
        return config

    def save_pretrained(
        self,
        folder: str | Path,
        params: Mapping[str, Any] | None = None,
        *,
        max_shard_size: int | str = "5GB",
        safe_serialization: bool = True,
        state_dict: Mapping[str, Any] | None = None,
    ) -> None:
        """Write `config.json`, what is generated with, and the tensors in the published names and layout.

        The same weights give the same bytes from every backend. `safe_serialization=False` writes `pytorch_model.bin` in
        the place of `model.safetensors`. `state_dict`: tensors by the names that the framework shows, in the place of the
        model's own; in Flax also `params` (`save_pretrained(folder, state.params)`).
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"save_pretrained: expected a folder, got the file {folder}")
        if params is not None:
            state_dict = self._shown_params(params)
        tensors = self.published_tensors(None if state_dict is None else self._shown_arrays(state_dict))
        config = copy.deepcopy(self.config)
        config.architectures = [self.spec.name]
        config.torch_dtype = next(tensors[row.published].dtype.name for row in self.rows() if not row.kind.is_state)
        config.save_pretrained(folder)
        if registry.is_generative(self.spec.name):
            self.generation_config.save_pretrained(folder)
        folders.write_folder(folder, tensors, max_shard_size, "safetensors" if safe_serialization else "pt-bin")

    # What every call does before and after its network

    def _is_traced(self, given: dict[str, Any]) -> bool:
        """Whether the call is being traced into a program: its arguments have no values then and are not checked."""
        raise NotImplementedError

    def _extent(self, value: Any) -> tuple[float, float] | None:
        """(smallest, largest) value of an array; None where it has none yet."""
        raise NotImplementedError

    def _expect_arrays(self, given: dict[str, Any]) -> None:
        """Raise ValueError for arrays that the framework does not take."""

    def _check(self, given: dict[str, Any], past: Any = None, interpolate: bool | None = False) -> None:
        """Raise ValueError for arguments that do not fit; nothing is checked inside a trace."""
        if self.validate and not self._is_traced(given):
            check_names(self.spec, given, self.backend)
            self._expect_arrays(given)
            before = 0 if past is None else checked_past_length(past, self.cached_layers())
            specs.check(
                self.spec, self.config, given, self._extent,
                parts=self.parts, past_length=before, interpolate=bool(interpolate),
            )  # fmt: skip

    def cached_layers(self) -> list[tuple[int, int, bool]]:
        """(heads, head size, whether it attends to a context) of every layer of a decoder, as its network has them."""
        raise NotImplementedError

    def _check_given(self, given: dict[str, Any], prefix: str) -> None:
        """Check some arguments alone, named with a prefix: those that a composite routed here."""
        if self.validate and not self._is_traced(given):
            self._expect_arrays({prefix + name: value for name, value in given.items()})
            spec = dataclasses.replace(self.spec, exactly_one=(), at_least_one=(), sizes=())
            specs.check(spec, self.config, given, self._extent, parts=self.parts, interpolate=True, prefix=prefix)

    def _options(
        self, output_attentions: bool | None, output_hidden_states: bool | None, **mode: bool
    ) -> dict[str, bool]:
        """What the network is asked for: arguments, else the configuration; `mode` is `training` or `train`."""
        config = self.config
        return {
            "weights": config.output_attentions if output_attentions is None else output_attentions,
            "states": config.output_hidden_states if output_hidden_states is None else output_hidden_states,
            **mode,
        }

    def _output(self, return_dict: bool | None, network_output: Any, **own: Any) -> Any:
        """The output of the class, or the tuple of its values; (that, new state) where there is a new state.

        Fields that the network's output has under the same name fill themselves; `own` are all others.
        """
        out = filled(self.spec.output, network_output, **own)
        out = out if (self.config.use_return_dict if return_dict is None else return_dict) else out.to_tuple()
        state = getattr(network_output, "state", None)
        return out if state is None else (out, state)

    def _past(self, cache: Cache | None, use_cache: bool | None, training: bool = False) -> tuple | None:
        """`past_key_values`, where they are wanted and mean something: not where tokens see what comes later, and not in
        `training` that computes its blocks anew."""
        usual = getattr(self.config, "use_cache", True)
        wanted = self.config.decodes and (usual if use_cache is None else use_cache)
        return past_view(cache) if wanted and not (training and self.is_gradient_checkpointing) else None

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether the blocks are computed anew in the backward pass."""
        raise NotImplementedError

    @classmethod
    def can_generate(cls) -> bool:
        """Whether the class has `generate`."""
        return hasattr(cls, "generate")


def filled(output_class: type[ModelOutput], network_output: Any, **own: Any) -> ModelOutput:
    """An output whose fields are what a network gives under the same name, and `own`."""
    found = network_output._asdict()
    fields = {name: found.get(OTHER_NAMES.get(name, name)) for name in output_class.fields}
    return output_class(**{**fields, **own})


def _annotate(cls: Any) -> None:
    """Let the call of a class say that it returns the output of the class, where several classes share the call."""
    call = vars(cls).get(CALLS[cls.backend])
    if call is not None and "return" in call.__annotations__:
        call.__annotations__ = {**call.__annotations__, "return": f"{cls.spec.output.__name__} | Values"}


def _own_options(cls: type) -> set[str]:
    """Keywords of the class's own constructor, and of those that it hands others on to."""
    own = [c for c in cls.__mro__ if issubclass(c, ModelBase) and "__init__" in vars(c)]
    names = {name for c in own for name in inspect.signature(c.__init__).parameters}
    return names - {"self", "config", "dtype", "parts", "kwargs", "options", "_do_init", "_network"}


def _dtype_of(source: Source) -> str:
    """The floating type that most of a checkpoint's first tensors have."""
    dtypes = [source.dtype(name) for name in source.shapes()]
    floating = [dtype.name for dtype in dtypes if dtype.kind not in "iub"][:8]
    return dtype_name(max(floating, key=floating.count))
