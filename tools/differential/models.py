"""Calls of every model class that both libraries have: forward, loss, cache, errors, loading, changes, generation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from differential import sound
from differential.composites import CROSS, call_codes, halves_missing, halves_of, is_of_any, of_any
from differential.generation import generation_codes
from differential.job import Job
from differential.loading import loading_codes
from safetensors.numpy import save_file

from multimodal import registry, specs
from multimodal.checkpoints import names
from multimodal.checkpoints.convert import convert
from multimodal.parity import cases, draw
from multimodal.specs.base import Argument, Specification

SIZES = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24, "vocab_size": 99,
    "max_position_embeddings": 20, "image_size": 32, "patch_size": 8,
}  # fmt: skip
CALL = {"batch": 2, "length": 6, "total": 6, "context": 5, "objects": 4, "choices": 3, "height": 32, "width": 32}
ELSEWHERE = {"tvlt": {"image_patch_size": [4, 4]}, "swin": {"window_size": 2}}
"""Fields without which the reference's models cannot be made or called: it takes patches of frames for squares, and no map
that is smaller than a window."""
SEED = 7
DECODER = {"is_decoder": True, "add_cross_attention": False}
ENCODERS = ("distilbert",)
"""Architectures that the reference has as encoders alone: nothing there tells what our decoders say."""
FORMATS = {"tf": "tf-h5", "flax": "flax-msgpack"}
"""Each framework's own file, so that neither library has to translate."""
NEEDED = (
    "pixel_values",
    "audio_values",
    "input_values",
    "input_ids",
    "decoder_input_ids",
    "visual_feats",
    "visual_pos",
)
ALSO = {"TvltForPreTraining": ("pixel_values_mixed", "labels")}
"""What the reference answers no call without."""
LABELS = ("labels", "start_positions", "end_positions", "masked_lm_labels", "obj_labels", "matched_label", "ans")


def variants(name: str) -> Iterator[tuple[str, Any]]:
    """(what a subject is called, its configuration) of one class; the first is asked everything."""
    spec = specs.of(name)
    if is_of_any(spec.model_type):
        yield from of_any(spec, tiny)
        return
    may_decode = "past_key_values" in spec.names() and spec.model_type not in ENCODERS
    if not may_decode or not spec.head or spec.model_type == "gpt2":
        yield name, tiny(spec.model_type, is_decoder=False, add_cross_attention=False)
    if may_decode and spec.model_type != "gpt2":
        yield f"{name}-decoder", tiny(spec.model_type, **DECODER)
    if may_decode:
        yield f"{name}-cross", tiny(spec.model_type, **CROSS)


def tiny(model_type: str, **changes: Any) -> Any:
    return cases.tiny(model_type, SIZES, **{**ELSEWHERE.get(model_type, {}), **changes})


def add_models(job: Job, folder: Path, available: dict[str, list[str]]) -> None:
    """Every call of every class. `available` are the reference's class names by framework."""
    for name, spec in specs.all_specifications().items():
        frameworks = [f for f, prefix in registry.PREFIXES.items() if prefix + name in available[f]]
        for index, (subject, config) in enumerate(variants(name)):
            here = [f for f in frameworks if not halves_missing(config, f, available)]
            if here:
                job.subjects[subject] = write(folder, subject, spec, config, here)
            for framework in here:
                codes = dict(codes_of(spec, config, job.subjects[subject], framework))
                if index:
                    codes = {name: code for name, code in codes.items() if tells_variants(name)}
                job.add(framework, "models", subject, codes)
                job.add(framework, "generation", subject, generation_codes(spec, config, framework, first=not index))
                if not index:
                    job.add(framework, "loading", subject, loading_codes(spec, config, framework))


def tells_variants(name: str) -> bool:
    """Whether a call has something to do with what makes a decoder of a model."""
    words = (
        "plain",
        "states and attentions as",
        "cache",
        "continued",
        "encoder",
        "loss of labels",
        "with attention_mask",
    )
    return any(word in name for word in words)


