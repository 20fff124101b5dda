"""What every configuration shares: published field names, validation, reading and writing `config.json`.

Standard library only, so that `import multimodal` and everything neutral stays light.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import numbers
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from multimodal import hub
from multimodal.configs.files import CONFIG_NAME, OTHER_TYPES, expect_data, naming_file, numbered_labels
from multimodal.configs.heads import settle_pruned_heads
from multimodal.configs.types import expect_types, read_as
from multimodal.files import read_json_object, write_text
from multimodal.publishing import Publishable
from multimodal.suggestions import did_you_mean

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "mish", "relu", "selu", "sigmoid", "silu", "swish", "tanh")

PUBLISHED_EXTRAS: dict[str, Any] = {
    "max_length": 20, "min_length": 0, "do_sample": False, "early_stopping": False, "num_beams": 1, "num_beam_groups": 1,
    "diversity_penalty": 0.0, "temperature": 1.0, "top_k": 50, "top_p": 1.0, "typical_p": 1.0, "repetition_penalty": 1.0,
    "length_penalty": 1.0, "no_repeat_ngram_size": 0, "encoder_no_repeat_ngram_size": 0, "bad_words_ids": None,
    "num_return_sequences": 1, "output_scores": False, "return_dict_in_generate": False, "forced_bos_token_id": None,
    "forced_eos_token_id": None, "remove_invalid_values": False, "exponential_decay_length_penalty": None,
    "suppress_tokens": None, "begin_suppress_tokens": None, "finetuning_task": None, "tokenizer_class": None,
    "prefix": None, "task_specific_params": None, "transformers_version": None, "torchscript": False,
    "use_bfloat16": False, "tf_legacy_loss": False, "tie_encoder_decoder": False, "dtype": None,
}  # fmt: skip
"""{generation setting or bookkeeping that published configurations carry beside the architecture: its published default}.

