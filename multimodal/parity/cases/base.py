"""What a case is, how its inputs are drawn, and what the families' cases share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from multimodal import auto, specs
from multimodal.checkpoints import names
from multimodal.parity import draw

BATCH = 2


@dataclass(frozen=True)
class Case:
    """One class in one configuration, called with some of its arguments."""

    name: str
    class_name: str
    config: dict[str, Any]
    arguments: tuple[str, ...]
    sizes: dict[str, int] = field(default_factory=dict)
    """Symbols of the specification that the configuration leaves open."""
    flags: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """Keywords of the class's constructor."""
    seed: int = 0
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Arguments that come in another form than the first of their specification: {name: fields of `Argument`}."""

    @property
    def spec(self) -> specs.Specification:
        return specs.of(self.class_name)

    def configuration(self) -> Any:
        """A new configuration object."""
        return auto.AutoConfig.from_dict(self.config)

    def rows(self) -> list[names.Row]:
        """The tensors of the class in this configuration."""
        return names.rows(self.configuration(), self.spec, self.parts())

    def parts(self) -> tuple[str, ...]:
        """Parts that the constructor's keywords leave."""
        parts = list(self.spec.parts)
        pools = self.options.get("add_pooling_layer", "pooler" in parts)
        if pools != ("pooler" in parts):
            parts.remove("pooler") if "pooler" in parts else parts.append("pooler")
        if self.options.get("use_mask_token"):
            parts.append("mask_token")
        return tuple(parts)

    def inputs(self, seed: int, scale: float = 1.0, padding: int = 2) -> dict[str, np.ndarray]:
        """Values for `arguments`; the last row has `padding` hidden positions in every mask."""
        config = self.configuration()
        dimensions = self.spec.complete(config, {"batch": BATCH, **self.sizes})
        chosen = [replace(self.spec.argument(n).of(config), **self.forms.get(n, {})) for n in self.arguments]
        return {a.name: value(a, dimensions, seed, scale, padding) for a in chosen}


def value(argument: specs.Argument, dimensions: dict[str, int], seed: int, scale: float, padding: int) -> np.ndarray:
    """One argument's values within its range."""
    shape = tuple(dimensions[s] if isinstance(s, str) else s for s in argument.shape)
    if argument.kind == "mask":
        mask = np.ones(shape, np.int64)
        mask[-1, ..., _hidden(shape, padding)] = 0
        return mask
    if argument.kind == "bool":
        return draw.uniform(seed, argument.name, shape) > 0
    if argument.kind == "int":
        low = max(0, _number(argument.low, dimensions))
        values = draw.integers(seed, argument.name, shape, low, _number(argument.high, dimensions))
        if argument.name.endswith("input_ids") and dimensions.get("padding", -1) >= 0:
            values[-1, ..., _hidden(shape, padding)] = dimensions["padding"]
        ignored = -100 if argument.besides is None else _number(argument.besides, dimensions)
        return _partly_ignored(values, seed, ignored) if ignored != -100 or argument.low == -100 else values
    if argument.name.endswith("head_mask"):
        return (draw.uniform(seed, argument.name, shape) > -0.5).astype(np.float64)
    values = draw.uniform(seed, argument.name, shape)
    return (values + 1) / 2 if argument.kind == "share" or argument.outside else scale * values


def _hidden(shape: tuple[int, ...], padding: int) -> slice:
    """The last `padding` places of a sequence, of which the first one stays."""
    return slice(shape[-1] - min(padding, shape[-1] - 1), None)


def _partly_ignored(labels: np.ndarray, seed: int, ignored: int) -> np.ndarray:
    """Every third label is `ignored`, from a drawn position on."""
    positions = np.arange(labels.size).reshape(labels.shape)
    return np.where((positions + seed) % 3 == 0, ignored, labels)


def _number(symbol: str | int, dimensions: dict[str, int]) -> int:
    return dimensions[symbol] if isinstance(symbol, str) else symbol


RATES = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3}
"""Every kind of dropout has another rate, so that in training two exchanged ones show."""
TEXT = {"length": 7, "total": 7, "context": 5}
IMAGE = {"height": 16, "width": 24}
TOKENS = ("input_ids", "attention_mask")
CONTEXT = ("encoder_hidden_states", "encoder_attention_mask")