def write(folder: Path, subject: str, spec: Specification, config: Any, frameworks: list[str]) -> dict[str, Any]:
    """A checkpoint with drawn tensors in each framework's format, and the arrays of calls: the subject of a job."""
    config.architectures = [spec.name]
    place = folder / subject / "pt"
    config.save_pretrained(place)
    tensors = draw.weights(names.rows(config, spec), SEED)
    single = {name: array.astype(np.float32) for name, array in tensors.items()}
    save_file(single, place / "model.safetensors", metadata={"format": "pt"})
    places = {"pt": place}
    for framework in frameworks:
        if framework in FORMATS:
            places[framework] = folder / subject / framework
            convert(place, places[framework], FORMATS[framework], overwrite=True)
    arrays = arrays_of(spec, config)
    np.savez(folder / subject / "arrays.npz", **arrays)
    wanted = {*NEEDED, *ALSO.get(spec.name, ())} | ({"encoder_hidden_states"} if config.add_cross_attention else set())
    tops = list(dict.fromkeys(name.partition(".")[0] for name in arrays))
    return {
        "kind": "model", "class": spec.name, "arrays": f"{subject}/arrays.npz",
        "folder": {f: str(p.relative_to(folder)) for f, p in places.items()},
        "plain": [name for name in tops if name in wanted], "more": tops,
    }  # fmt: skip


def arrays_of(spec: Specification, config: Any) -> dict[str, np.ndarray]:
    """A value for every array that a call can be given, by its dotted name."""
    sizes = spec.complete(config, cases.usual_sizes(spec.name) | CALL)
    found = {}
    for argument in (*spec.arrays(), *extra_arrays(spec)):
        argument = argument.of(config)
        if argument.needs and argument.needs[0] not in names.present_parts(config, spec, None):
            continue
        if argument.name == "input_ids" or argument.name == "decoder_input_ids":
            argument = replace(argument, low=3)  # below lie special tokens
        array = cases.value(argument, sizes, SEED, 1.0, 2)
        found[argument.name] = array.astype(np.float32) if array.dtype == np.float64 else array
        if argument.name.endswith("input_ids"):
            found[argument.name] = draw.integers(SEED, argument.name, array.shape, 3, SIZES["vocab_size"])
    return found


def extra_arrays(spec: Specification) -> list[Argument]:
    known = {a.name for a in spec.arrays()}
    return [
        a for extra in spec.extra.values() for a in extra if a.kind not in ("flag", "structure") and a.name not in known
    ]


def codes_of(spec: Specification, config: Any, subject: dict[str, Any], framework: str) -> Iterator[tuple[str, str]]:
    """(name, code) of the forward calls of one class in one framework."""
    yield from ALWAYS.items()
    for name, code in TRAINING[framework].items():
        if name not in COSTLY or spec.name in ("BertModel", "ViTModel"):
            yield name, code
    if "encoder_hidden_states" not in subject["plain"] and "labels" not in subject["plain"]:
        yield "positional", "model(*inputs.values())"
    signature = spec.signature(framework)
    for argument in subject["more"]:
        if argument in signature and argument not in LABELS and argument not in subject["plain"]:
            yield from optional_codes(spec, argument)
    if framework != "flax":
        yield from label_codes(spec, subject, framework)
    ids = next((name for name in subject["plain"] if name.endswith("input_ids")), None)
    if ids:
        yield from text_codes(spec, ids, config, framework)
    if "pixel_values" in subject["plain"]:
        yield from PICTURES.items()
    if "past_key_values" in spec.names() and framework != "flax" and (ids and not config.halves):
        yield from CACHE.items()
    yield from sound.call_codes(spec, subject["plain"])
    yield from call_codes(spec, config, framework)


