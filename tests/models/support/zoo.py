"""Tiny configurations (of the families' cases), checkpoints with random tensors, inputs drawn from the specifications.

No framework, and nothing of one family: what a tiny model of it has otherwise stands in `multimodal/parity/cases`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from multimodal import registry, specs
from multimodal.checkpoints import names
from multimodal.checkpoints.layout import Kind
from multimodal.parity import cases
from multimodal.parity.run import nest
from multimodal.specs.base import Argument
from multimodal.specs.rules import image_is_whole_patches, images_are_numbers

BACKEND: str | None = None
"""The backend under test: `--backend`."""
BATCH, LENGTH, CONTEXT, OBJECTS, CHOICES = 2, 5, 7, 6, 3
VOCABULARY, POSITIONS, IMAGE, NUM_LABELS = 99, 20, 32, 4
SPECIAL = 2
"""Below it lie start and padding tokens."""
NARROW = {"bfloat16": np.dtype(ml_dtypes.bfloat16), "float16": np.dtype(np.float16)}
CLASSES = tuple(specs.all_specifications())
COMPOSITE = next(name for name in CLASSES if registry.config_class_of(specs.of(name).model_type).halves)


ONE_OF_EACH = ("BertModel", "LxmertModel", "ViTModel", COMPOSITE)
"""A text model, two towers, a vision model, two halves."""


TWINS = ("RobertaModel", "RobertaForCausalLM")
"""Another family's code under names of its own: what all classes are asked they are asked in `make nightly`."""


def seldom(names: Iterable[str], often: Collection[str] = ONE_OF_EACH) -> list:
    """Classes for `parametrize`, of which those that are not in `often` wait for `make nightly`."""
    return [name if name in often else pytest.param(name, marks=pytest.mark.nightly) for name in names]


