"""What every public class of this backend adds to the neutral base: a torch module around a network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree

from multimodal.checkpoints import names
from multimodal.checkpoints.plan import make_plan
from multimodal.checkpoints.source import CheckpointError, MemorySource
from multimodal.configs.base import PretrainedConfig
from multimodal.dtypes import dtype_name
from multimodal.modeling import outputs
from multimodal.modeling.base import ModelBase
from multimodal.modeling.parts import expect_shape, looked_up
from multimodal.modeling.published import is_published
from multimodal.modeling.structures import Cache, KeyValue, LayerCache, past_length
from multimodal.pt import weights
from multimodal.pt.annotations import Call, Given, Output
from multimodal.pt.layers.attention import Attention
from multimodal.pt.layers.encoder import Stack

for _cls in outputs.output_classes():
    _pytree.register_pytree_node(
        _cls,
        lambda out: (list(out.everything().values()), list(out.everything())),
        lambda values, keys, cls=_cls: cls(zip(keys, values)),
        serialized_type_name=f"multimodal.modeling.outputs.{_cls.__name__}",
    )


class PretrainedModel(ModelBase, nn.Module):
    """A public model: a network, its configuration, and loading and saving."""

    backend = "pt"
    network: nn.Module

    def __init__(
        self,
        config: PretrainedConfig,
        *,
        parts: tuple[str, ...] | None = None,
        seed: int = 0,
        dtype: Any = None,
        _do_init: bool = True,
        _network: nn.Module | None = None,
    ):
        """A fresh model in training mode. `dtype` is the type of the parameters, float32 where it is not given."""
        nn.Module.__init__(self)
        self._prepare(config, parts)
        self.parameter_dtype = getattr(torch, dtype_name(dtype or "float32"))
        self.network = self._build_empty() if _network is None else _network
        if _do_init:
            self._initialise(seed)

    # The hooks of the neutral base

    def _build(self) -> nn.Module:
        """The network for `self.config` and `self.parts`."""
        raise NotImplementedError

    def _build_empty(self) -> nn.Module:
        with weights.WithoutStorage():
            return self._build()

    def _load(self, pairs: Iterable[tuple[str, np.ndarray]]) -> None:
        weights.load(self.network, pairs, self.parameter_dtype)

    def _fetch(self, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
        return weights.fetch(self.network, names)

    def _ready(self) -> None:
        self.eval()

    def _sizes(self) -> dict[tuple[str, str], Any]:
        return weights.sizes(self._build_empty())

    def _reshape(self, arrays: Mapping[str, np.ndarray], sizes: Mapping[tuple[str, str], Any]) -> None:
        for (name, attribute), size in sizes.items():
            setattr(self.network.get_submodule(name), attribute, size)
        weights.load(self.network, arrays.items())

    def _shown(self, name: str) -> str:
        return f"network.{name}"

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return weights.from_numpy(array)

    @staticmethod
    def _numpy(tensor: Any) -> np.ndarray:
        return weights.to_numpy(tensor) if isinstance(tensor, torch.Tensor) else np.asarray(tensor)

    def _run_as(self, attn_implementation: str | None, device_map: Any) -> None:
        if attn_implementation not in (None, "eager", "sdpa"):
            raise ValueError(f"attn_implementation: expected 'eager' or 'sdpa', got {attn_implementation!r}")
        for module in self.modules():
            if isinstance(module, Attention):
                module.is_fused = attn_implementation != "eager"
        device = _one_device(device_map)
        if device is not None:
            self.to(device)

    def _layer(self, name: str) -> nn.Module:
        return self.network.get_submodule(name)

    def _put(self, name: str, value: nn.Module) -> None:
        path, _, leaf = name.rpartition(".")
        expect_shape("value.weight", value.weight.shape, self._layer(name).weight.shape)
        if getattr(value, "bias", None) is not None and self._layer(name).bias is None:
            raise ValueError("value: expected a layer without a bias, as the one in its place is, got one with a bias")
        setattr(self.network.get_submodule(path), leaf, value)

    def _scorer(self, matrix: str, bias: str | None) -> nn.Module:
        tensors = self.named_tensors()
        if bias is None and isinstance(layer := self._layer(matrix.removesuffix(".weight")), nn.Linear):
            return layer
        linear = nn.Linear(*tensors[matrix].shape[::-1], bias=bias is not None, device="meta")
        linear.weight = tensors[matrix]
        linear.bias = None if bias is None else tensors[bias]
        return linear

    def _part(self, model_class: type, config: Any, place: str) -> Any:
        network = getattr(self.network, place)
        part = model_class(config, dtype=self.parameter_dtype, _do_init=False, _network=network)
        part.training = network.training  # of modules inside that are in another mode, nothing changes
        return part

    def _base_network(self) -> Any:
        return getattr(self.network, self.spec.head) if self.spec.head else self.network

    def cached_layers(self) -> list[tuple[int, int, bool]]:
        blocks = self._base_network().transformer.blocks
        return [(b.attention.num_heads, b.attention.head_size, b.cross_attention is not None) for b in blocks]

    def _is_trained(self, tensor: torch.Tensor) -> bool:
        return tensor.requires_grad

    def _nbytes(self, tensor: torch.Tensor) -> int:
        return tensor.nbytes

    # What torch users expect

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As torch's, by the model's own names or by published ones (`torch.load("pytorch_model.bin")`).

        Of published names every one is accounted for as in `from_pretrained`: CheckpointError for what does not fit. With
        `strict=False` what is missing, or has another shape, stays as it is. Values are copied into the tensors there are.
        """
        own = self.state_dict(keep_vars=True)
        if not is_published(state_dict, own):
            return super().load_state_dict(state_dict, strict=strict, assign=assign)
        if assign:
            raise ValueError(
                "assign: expected False for published names, whose layout is not the model's own, got True"
            )
        rows = self.rows()
        source = MemorySource({name: self._numpy(tensor) for name, tensor in state_dict.items()})
        plan = make_plan(
            source, names.table(self.config), rows, self.spec.head, type(self).__name__,
            ignore_mismatched=not strict, ignore_missing=not strict,
        )  # fmt: skip
        missing = [*plan.report.fresh, *plan.report.mismatched]
        if strict and missing:
            raise CheckpointError(f"the state dict does not fit {type(self).__name__}: it lacks {', '.join(missing)}")
        reads = [(row, source, key) for row in rows if (key := plan.keys[row.name]) is not None]
        with torch.no_grad():
            for name, array in self._laid_out(reads):
                own[self._shown(name)].copy_(weights.from_numpy(array))
        return torch.nn.modules.module._IncompatibleKeys(missing, list(plan.report.unused))

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    def named_tensors(self) -> dict[str, torch.Tensor]:
        """{our name: parameter, or buffer that is saved}."""
        return weights.named_tensors(self.network)

    def get_input_embeddings(self) -> Any:
        """The token embeddings, or the patch embeddings of a vision model."""
        embeddings = self._embeddings()
        return getattr(embeddings, looked_up(embeddings))

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Put another module in the place of the embeddings."""
        embeddings = self._embeddings()
        setattr(embeddings, looked_up(embeddings), value)

    def _embeddings(self) -> Any:
        return self._base_network().embeddings

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict | None = None) -> None:
        """Compute the blocks anew in the backward pass instead of keeping what is inside them.

        ValueError for options of `torch.utils.checkpoint` other than `use_reentrant=False`, which is how it is done.
        """
        if gradient_checkpointing_kwargs not in (None, {}, {"use_reentrant": False}):
            raise ValueError(
                "gradient_checkpointing_kwargs: expected None or {'use_reentrant': False}, "
                f"got {gradient_checkpointing_kwargs!r}"
            )
        self._set_recompute(True)

    def gradient_checkpointing_disable(self) -> None:
        """Keep what is inside the blocks for the backward pass."""
        self._set_recompute(False)

    @property
    def is_gradient_checkpointing(self) -> bool:
        return any(m.recompute for m in self.modules() if isinstance(m, Stack))

    def _set_recompute(self, value: bool) -> None:
        for module in self.modules():
            if isinstance(module, Stack):
                module.recompute = value

    # For the calls

    if TYPE_CHECKING:

        def __call__(self: Call[Given, Output], *args: Given.args, **kwargs: Given.kwargs) -> Output:
            """Hooks, and then `forward`."""
            ...

    def __getattr__(self, name: str) -> Any:
        """What torch has of that name; where a property said why there is none, its own words."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            found = getattr(type(self), name, None)
            if isinstance(found, property):
                return found.__get__(self)
            raise

    def _is_traced(self, given: dict[str, Any]) -> bool:
        return torch.compiler.is_compiling() or _is_recorded()

    def _output(self, return_dict: bool | None, network_output: Any, **own: Any) -> Any:
        wanted = self.config.use_return_dict if return_dict is None else return_dict
        if wanted and _is_recorded():
            raise ValueError(
                "return_dict: inside of torch.jit.trace expected False (or config.return_dict=False), for it takes plain tuples "
                "alone, got True"
            )
        return super()._output(return_dict, network_output, **own)

    def _extent(self, value: Any) -> tuple[float, float]:
        return (value.min().item(), value.max().item()) if value.numel() else (0, 0)

    def _expect_arrays(self, given: dict[str, Any]) -> None:
        """Raise ValueError for arrays that the other backends take and torch does not."""
        for name, value in given.items():
            if isinstance(value, Mapping):
                self._expect_arrays({f"{name}[{k!r}][{i}]": v for k, item in value.items() for i, v in _items(item)})
            elif isinstance(value, np.ndarray):
                raise ValueError(
                    f"{name}: expected a torch.Tensor, got a NumPy array (torch.from_numpy makes one of it)"
                )