ALWAYS = {
    "plain": "model(**inputs)",
    "one example": "model(**{k: v[:1] for k, v in inputs.items()})",
    "numpy": "model(**{k: np.asarray(v) for k, v in inputs.items()})",
    "as a tuple": "model(**inputs, return_dict=False)",
    "as a dictionary": "model(**inputs, return_dict=True)",
    "hidden states": "model(**inputs, output_hidden_states=True)",
    "attentions": "model(**inputs, output_attentions=True)",
    "states and attentions as a tuple":
        "model(**inputs, output_hidden_states=True, output_attentions=True, return_dict=False)",
    "states by the configuration": "load(output_hidden_states=True)(**inputs)",
    "attentions by the configuration": "load(output_attentions=True)(**inputs)",
    "a tuple by the configuration": "load(return_dict=False)(**inputs)",
    "first of the output": "model(**inputs)[0]",
    "slice of the output": "model(**inputs)[:2]",
    "length of the output": "len(model(**inputs))",
    "output's to_tuple": "model(**inputs).to_tuple()",
    "output's attentions": "model(**inputs).attentions",
    "unknown keyword": "model(**inputs, nonsense=1)",
    "nothing": "model()",
    "mismatched batch": "model(**{k: v[:1] if i == 0 else v for i, (k, v) in enumerate(inputs.items())})",
    "wrong rank": "model(**{k: v[0] for k, v in inputs.items()})",
}  # fmt: skip
TRAINING = {
    "pt": {
        "in training mode": "load().train()(**inputs)",
        "after a call in training": "m = load().train()\nm(**inputs)\nm.eval()(**inputs)",
        "mode": "[model.training, load().train().training, load().eval().training]",
        "without gradients": "with torch.no_grad():\n  y = model(**inputs)\ny",
        "float64": "load().double()(**{k: v.double() if v.is_floating_point() else v for k, v in inputs.items()})",
        "bfloat16": "shapes(load(torch_dtype=torch.bfloat16)(**{k: v.bfloat16() if v.is_floating_point() else v "
        "for k, v in inputs.items()}))",
        "ids of 32 bits": "model(**{k: v if v.is_floating_point() else v.int() for k, v in inputs.items()})",
    },
    "tf": {
        "in training mode": "model(**inputs, training=True)",
        "a dictionary": "model(inputs)",
        "a list": "model(list(inputs.values()))",
        "predict": "model.predict({k: np.asarray(v) for k, v in inputs.items()}, verbose=0)",
        "ids of 64 bits": "model(**{k: v if v.dtype.is_floating else tf.cast(v, tf.int64) for k, v in inputs.items()})",
        "compiled": "tf.function(lambda **x: model(**x))(**inputs)",
    },
    "flax": {
        "in training mode": "model(**inputs, train=True, dropout_rng=jax.random.PRNGKey(0))",
        "given parameters": "model(**inputs, params=model.params)",
        "bfloat16": "shapes(load(dtype=jax.numpy.bfloat16)(**inputs))",
        "compiled": "jax.jit(lambda p, x: model(**x, params=p)[0])(model.params, inputs)",
        "gradients": "jax.tree_util.tree_reduce(lambda s, g: s + (g ** 2).sum(), jax.grad(lambda p: "
        "(model(**inputs, params=p)[0] ** 2).sum())(model.params), 0.0)",
    },
}  # fmt: skip
COSTLY = ("predict", "compiled", "gradients")
"""Compiled for each class: two stand for all."""
PICTURES = {
    "another size": "model(**{**inputs, 'pixel_values': more['pixel_values'][..., : more['pixel_values'].shape[-2] * 3 // 4, :]})",
    "other channels": "model(**{**inputs, 'pixel_values': more['pixel_values'][..., :2, :, :]})",
    "channels last": "model(**{**inputs, 'pixel_values': np.moveaxis(np.asarray(more['pixel_values']), -3, -1)})",
}
CACHE = {
    "a cache": "model(**inputs, use_cache=True)",
    "no cache": "model(**inputs, use_cache=False)",
    "a cache as a tuple": "model(**inputs, use_cache=True, return_dict=False)",
    "shapes of a cache": "shapes(model(**inputs, use_cache=True).past_key_values)",
    "continued": "rest = {k: v for k, v in inputs.items() if k != 'input_ids'}; ids = inputs['input_ids']\n"
    "a = model(input_ids=ids[:, :4], use_cache=True, **rest)\n"
    "model(input_ids=ids[:, 4:], past_key_values=a.past_key_values, use_cache=True, **rest)",
    "continued, token by token": "rest = {k: v for k, v in inputs.items() if k != 'input_ids'}; past = None\n"
    "for i in range(4):\n  y = model(input_ids=inputs['input_ids'][:, i:i+1], past_key_values=past, use_cache=True, **rest)\n"
    "  past = y.past_key_values\ny[0]",
    "continued with a mask": "rest = {k: v for k, v in inputs.items() if k != 'input_ids'}; ids = inputs['input_ids']\n"
    "m = tensor(np.array([[0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]]))\n"
    "a = model(input_ids=ids[:, :4], attention_mask=m[:, :4], use_cache=True, **rest)\n"
    "model(input_ids=ids[:, 4:], attention_mask=m, past_key_values=a.past_key_values, **rest)[0]",
    "continued beyond the positions": "rest = {k: v for k, v in inputs.items() if k != 'input_ids'}\n"
    "a = model(input_ids=inputs['input_ids'], use_cache=True, **rest)\n"
    "model(input_ids=tensor(np.full((2, 19), 5)), past_key_values=a.past_key_values, **rest)",
}  # fmt: skip