def _having(*wanted: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Classes, of no composite, that have every one of some parts and arguments, and none of others."""
    has = {name: {*specs.of(name).parts, *specs.of(name).names()} for name in CLASSES if name != COMPOSITE}
    return tuple(name for name, found in has.items() if found.issuperset(wanted) and found.isdisjoint(without))


TEXT_CLASSES = _having("input_ids", "past_key_values")
"""Text models that may be decoders."""
HEADS = tuple(name for name in TEXT_CLASSES if specs.of(name).head)
ENCODERS = _having("cross_attention", without=("past_key_values",))
"""Classes with a head on a text encoder."""
CLASSIFIERS = _having("cross_attention", without=("past_key_values", "lm_head"))
ENCODER = {"is_decoder": False, "add_cross_attention": False}
DECODER = {"is_decoder": True, "add_cross_attention": True}
SIZES = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24, "vocab_size": VOCABULARY,
    "max_position_embeddings": POSITIONS, "image_size": IMAGE, "patch_size": 8,
}  # fmt: skip
"""Of a tiny model, where the architecture has such a thing and its cases do not say otherwise."""
LEARNS_WITHOUT_LABELS = tuple(
    name for name in CLASSES if specs.of(name).loss and any(argument.exact for argument in specs.of(name).arguments)
)
"""Classes whose calls in `inputs` have a loss without labels: of what is hidden."""
LABELS = ("labels", "obj_labels", "matched_label", "ans")
"""Arguments that a loss is made of, in whichever class."""


def config(name: str, decoder: Any = "gpt2", **changes: Any) -> Any:
    """A tiny configuration for one class; text models that may be decoders are, with cross-attention."""
    model_type = specs.of(name).model_type
    if name in ENCODERS:
        changes = {**ENCODER, "num_labels": NUM_LABELS, **changes}
    if name == COMPOSITE:
        halves = {"encoder": half("vit"), "decoder": half(decoder) if isinstance(decoder, str) else decoder}
        tokens = {"decoder_start_token_id": 1, "pad_token_id": 0, "eos_token_id": 2}
        return registry.config_class_of(model_type)(**{**halves, **tokens, **changes})
    return half(model_type, **changes)


def half(model_type: str, **changes: Any) -> Any:
    """A tiny configuration of one architecture, of that of its cases; the widths of ViT and GPT-2 differ."""
    decodes = any(specs.of(name).model_type == model_type for name in TEXT_CLASSES)
    return cases.tiny(model_type, SIZES, **{**(DECODER if decodes else {}), **changes})


def attends(name: str) -> bool:
    """Whether a class has cross-attention whatever its configuration says."""
    return config(name, add_cross_attention=False).attends


def drops(model_type: str) -> dict[str, Any]:
    """Fields that switch every dropout of an architecture on; of a composite those of its halves."""
    if model_type == specs.of(COMPOSITE).model_type:
        return {}
    inside = {side: half(of, **drops(of)) for side, of in cases.halves(model_type).items()}
    return {**dict.fromkeys(cases.rates(model_type), 0.3), **inside}


def resizes(name: str) -> bool:
    """Whether a class has a vocabulary that can get another size."""
    return any(argument.endswith("input_ids") for argument in specs.of(name).names())


def prunes(name: str) -> tuple[str, ...]:
    """The parts of a model whose heads can be pruned: the model itself (""), or halves of it."""
    of = config(name)
    if of.halves:
        return tuple(of.places.get(side, side) for side in of.halves if _has_heads(getattr(of, side)))
    return ("",) if _has_heads(of) else ()


def _has_heads(of: Any) -> bool:
    counts = (getattr(of, name, None) for name in ("num_attention_heads", "num_hidden_layers"))
    return all(isinstance(count, int) for count in counts)


def text(of: Any) -> Any:
    """The configuration that has a vocabulary: a half's, in a composite."""
    return next((getattr(of, side) for side in ("decoder", "text_config") if side in of.halves), of)


def shallow(name: str, **changes: Any) -> Any:
    """A tiny configuration of few layers, with some fields of it, or of every half, changed: compiling gradients is slow."""
    model_type = specs.of(name).model_type
    if name == COMPOSITE:
        encoder, decoder = half("vit", num_hidden_layers=1, **changes), half("gpt2", n_layer=1, **changes)
        return config(name, decoder, encoder=encoder)
    inside = {side: half(of, **_few(of), **changes) for side, of in cases.halves(model_type).items()}
    few = {} if name.endswith("SemanticSegmentation") else _few(model_type)  # its head looks at several layers
    return config(name, **few, **changes, **inside)


def _few(model_type: str) -> dict[str, int]:
    fields = {field.name for field in dataclasses.fields(registry.config_class_of(model_type))}
    return {
        name: 1
        for name in ("num_hidden_layers", "n_layer", "n_layers", "l_layers", "r_layers", "x_layers")
        if name in fields
    }


def changes(name: str) -> Iterator[Callable[[Any], None]]:
    """Every change of architecture that a class knows, as functions of a model."""
    if resizes(name):
        yield lambda model: model.resize_token_embeddings(VOCABULARY + 3)
    for part in prunes(name):
        yield lambda model, part=part: (getattr(model, part) if part else model).prune_heads({-1: [1]})


def tensors(name: str, of: Any, seed: int = 0) -> dict[str, np.ndarray]:
    """Published tensors of a class, random in biases and scales too: with zeros, swapped biases change nothing."""
    rng = np.random.default_rng(seed)
    rows = {row.published: row for row in names.rows(of, specs.of(name))}
    drawn = {
        key: np.asarray(rng.normal(0.0, 0.4, row.published_shape), np.float32) for key, row in sorted(rows.items())
    }
    return {key: _usable(rows[key], value) for key, value in drawn.items()}


def _usable(row: names.Row, value: np.ndarray) -> np.ndarray:
    """Variances and temperatures are positive, and a convolution that sums over more values than a layer has smaller ones."""
    if row.kind in (Kind.RUNNING_VARIANCE, Kind.SCALAR):
        return np.asarray(np.exp(value))
    if row.kind in (Kind.CONV2D, Kind.TRANSPOSED_CONV2D):
        count = np.prod([row.shape[axis] for axis in row.kind.record.summed])
        return value * np.float32(min(1.0, (SIZES["hidden_size"] / count) ** 0.5))
    return value


def write(folder: Path, name: str, of: Any, seed: int = 0, **extra: np.ndarray) -> Path:
    """A checkpoint of one class with random tensors."""
    of.architectures = [name]
    of.save_pretrained(folder)
    save_file({**tensors(name, of, seed), **extra}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def sizes(name: str, of: Any) -> dict[str, int]:
    """Numbers for the symbols of a specification."""
    ours = {"batch": BATCH, "length": LENGTH, "total": LENGTH, "context": CONTEXT, "objects": OBJECTS}
    ours |= {"choices": CHOICES, "height": IMAGE, "width": IMAGE}
    return specs.of(name).complete(of, cases.usual_sizes(name) | ours)


def draw(argument: Argument, bound: dict[str, int], rng: np.random.Generator) -> Any:
    """A valid value of one argument."""
    if argument.inside:
        return nest({a.name: draw(a, bound, rng) for a in argument.inside})[argument.name]
    shape = tuple(bound[s] if isinstance(s, str) else s for s in argument.shape)
    if argument.kind == "share" or argument.outside:
        return rng.uniform(size=shape).astype(np.float32)
    if argument.kind == "float":
        return rng.normal(size=shape).astype(np.float32)
    if argument.kind == "mask":
        return np.ones(shape, np.int32)
    if argument.kind == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    low, high = (bound[v] if isinstance(v, str) else v for v in (argument.low, argument.high))
    low = SPECIAL if argument.name.endswith("input_ids") else max(low, 0)
    return rng.integers(low, high, shape).astype(np.int32)


def others(ids: np.ndarray) -> np.ndarray:
    """Other tokens, none of them special: what is padding changes where the rest stands in some models."""
    return SPECIAL + (ids - SPECIAL + 7) % (VOCABULARY - SPECIAL)


def inputs(name: str, of: Any, seed: int = 1, *more: str, length: int = LENGTH) -> dict[str, Any]:
    """What a call needs (images, ids, for text a context, sound, what hides a part of it), and whatever else is named."""
    rng = np.random.default_rng(seed)
    bound = sizes(name, of) | {"length": length, "total": length}
    wanted = {
        "pixel_values",
        "input_values",
        "input_ids",
        "decoder_input_ids",
        "visual_feats",
        "visual_pos",
        "audio_values",
    }
    wanted |= {"pixel_noise", "audio_noise", *more}
    if of.add_cross_attention:
        wanted.add("encoder_hidden_states")
    if "labels" in more:
        wanted |= {"start_positions", "end_positions"}
    drawn = {a.name: draw(a.of(of), bound, rng) for a in specs.of(name).arguments if a.name in wanted}
    asked = "labels" in more and "return_loss" in specs.of(name).names()
    return drawn | ({"return_loss": True} if asked else {})


def main_field(name: str) -> str:
    """The field that the output of a class is about: the first that is no loss."""
    return next(field.name for field in specs.of(name).fields if field.name != "loss")


def by_row(name: str) -> tuple[str, ...]:
    """Fields of which each row is about one example alone: the main one, or where that compares examples what it compares."""
    rows = [field for field in specs.of(name).fields if field.name != "loss"]
    if {"batch", "images"}.issubset(rows[0].shape):
        return tuple(field.name for field in rows if len({"batch", "images"}.intersection(field.shape)) == 1)
    return (rows[0].name,)


def main(out: Any) -> Any:
    """The value of that field."""
    return next(out[name] for name in out if name != "loss")


class BadCall(NamedTuple):
    """A call that must be refused with a message that has every one of `words` in it."""

    name: str
    what: str
    changes: dict[str, Any]  # on top of `inputs`; None takes an argument away
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


def bad_calls(name: str) -> Iterator[BadCall]:
    """Every kind of bad call that the specification of a class knows of."""
    of, spec, rng = config(name), specs.of(name), np.random.default_rng(2)
    bound = sizes(name, of)
    arguments = [a.of(of) for a in spec.arrays()]
    parts = names.present_parts(of, spec)
    arguments = [a for a in arguments if a.needs is None or a.needs[0] in parts]
    good = {a.name: draw(a, bound, rng) for a in arguments}
    for argument in arguments:
        yield from _with_bad_argument(name, argument, good, bound)
    for choice in spec.exactly_one:
        nothing = dict.fromkeys(choice)
        yield BadCall(name, f"none of {choice}", nothing, (*choice, "expected", "got"))
        if len(choice) > 1:
            yield BadCall(name, f"both of {choice}", {k: good[k] for k in choice}, (*choice, "exactly one", "got both"))
    for choice in spec.at_least_one:
        yield BadCall(name, f"none of {choice}", dict.fromkeys(choice), (*choice, "at least one", "got none"))
    if "pixel_values" in good and (spec.sizes or images_are_numbers in spec.rules):
        yield from _with_bad_image(name, of, rng)
    for group in spec.together:
        alone = {group[0]: good[group[0]], **dict.fromkeys(group[1:])}
        yield BadCall(name, f"only one of {group}", alone, (*group, "all of them or none"))
    if "positions" in bound:
        ids = next(n for n in good if n.endswith("input_ids"))
        long = np.zeros((*good[ids].shape[:-1], POSITIONS + 1), np.int32)
        yield BadCall(name, "too long", {ids: long}, (ids, f"at most {POSITIONS}", f"got {POSITIONS + 1}"))
    if "return_loss" in spec.names():
        third = np.concatenate([good["pixel_values"]] * 2)[: BATCH + 1]
        yield BadCall(
            name, "more images than texts", {"pixel_values": third, "return_loss": True},
            ("input_ids / pixel_values", "as many texts as images", f"got {BATCH} texts and {BATCH + 1} images"),
        )  # fmt: skip


def _with_bad_argument(
    name: str, argument: Argument, good: dict[str, np.ndarray], bound: dict[str, int]
) -> Iterator[BadCall]:
    value = good[argument.name]
    deep, first = (
        value[None],
        next((s for s in ("batch", "images", "heads") if s in argument.shape), argument.shape[-1]),
    )
    yield BadCall(
        name, f"{argument.name} of rank {deep.ndim}", _given(name, argument.name, good, deep),
        (shown(argument.name), "expected shape", first, f"got {deep.shape}"),
    )  # fmt: skip
    if argument.kind not in ("int", "mask"):
        return
    low, high = (bound[v] if isinstance(v, str) else v for v in (argument.low, argument.high))
    low, high = (0, 2) if argument.kind == "mask" else (low, high)
    for wrong in (low - 1,) if argument.beyond else (low - 1, high):
        changed = value.copy()
        changed.flat[-1] = wrong
        expected = f"expected values of at least {low}" if argument.beyond else f"expected values in [{low}, {high})"
        yield BadCall(
            name, f"{argument.name} with {wrong}", _given(name, argument.name, good, changed),
            (shown(argument.name), expected, str(wrong)),
        )  # fmt: skip


def shown(name: str) -> str:
    """How a message names an array: `obj_labels.feat.0` is `obj_labels['feat'][0]`."""
    argument, *path = name.split(".")
    return argument + "".join(f"[{part}]" if part.isdigit() else f"[{part!r}]" for part in path)


def _given(name: str, argument: str, good: dict[str, np.ndarray], value: np.ndarray) -> dict[str, Any]:
    """The changed arguments of a call in which one array is `value`; what stands beside it in a structure is good."""
    beside = {k: v for k, v in good.items() if k.rpartition(".")[0] == argument.rpartition(".")[0] and "." in k}
    group = next((g for g in specs.of(name).together if argument in g), ())
    beside |= {other: good[other] for other in group}
    return _without_rivals(name, argument) | nest(beside | {argument: value})


def _without_rivals(name: str, argument: str) -> dict[str, None]:
    """None for the arguments that may not be there together with this one."""
    rivals = [c for c in specs.of(name).exactly_one if argument in c]
    return dict.fromkeys(other for choice in rivals for other in choice if other != argument)


def _with_bad_image(name: str, of: Any, rng: np.random.Generator) -> Iterator[BadCall]:
    count = specs.of(name).dimensions(of)["channels"]
    channels = rng.normal(size=(BATCH, count + 1, IMAGE, IMAGE)).astype(np.float32)
    yield BadCall(
        name, "another channel count", {"pixel_values": channels},
        ("pixel_values", f"channels={count}", f"got {channels.shape}"),
    )  # fmt: skip
    rules, good = specs.of(name).rules, rng.normal(size=(BATCH, count, IMAGE, IMAGE)).astype(np.float32)
    if images_are_numbers in rules:
        yield BadCall(name, "no image", {"pixel_values": good[:0]}, ("pixel_values", "at least one image", "got none"))
        for value, shown_as in ((np.nan, "nan"), (np.inf, "inf")):
            broken = good.copy()
            broken.flat[-1] = value
            yield BadCall(name, f"{value} among pixels", {"pixel_values": broken}, ("pixel_values", "finite", shown_as))
    if image_is_whole_patches in rules:
        cut = {"pixel_values": good[..., :-3], "interpolate_pos_encoding": True}
        yield BadCall(
            name,
            "a part of a patch",
            cut,
            ("pixel_values", "whole number of patches of 8 x 8", f"got {IMAGE} x {IMAGE - 3}"),
        )
    least = specs.of(name).dimensions(of).get("smallest")
    if least is not None:
        small = rng.normal(size=(BATCH, count, IMAGE, least - 1)).astype(np.float32)
        yield BadCall(
            name, "too small an image", {"pixel_values": small},
            ("pixel_values", f"at least {least} x {least}", f"got {IMAGE} x {least - 1}"),
        )  # fmt: skip
    if not specs.of(name).sizes:
        return
    larger = rng.normal(size=(BATCH, count, IMAGE + 8, IMAGE)).astype(np.float32)
    yield BadCall(
        name, "another size", {"pixel_values": larger},
        ("pixel_values", f"{IMAGE} x {IMAGE}", f"got {IMAGE + 8} x {IMAGE}", "interpolate_pos_encoding"),
    )  # fmt: skip
