"""What a checkpoint is asked: its own weights in its own configuration, with inputs drawn from the specification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from multimodal import auto, hub, specs
from multimodal.checkpoints import folder as folders
from multimodal.checkpoints import names
from multimodal.checkpoints.formats import safetensors_file
from multimodal.checkpoints.plan import make_plan
from multimodal.generation import arguments
from multimodal.generation.config import CONFIG_NAME, SPECIAL_TOKENS, GenerationConfig
from multimodal.parity import draw
from multimodal.parity.cases import BATCH, Case, usual_sizes
from multimodal.parity.gates import Question
from multimodal.parity.run import specification

LONGEST = 16
"""Tokens of a drawn sequence, where the model has as many positions."""
PADDING = 2
PROMPT = 4
"""Tokens that a text is generated behind."""
NOT_DRAWN = ("position_ids", "head_mask")
"""Endings of arguments whose values follow from others, or that switch off a part of what is checked."""


@dataclass
class Subject:
    """A checkpoint, and the values that every backend is asked about."""

    name: str
    case: Case
    stored: dict[str, np.ndarray]
    """{published name: array as it lies in the file} of every tensor of the class that the checkpoint has."""
    inputs: dict[str, np.ndarray]
    seed: int
    inputs_from: str
    settings: dict[str, Any] = field(default_factory=dict)
    """Keywords of a greedy `generate`."""
    notes: list[str] = field(default_factory=list)

    @classmethod
    def load(
        cls, checkpoint: str | Path, inputs: Path | None = None, seed: int = 0, drawn_weights: bool = False
    ) -> Subject:
        """From a folder or a hub's name. Errors: CheckpointError, CheckpointNotFound, ValueError.

        With `drawn_weights` every tensor is random: what a checkpoint's own values cannot show (biases that are still
        zero) shows then.
        """
        source = folders.Checkpoint(hub.find_folder(checkpoint, folders.PATTERNS))
        path, spec, config = source.folder, specification(source.folder), source.config or {}
        sizes, arguments = drawn(spec, auto.AutoConfig.from_dict(config))
        case = Case(path.resolve().name, spec.name, config, arguments, sizes, seed=seed)
        if drawn_weights:
            stored = {
                name: array.astype(np.float32) if array.dtype == np.float64 else array
                for name, array in draw.weights(case.rows(), seed).items()
            }
            notes = ["the weights are drawn, not the checkpoint's own"]
        else:
            stored, notes = _stored(source, case)
        values = case.inputs(seed, padding=PADDING) if inputs is None else _given(inputs, spec)
        origin = f"drawn from the specification, seed {seed}" if inputs is None else inputs.name
        settings = _greedy(path, case)
        return cls(case.name, case, stored, values, seed, origin, settings, notes)

    @property
    def parameters(self) -> int:
        """Number of values in the tensors of the class."""
        return sum(array.size for array in self.stored.values())

    def question(self, gradients: bool) -> Question:
        """What the workers are asked, in float64: the checkpoint's own values, whatever type they are stored in."""
        weights = {
            name: array if array.dtype.kind in "iub" else array.astype(np.float64)
            for name, array in self.stored.items()
        }
        return Question(self.case, weights, self.inputs, self.seed, gradients=gradients, held=False)

    def prompt(self) -> dict[str, np.ndarray]:
        """The inputs of `generate`: the first tokens of a text, or what the decoder of a composite does not get."""
        shapes = {argument.name: argument.shape for argument in self.case.spec.arrays()}
        of_text = {name for name, shape in shapes.items() if not {"length", "total"}.isdisjoint(shape)}
        if "input_ids" in self.inputs:
            kept = {name: array for name, array in self.inputs.items() if name in ("input_ids", *arguments.TEXT)}
            return {name: array[:, :PROMPT] if name in of_text else array for name, array in kept.items()}
        return {name: array for name, array in self.inputs.items() if name not in of_text}


def drawn(spec: specs.Specification, config: Any) -> tuple[dict[str, int], tuple[str, ...]]:
    """(sizes that the configuration leaves open, arguments to draw) for a class.

    Images have the configuration's size, sequences reach the last position or `LONGEST`, anything else is as large as in
    the class's cases. Of arguments that exclude each other the first is drawn; caches and other structures are not.
    """
    dimensions = spec.dimensions(config)
    length = min(dimensions.get("longest", dimensions.get("positions", LONGEST)), LONGEST)
    sizes = usual_sizes(spec.name) | {"length": length, "total": length}
    sizes |= {size: dimensions[dimension] for size, dimension in (*spec.sizes, *spec.most)}
    sizes |= {size: max(sizes[size], 2 * dimensions[dimension]) for size, dimension in spec.least}
    parts = names.present_parts(config, spec)
    without = {name for group in (*spec.exactly_one, *spec.at_least_one) for name in group[1:]}
    known = spec.complete(config, {**sizes, "batch": BATCH})
    chosen = [
        argument.name
        for argument in (a.of(config) for a in spec.arrays())
        if argument.name not in without
        and not argument.name.endswith(NOT_DRAWN)
        and (argument.needs is None or argument.needs[0] in parts)
        and all(isinstance(symbol, int) or symbol in known for symbol in argument.shape)
    ]
    if "encoder_hidden_states" not in chosen and "encoder_attention_mask" in chosen:
        chosen.remove("encoder_attention_mask")
    return sizes, tuple(chosen)


def _stored(source: folders.Checkpoint, case: Case) -> tuple[dict[str, np.ndarray], list[str]]:
    rows = case.rows()
    plan = make_plan(source, names.table(case.configuration()), rows, case.spec.head, case.class_name)
    keys = {row.published: plan.keys[row.name] for row in rows}
    notes = [f"{len(plan.report.fresh)} tensors are not in the checkpoint and were drawn"] if plan.report.fresh else []
    if plan.report.unused:
        notes.append(f"{len(plan.report.unused)} tensors of the checkpoint are not part of {case.class_name}")
    stored = {published: source.read(key) for published, key in keys.items() if key is not None}
    flat = sum(bool(array.size > 1 and np.all(array == array.flat[0])) for array in stored.values())
    if flat:
        notes.append(
            f"tensors whose values are all the same: {flat} of {len(stored)}; what is wrong with them may not show"
        )
    return stored, notes


def _given(file: Path, spec: specs.Specification) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file; ValueError for names that the class does not take."""
    source = safetensors_file.open_file(file)
    for name in source.shapes():
        if name.split(".")[0] not in spec.names():
            raise ValueError(f"{file}: expected arguments of {spec.name} ({', '.join(spec.names())}), got {name!r}")
    return {name: np.array(source.read(name)) for name in source.shapes()}


def _greedy(path: Path, case: Case) -> dict[str, Any]:
    """Settings of a greedy search as long as the decoder's positions allow, with the checkpoint's special tokens."""
    positions = case.spec.dimensions(case.configuration()).get("longest", LONGEST)
    settings: dict[str, Any] = {"num_beams": 1, "max_length": min(positions, LONGEST)}
    if (path / CONFIG_NAME).is_file():
        own = GenerationConfig.from_pretrained(path)
        settings |= {name: getattr(own, name) for name in SPECIAL_TOKENS if getattr(own, name) is not None}
    return settings


def shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """{name: type and shape}, as people read them."""
    return {name: f"{array.dtype} {' × '.join(map(str, array.shape))}" for name, array in arrays.items()}