PreTrainedModel = PretrainedModel  # the published spelling


def grow(past_key_values: Any, config: Any, input_ids: Any, inputs_embeds: Any) -> Cache | None:
    """A cache with the positions of `past_key_values` and room for those that are given now."""
    if past_key_values is None:
        return None
    length = (input_ids if inputs_embeds is None else inputs_embeds).shape[1]
    grown = []
    for key, value, *crossed in past_key_values:
        own = KeyValue(*(nn.functional.pad(tensor, (0, 0, 0, length)) for tensor in (key, value)))
        grown.append(LayerCache(own, KeyValue(*crossed) if crossed else None))
    return Cache(tuple(grown), past_length(past_key_values))


def _is_recorded() -> bool:
    """Whether `torch.jit.trace` is at work."""
    return not torch.compiler.is_compiling() and torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def _items(value: Any) -> Iterable[tuple[int, Any]]:
    return enumerate(value) if isinstance(value, tuple | list) else ()


def _one_device(device_map: Any) -> torch.device | None:
    """The device that a published `device_map` names; ValueError for one of several devices."""
    if isinstance(device_map, Mapping):
        placed = {str(device) for device in device_map.values()}
        if len(placed) != 1:
            raise ValueError(f"device_map: expected one device for the whole model, got {sorted(placed)}")
        device_map = next(iter(device_map.values()))
    if device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        device_map = "cuda:0" if torch.cuda.is_available() else "cpu"
    if device_map is None:
        return None
    try:
        return torch.device(device_map)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device_map: expected a device ('cpu', 'cuda:0', ...), got {device_map!r}") from error
