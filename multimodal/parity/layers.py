"""The layers of a class in the order in which the network computes them, from its specification."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable
from dataclasses import dataclass

from multimodal.checkpoints.names import Row
from multimodal.specs import Specification

_PER_BLOCK = re.compile(r"out\.(?P<tower>.*?)(?P<kind>cross_attentions|attentions|past_key_values)\.(?P<index>\d+).*")
_OF_THE_LAST_TOWER = ("cross_attentions", "past_key_values")
_STATE = re.compile(r"out\.(?P<tower>.*?)hidden_states\.(?P<index>\d+)")


@dataclass(frozen=True)
class Layer:
    """One place of the network where what it computes can be seen."""

    tensor: str
    """The output that shows it: `out.encoder_hidden_states.1`."""
    tower: str
    """`encoder`, `decoder`, ..., or empty where there is only one."""
    label: str
    """What people call it: `encoder block 1`."""
    tick: str
    """The same within its tower, short."""
    block: int | None = None
    """Index of the block (from 0) whose output it is."""


def in_order(spec: Specification, outputs: Iterable[str]) -> list[Layer]:
    """The layers that `outputs` show: embeddings, blocks and output of each tower, encoders first, then the class's own."""
    known = set(outputs)
    fields = {field.name: field for field in spec.leaves()}
    found: list[Layer] = []
    for tower in spec.towers:
        states = fields.get(f"{tower}hidden_states")
        if states is not None:
            found += _tower(tower, known, begins=0 if states.begins_with_input else 1)
    taken = {layer.tensor for layer in found}
    rest = [name for name in fields if f"out.{name}" in known - taken]
    rest.sort(key=lambda name: name == "loss")
    return found + [Layer(f"out.{name}", "", _words(name), name.split("_")[0]) for name in rest]


def _tower(prefix: str, known: set[str], begins: int) -> list[Layer]:
    """`begins`: how many layers the first state is behind; 0 where that is the embeddings."""
    name = _tower_name(prefix)
    start = f"{name} " if name else ""
    count = 0
    found = []
    while f"out.{prefix}hidden_states.{count}" in known:
        layer = count + begins
        label, tick = (f"block {layer}", str(layer)) if layer else ("embeddings", "emb")
        block = layer - 1 if layer else None
        found.append(Layer(f"out.{prefix}hidden_states.{count}", name, start + label, tick, block))
        count += 1
    if f"out.{prefix}last_hidden_state" in known:
        found.append(Layer(f"out.{prefix}last_hidden_state", name, f"{start}output", "out"))
    return found


def _tower_name(prefix: str) -> str:
    """What people call a tower whose states' names begin so: `encoder_`, `text_model_output.`."""
    return _words(prefix.strip("_.").removesuffix("_output"))


def _words(name: str) -> str:
    return name.replace("_", " ").replace(".", " ")


def shown_by(layers: list[Layer], tensor: str) -> Layer | None:
    """The layer that an output belongs to: its own, or the block whose attention weights or keys and values it holds."""
    for layer in layers:
        if layer.tensor == tensor:
            return layer
    match = _PER_BLOCK.fullmatch(tensor)
    if match is None:
        return None
    tower = _tower_name(match["tower"])
    if match["kind"] in _OF_THE_LAST_TOWER:
        tower = [layer.tower for layer in layers if layer.block is not None][-1:]
        tower = tower[0] if tower else ""
    return next((layer for layer in layers if layer.block == int(match["index"]) and layer.tower == tower), None)


def first_over(layers: list[Layer], over: Iterable[str]) -> Layer | None:
    """The first layer of which something is over its budget: those before it are within theirs, so its input is right."""
    wrong = {shown_by(layers, tensor) for tensor in over}
    return next((layer for layer in layers if layer in wrong), None)


def published_prefix(layer: Layer, rows: list[Row]) -> str:
    """What the published names of a block's tensors start with (`decoder.transformer.h.1`), empty for another layer."""
    if layer.block is None:
        return ""
    return _common(row.published for row in rows if _is_in(row, layer))


def _is_in(row: Row, layer: Layer) -> bool:
    """Whether a tensor is one of the layer's block."""
    if row.block is None:
        return False
    stack, index = row.block
    return index == layer.block and (not layer.tower or layer.tower in map(_words, stack.split(".")))


def _common(published: Iterable[str]) -> str:
    paths = [name.replace(".", "/") for name in published]
    return os.path.commonpath(paths).replace("/", ".") if paths else ""


def describe_block(name: str, rows: list[Row]) -> str:
    """What people call a block of our name, and its published name: `decoder block 2 (decoder.transformer.h.1)`."""
    *path, _, index = name.split(".")
    tower = [_words(part) for part in path if part not in ("model", "transformer")]
    prefix = _common(row.published for row in rows if row.name.startswith(f"{name}."))
    return " ".join([*tower, f"block {int(index) + 1}", *([f"({prefix})"] if prefix else [])])


def is_embeddings(layer: Layer) -> bool:
    """Whether a layer is the state before the first block of its tower."""
    return layer.block is None and _STATE.fullmatch(layer.tensor) is not None