def optional_codes(spec: Specification, name: str) -> Iterator[tuple[str, str]]:
    """An optional argument alone beside what a call needs, and what may be wrong with it."""
    rivals = {other for choice in spec.exactly_one if name in choice for other in choice if other != name}
    rest = f"{{k: v for k, v in inputs.items() if k not in {sorted(rivals)}}}"
    yield f"with {name}", f"model(**{rest}, {name}=more['{name}'])"
    yield f"{name} of one example", f"model(**{rest}, {name}=more['{name}'][:1])"
    yield f"{name} of another rank", f"model(**{rest}, {name}=more['{name}'][None, None])"
    argument = spec.argument(name) if name in spec.names() else None
    if rivals:
        yield f"{name} and {min(rivals)}", f"model(**inputs, {name}=more['{name}'])"
        yield f"{name} too wide", f"model(**{rest}, {name}=np.zeros((2, 6, 5), 'float32'))"
    if argument is not None and argument.kind == "mask":
        yield f"{name} of bools", f"model(**{rest}, {name}=tensor(np.asarray(more['{name}']) > 0))"
        yield f"{name} of floats", f"model(**{rest}, {name}=tensor(np.asarray(more['{name}']).astype('float32')))"
        yield f"{name} of ones", f"model(**{rest}, {name}=tensor(np.ones_like(np.asarray(more['{name}']))))"
        yield f"{name} hiding everything", f"model(**{rest}, {name}=tensor(np.zeros_like(np.asarray(more['{name}']))))"
        yield f"{name} from the left", VISIBLE.format(name, rest)
        yield f"{name} too short", f"model(**{rest}, {name}=more['{name}'][:, :-1])"
    if argument is not None and argument.kind == "int":
        yield f"{name} too large", f"model(**{rest}, {name}=tensor(np.full_like(np.asarray(more['{name}']), 1000)))"
        yield f"{name} below 0", f"model(**{rest}, {name}=tensor(np.full_like(np.asarray(more['{name}']), -1)))"


VISIBLE = (
    "m = np.ascontiguousarray(np.asarray(more['{0}'])[:, ::-1])\ny = array(model(**{1}, {0}=tensor(m))[0])\n"
    "y[m > 0] if y.shape[:2] == m.shape else y"
)
"""Behind padding on the left: what is padding itself sees nothing."""