They are accepted as keywords and kept, though no field of ours; one that was never set reads as its default.
"""

ConfigClass = TypeVar("ConfigClass", bound=type)


@dataclass_transform()
def config_class(cls: ConfigClass) -> ConfigClass:
    """Make `cls` a dataclass of published fields whose constructor is `PretrainedConfig.__init__`."""
    cls = dataclasses.dataclass(init=False, eq=False, repr=False)(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=_default(fields[name]))
        for name in _own_fields(cls)
    ]
    cls.__signature__ = inspect.Signature([*parameters, inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)])
    return cls


@dataclasses.dataclass(init=False, eq=False, repr=False)
class PretrainedConfig(Publishable):
    """Fields and behaviour common to every architecture.

    Instances are mutable and take new attributes. Unknown keys of a `config.json` are kept and written back; an unknown
    keyword in code raises ValueError.
    """

    model_type: ClassVar[str] = ""
    aliases: ClassVar[dict[str, str]] = {}
    """Other published spellings of a field: {alias: field}."""
    halves: ClassVar[dict[str, str]] = {}
    """Of a composite: {field that holds the configuration of a half: Auto class that builds it}."""
    places: ClassVar[dict[str, str]] = {}
    """{such a field: what the model, and the names of its tensors, call that half}, where it is not called alike."""
    stacks: ClassVar[tuple[str, ...]] = ("num_hidden_layers",)
    """Fields that count the layers of a stack."""
    attribute_map: ClassVar[dict[str, str]] = {}
    """`aliases`, by its published name."""
    is_composition: ClassVar[bool] = False
    """Whether it has to be made of the configurations of halves: of any two, which have no defaults."""
    skips_padding: ClassVar[bool] = False
    """Whether positions count from behind `pad_token_id`, and padding takes none."""

    labels_count: ClassVar[int] = 2
    """How many labels there are where nothing says so."""
    numbers_visible: ClassVar[bool] = False
    """Whether what is generated behind padding is numbered as if it stood alone: positions count what the mask shows."""

    _: dataclasses.KW_ONLY
    return_dict: bool = True
    output_hidden_states: bool = False
    output_attentions: bool = False
    torch_dtype: str | None = None
    pruned_heads: dict[int, list[int]] = dataclasses.field(default_factory=dict)
    tie_word_embeddings: bool = True
    chunk_size_feed_forward: int = 0
    is_encoder_decoder: bool = False
    is_decoder: bool = False
    add_cross_attention: bool = False
    cross_attention_hidden_size: int | None = None
    architectures: list[str] | None = None
    id2label: dict[int, str] = dataclasses.field(default_factory=lambda: {0: "LABEL_0", 1: "LABEL_1"})
    label2id: dict[str, int] = dataclasses.field(default_factory=lambda: {"LABEL_0": 0, "LABEL_1": 1})
    problem_type: str | None = None
    bos_token_id: int | None = None
    pad_token_id: int | None = None
    eos_token_id: int | None = None
    sep_token_id: int | None = None
    decoder_start_token_id: int | None = None
    name_or_path: str = ""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.attribute_map = cls.aliases

    def __init__(self, *args: Any, **kwargs: Any):
        fields = {f.name: f for f in dataclasses.fields(self)}
        positional = _own_fields(type(self))
        if len(args) > len(positional):
            raise ValueError(f"{type(self).__name__} takes {len(positional)} positional arguments, got {len(args)}")
        values = {name: _default(f) for name, f in fields.items()}
        values |= dict(zip(positional, args)) | self._known(kwargs, fields)
        num_labels = values.pop("num_labels", None)
        for name, value in values.items():
            setattr(self, name, value)
        if not {"id2label", "label2id"} & kwargs.keys():
            self.num_labels = self.labels_count if num_labels is None else num_labels
        expect_types(self, OTHER_TYPES)
        self._normalise()
        if num_labels is not None and self.num_labels != num_labels:
            raise ValueError(f"num_labels: expected {self.num_labels}, the length of id2label, got {num_labels}")
        self.validate()

    def _known(self, given: dict[str, Any], fields: dict) -> dict[str, Any]:
        """`given` under the names of fields; ValueError for a keyword that means nothing here."""
        self.expect_known(given)
        given = {self.aliases.get(name, name): value for name, value in given.items()}
        if "_name_or_path" in given:
            given["name_or_path"] = given.pop("_name_or_path")
        return given

    def _normalise(self) -> None:
        """JSON knows only string keys and no tuples: bring such values back to what the fields say."""
        if self.id2label is None:
            self.num_labels = self.labels_count
        self.id2label = {int(k): v for k, v in self.id2label.items()}
        if self.label2id is None or len(self.label2id) != len(self.id2label):
            self.label2id = {v: k for k, v in self.id2label.items()}
        settle_pruned_heads(self)

    def validate(self) -> None:
        """Raise ValueError for values no model can be built from."""
        expect(self, "problem_type", (None, "regression", "single_label_classification", "multi_label_classification"))

    # Aliases read and write the field they stand for; what a published configuration always has can be read.
    def __getattr__(self, name: str) -> Any:
        target = type(self).aliases.get(name)
        if target is None:
            if name in PUBLISHED_EXTRAS:
                return PUBLISHED_EXTRAS[name]
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self, target)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, type(self).aliases.get(name, name), value)

    @property
    def decodes(self) -> bool:
        """Whether nothing sees what comes later, so that keys and values can be cached."""
        return self.is_decoder

    @property
    def attends(self) -> bool:
        """Whether a decoder has cross-attention."""
        return self.add_cross_attention or self.is_encoder_decoder

    @property
    def layers_and_heads(self) -> tuple[Any, Any]:
        """(layers, attention heads of each) as `pruned_heads` counts them; None where there is no such field."""
        return getattr(self, "num_hidden_layers", None), getattr(self, "num_attention_heads", None)

    @property
    def use_return_dict(self) -> bool:
        """Whether a call gives an output by its fields' names, and no tuple."""
        return self.return_dict and not self.torchscript

    @property
    def num_labels(self) -> int:
        return len(self.id2label)

    @num_labels.setter
    def num_labels(self, count: int) -> None:
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"num_labels: expected a positive integer, got {count!r}")
        self.id2label = {i: f"LABEL_{i}" for i in range(count)}
        self.label2id = {f"LABEL_{i}": i for i in range(count)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], **overrides: Any) -> Self:
        """The configuration that `values`, the content of a `config.json`, describes; unknown keys are kept.

        Keywords override fields; with `return_unused_kwargs=True` as those of `from_pretrained`.
        """
        if overrides.pop("return_unused_kwargs", False):
            unused = cls._taken_unused(overrides)
            made: Any = (cls.from_dict(values, **overrides), unused)
            return made
        values = copy.deepcopy(values)
        values.pop("model_type", None)
        num_labels = values.pop("num_labels", None)
        if num_labels is not None and not {"num_labels", "id2label"} & overrides.keys():
            if values.get("id2label") is None:
                values["id2label"] = numbered_labels(num_labels)
            values["num_labels"] = num_labels
        if "num_labels" in overrides:
            values = {k: v for k, v in values.items() if k not in ("id2label", "label2id")}
        accepted = cls.accepted_names()
        overrides = cls._resolve(overrides, values)
        config = cls(**{k: v for k, v in values.items() if k in accepted}, **overrides)
        for name, value in values.items():
            if name not in accepted:
                expect_data(cls, name)
                setattr(config, name, value)
        return config

    @classmethod
    def _resolve(cls, overrides: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """`overrides`, after taking what they replace (under any spelling) out of `values`."""
        for name in overrides:
            target = cls.aliases.get(name, name)
            for spelling in [target, *(a for a, t in cls.aliases.items() if t == target)]:
                values.pop(spelling, None)
        return overrides

    @classmethod
    def get_config_dict(cls, name_or_path: str | Path, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """(content of the `config.json` of a folder or hub name, keywords that are no hub options).

        Errors: ValueError naming the file.
        """
        hub_options, rest = hub.split_options(kwargs)
        path = hub.find_file(name_or_path, CONFIG_NAME, **hub_options)
        if path is None:
            raise hub.CheckpointNotFound(f"{name_or_path}: no {CONFIG_NAME} there")
        return read_json_object(Path(path)), rest

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **kwargs: Any) -> Self:
        """Read `config.json` from a folder, or a name under MULTIMODAL_CHECKPOINTS or on the hub.

        Keywords are hub options (`revision`, `cache_dir`, `subfolder`, ...) or override fields. With
        `return_unused_kwargs=True` those that mean nothing here are no error: they are given back, (config, unused).
        """
        gives_back = kwargs.pop("return_unused_kwargs", False)
        values, overrides = cls.get_config_dict(name_or_path, **kwargs)
        unused = cls._taken_unused(overrides) if gives_back else {}
        config = cls.from_file(values, name_or_path, **overrides)
        made: Any = (config, unused) if gives_back else config
        return made

    @classmethod
    def _taken_unused(cls, keywords: dict[str, Any]) -> dict[str, Any]:
        """Those that mean nothing here, which are taken out of `keywords`."""
        return {name: keywords.pop(name) for name in keywords.keys() - cls.accepted_names()}

    @classmethod
    def expect_known(cls, given: Iterable[str]) -> None:
        """ValueError for a keyword that means nothing here."""
        accepted = cls.accepted_names()
        for name in given:
            if name not in accepted:
                raise ValueError(f"{cls.__name__}: unknown argument {name!r}{did_you_mean(name, accepted)}")

    @classmethod
    def accepted_names(cls) -> set[str]:
        """Every keyword that means something to a configuration of this architecture."""
        fields = {field.name for field in dataclasses.fields(cls)}
        return fields | cls.aliases.keys() | PUBLISHED_EXTRAS.keys() | {"num_labels", "_name_or_path"}

    @classmethod
    def from_json_file(cls, path: str | Path) -> Self:
        """Read one file, whatever its name. Errors: ValueError naming the file."""
        return cls.from_file(read_json_object(Path(path)), path)

    @classmethod
    def from_file(cls, values: dict[str, Any] | None, name_or_path: str | Path, **overrides: Any) -> Self:
        """The configuration that `values`, read from the `config.json` of `name_or_path`, holds: our own, or a composite's.

        Errors: CheckpointNotFound where there was no such file, ValueError for one of another architecture.
        """
        if values is None:
            raise hub.CheckpointNotFound(f"{name_or_path}: no {CONFIG_NAME} there")
        found = values.get("model_type", cls.model_type)
        if cls.model_type and found != cls.model_type:
            values = cls._part_of(values, found, name_or_path)
        cls.expect_known(overrides)
        with naming_file(name_or_path, overrides):
            config = cls.from_dict(values, **overrides)
        config.name_or_path = str(name_or_path)
        return config

    @classmethod
    def _part_of(cls, values: dict[str, Any], found: str, name_or_path: Any) -> dict[str, Any]:
        """A composite's `config.json` holds ours inside; any other is a ValueError."""
        inside = [v for v in values.values() if isinstance(v, dict) and v.get("model_type") == cls.model_type]
        if len(inside) == 1:
            return inside[0]
        raise ValueError(f"{name_or_path}: expected model_type {cls.model_type!r} for {cls.__name__}, got {found!r}")

    def to_dict(self) -> dict[str, Any]:
        """The content of `config.json`: every field of the architecture, and the common ones that were changed."""
        common = {f.name: _default(f) for f in dataclasses.fields(PretrainedConfig)}
        labels = numbered_labels(self.labels_count)
        common |= {"id2label": labels, "label2id": {name: i for i, name in labels.items()}}
        values = {}
        for name, value in vars(self).items():
            if name.startswith("_") or name == "name_or_path":
                continue
            if name in common and name not in _own_fields(type(self)) and value == common[name]:
                continue
            values[name] = value.to_dict() if isinstance(value, PretrainedConfig) else copy.deepcopy(value)
        values["model_type"] = self.model_type
        return json.loads(json.dumps(values, default=_plain))

    def to_diff_dict(self) -> dict[str, Any]:
        """As `to_dict()`, under its published name: defaults of other architectures are left out."""
        return self.to_dict()

    def to_json_string(self, use_diff: bool = True) -> str:
        """The text of `config.json`; with `use_diff=False` also every common field and published setting at its default."""
        values = self.to_dict()
        if not use_diff:
            common = [field.name for field in dataclasses.fields(PretrainedConfig) if field.name != "name_or_path"]
            values = {name: getattr(self, name) for name in (*common, *PUBLISHED_EXTRAS)} | values
        return json.dumps(values, indent=2, sort_keys=True, default=_plain) + "\n"

    def to_json_file(self, path: str | Path, use_diff: bool = True) -> None:
        """Write the text into a file of any name."""
        write_text(Path(path), self.to_json_string(use_diff))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` into `folder`, which is made where it does not exist."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_text(Path(folder) / CONFIG_NAME, self.to_json_string())

    def layer_counts(self) -> dict[str, int]:
        """{field of `stacks`: layers that it asks for}; of a field with a number for each stage the most of one."""
        return {name: getattr(self, name) for name in self.stacks}

    def with_layers(self, counts: Mapping[str, int]) -> Self:
        """A copy, which nobody has validated, with other layers: one in each stack, or as many as `counts` says."""
        changed = copy.copy(self)
        for name in self.stacks:
            setattr(changed, name, counts.get(name, 1))
        return changed

    def override(self, **values: Any) -> None:
        """Set fields under any published spelling, and validate; ValueError for a keyword that means nothing here."""
        for name, value in self._known(values, {f.name: f for f in dataclasses.fields(self)}).items():
            setattr(self, name, value)
        expect_types(self, OTHER_TYPES)
        self._normalise()
        self.validate()

    def update_from_string(self, text: str) -> None:
        """Set fields that there are from `name=value,name=value`, each as the type that it has; ValueError for any other."""
        changes = {}
        for part in text.split(","):
            name, equals, value = part.partition("=")
            old = getattr(self, name, None)
            if not equals or not isinstance(old, bool | int | float | str):
                raise ValueError(
                    f"text: expected name=value of fields with a number, a text, true or false, got {part!r}"
                )
            changes[name] = read_as(name, type(old), value)
        self.override(**changes)

    def update(self, values: dict[str, Any]) -> None:
        """Set several attributes at once."""
        for name, value in values.items():
            setattr(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # mutable; modules that must be hashable take `FrozenConfig`

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"


def expect(config: PretrainedConfig, name: str, allowed: tuple) -> None:
    """ValueError unless the field is one of `allowed`."""
    value = getattr(config, name)
    if value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}")


def expect_positive(config: PretrainedConfig, *names: str) -> None:
    """ValueError unless each field is a positive integer."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}: expected a positive integer, got {value!r}")


def expect_padding(config: PretrainedConfig) -> None:
    """ValueError unless `pad_token_id` is None or in the vocabulary: its vector is one of the table's."""
    pad, most = config.pad_token_id, config.vocab_size  # pyright: ignore - a field of every configuration of texts
    if pad is not None and not (isinstance(pad, numbers.Integral) and 0 <= pad < most):
        raise ValueError(f"pad_token_id: expected None or an integer in [0, {most}), below vocab_size, got {pad!r}")


def expect_rate(config: PretrainedConfig, *names: str) -> None:
    """ValueError unless each field is a probability below one."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int | float) or not 0 <= value < 1:
            raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")


def expect_heads(config: PretrainedConfig, width: str, heads: str) -> None:
    """ValueError unless the width divides evenly into heads."""
    if getattr(config, width) % getattr(config, heads):
        raise ValueError(
            f"{width}: expected a multiple of {heads} ({getattr(config, heads)}), got {getattr(config, width)}"
        )


def _default(field: dataclasses.Field) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _own_fields(cls: type) -> list[str]:
    """Fields in the documented order: those that an architecture's own class declares, redeclared ones included."""
    fields = {f.name for f in dataclasses.fields(cls)}
    own = [c for c in reversed(cls.__mro__) if c.__name__ != "PretrainedConfig"]
    return list(dict.fromkeys(name for c in own for name in vars(c).get("__annotations__", {}) if name in fields))


def _plain(value: Any) -> Any:
    """JSON form of what JSON does not know: dtypes and paths."""
    if isinstance(value, tuple | set):
        return list(value)
    return str(getattr(value, "name", value)).removeprefix("torch.")