def label_codes(spec: Specification, subject: dict[str, Any], framework: str) -> Iterator[tuple[str, str]]:
    """Losses, from each kind of labels and from all of them."""
    given = [n for n in LABELS if n in spec.signature(framework) and n in {*subject["more"]} - {*subject["plain"]}]
    groups = [group for group in (("start_positions", "end_positions"),) if set(group) <= set(given)] or [
        (n,) for n in given
    ]
    if "masked_lm_labels" in given and len(given) > 2:
        groups.append(tuple(n for n in given if n != ("labels" if framework == "tf" else "masked_lm_labels")))
    for group in groups:
        name, labels = " and ".join(group), ", ".join(f"{n}=more['{n}']" for n in group)
        yield f"loss of {name}", f"model(**inputs, {labels})"
        yield f"loss of {name} as a tuple", f"model(**inputs, {labels}, return_dict=False)"
        yield f"loss of {name} with states", f"model(**inputs, {labels}, output_hidden_states=True)"
        if len(group) == 1 and name != "obj_labels":
            labels = f"{name}=tensor(np.full_like(np.asarray(more['{name}']), NUMBER))"
            yield f"{name} too large", f"model(**inputs, {labels})".replace("NUMBER", "1000")
            yield f"{name} all ignored", f"model(**inputs, {labels})".replace("NUMBER", "-100")
            yield f"{name} of one example", f"model(**inputs, {name}=more['{name}'][:1])"
        if framework == "pt":
            labels = ", ".join(f"{n}=more['{n}']" for n in group)
            yield f"gradients of {name}", GRADIENTS.format(labels)
    if framework == "pt" and "Sequence" in spec.name:
        for kind, labels in PROBLEMS.items():
            yield f"loss of {kind}", f"load(problem_type='{kind}', num_labels=2)(**inputs, labels=tensor({labels}))"


GRADIENTS = (
    "m = load()\nm(**inputs, {}).loss.backward()\n"
    "sum(float((p.grad.double() ** 2).sum()) for p in m.parameters() if p.grad is not None)"
)
PROBLEMS = {
    "regression": "np.array([[0.5, 1.0], [-1.0, 2.0]], 'float32')",
    "single_label_classification": "np.array([0, 1])",
    "multi_label_classification": "np.array([[0.0, 1.0], [1.0, 1.0]], 'float32')",
}


def text_codes(spec: Specification, ids: str, config: Any, framework: str) -> Iterator[tuple[str, str]]:
    """Lengths, values and types of ids."""
    reader = next(half for half in halves_of(config) if hasattr(half, "max_position_embeddings"))
    vocabulary, positions = reader.vocab_size, reader.max_position_embeddings
    if "choices" in spec.argument(ids).shape:
        tail, wide = ", 3", "[:, :, :3]"
    else:
        tail, wide = "", "[:, :3]"
    call = f"model(**{{**inputs, '{ids}': IDS}})"
    for name, value in {
        "shorter": f"inputs['{ids}']{wide}",
        "every position": f"tensor(np.arange(2 * {positions}) % 90 + 3).reshape(2, {positions})" if framework != "tf"
        else f"tensor((np.arange(2 * {positions}) % 90 + 3).reshape(2, {positions}))",
        "beyond the positions": f"tensor(np.full((2{tail}, {positions + 1}), 5))",
        "a token beyond the vocabulary": f"tensor(np.full((2{tail}, 6), {vocabulary}))",
        "a token below 0": f"tensor(np.full((2{tail}, 6), -1))",
        "ids that are floats": f"tensor(np.full((2{tail}, 6), 5.0, 'float32'))",
        "ids as a list": "[[5, 6, 7], [8, 9, 10]]",
        "ragged ids": "[[5, 6, 7], [8, 9]]",
        "ids as text": "'a cat'",
        "empty": f"tensor(np.zeros((2{tail}, 0), 'int64'))",
        "no examples": f"tensor(np.zeros((0{tail}, 6), 'int64'))",
        "special tokens": f"tensor(np.tile(np.array([0, 1, 2, 3, 1, 0]), (2{tail}, 1)))",
    }.items():  # fmt: skip
        if name == "every position" and tail:
            continue
        yield name, call.replace("IDS", value)
