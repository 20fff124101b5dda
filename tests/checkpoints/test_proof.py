"""`verify` finds every difference and nothing else; `inspect` tells what is there without reading it."""

import goldens
import numpy as np
import pytest

from multimodal.checkpoints import folder as folders
from multimodal.checkpoints.contents import inspect
from multimodal.checkpoints.proof import verify

GPT2 = goldens.GOLDEN / "ved-vit-gpt2"
NAME = "decoder.transformer.h.0.mlp.c_fc.weight"


@pytest.fixture
def changed(copied):
    """A function that writes the reference's tensors with some changed: {name: function or None}."""

    def change(changes):
        folder = copied("ved-vit-gpt2/pt-safetensors")
        tensors = goldens.published(folder)
        for name, function in changes.items():
            tensors[name] = function(tensors[name]) if name in tensors else function(None)
        folders.write_folder(folder, {name: array for name, array in tensors.items() if array is not None})
        return folder

    return change


def flip_last_bit(array):
    flat = array.copy().reshape(-1)
    flat[-1:].view(np.uint32)[0] ^= 1
    return flat.reshape(array.shape)


@pytest.mark.parametrize("name", [n for n in goldens.FOLDERS if "float16" not in n])
def test_all_of_the_reference_s_folders_of_a_model_are_the_same(name):
    model = name.split("/")[0]
    proof = verify(goldens.GOLDEN / model / "pt-safetensors", goldens.GOLDEN / name)
    assert proof.equal
    assert {row.state for row in proof.rows if not row.name.endswith(goldens.STEPS)} <= {"equal", "tied"}


@pytest.mark.parametrize(
    ("function", "state", "detail"),
    [
        (flip_last_bit, "different", "1 of 4096 elements"),
        (lambda a: a.T.copy(), "misshapen", r"\(128, 32\)"),
        (lambda a: a.astype(np.float64), "retyped", "float64"),
        (lambda a: None, "only in A", r"\(32, 128\)"),
    ],
)
def test_one_changed_tensor_is_the_one_difference(function, state, detail, changed):
    import re

    proof = verify(GPT2 / "flax-msgpack", changed({NAME: function}))
    assert [(row.name, row.state) for row in proof.differences()] == [(NAME, state)]
    assert re.search(detail, proof.differences()[0].detail)
    assert not proof.equal


def test_a_tensor_that_one_side_alone_has_is_a_difference_in_both_directions(changed):
    without = changed({NAME: lambda a: None})
    for a, b, state in ((GPT2 / "tf-h5", without, "only in A"), (without, GPT2 / "tf-h5", "only in B")):
        proof = verify(a, b)
        assert not proof.equal
        assert [(row.name, row.state, row.detail) for row in proof.differences()] == [(NAME, state, "shape (32, 128)")]
        assert sum(row.state == "equal" for row in proof.rows) == 83


@pytest.mark.parametrize("function", [flip_last_bit, lambda a: a.T.copy(), lambda a: a.astype(np.float64)])
def test_a_difference_is_one_whichever_side_is_first(function, changed):
    other = changed({NAME: function})
    there, back = verify(GPT2 / "pt-bin", other), verify(other, GPT2 / "pt-bin")
    assert [(r.name, r.state) for r in there.rows] == [(r.name, r.state) for r in back.rows]
    assert not there.equal
    assert not back.equal


def test_the_detail_of_a_difference_says_how_many_elements_and_by_how_much(changed):
    def add(array):
        array = array.copy()
        array[0, :3] += np.float32([0.5, -2.0, 0.25])
        return array

    (row,) = verify(GPT2 / "pt-bin", changed({NAME: add})).differences()
    assert row.detail == "3 of 4096 elements, by up to 2"


def test_zeros_of_two_signs_differ_and_nan_is_itself(changed, tmp_path):
    bias = "decoder.transformer.ln_f.bias"
    nan = changed({bias: lambda a: np.full_like(a, np.nan)})
    assert verify(nan, nan).equal
    zero = folders.MemorySource({"a": np.zeros(2, np.float32)})
    for name, value in (("plus", 0.0), ("minus", -0.0)):
        folders.write_folder(tmp_path / name, {"a": np.full(2, value, np.float32)})
    assert zero.read("a")[0] == -0.0
    assert not verify(tmp_path / "plus", tmp_path / "minus").equal


def test_keys_that_carry_no_weight_make_no_difference(changed):
    masked = changed({"decoder.transformer.h.0.attn.masked_bias": lambda _: np.array(-1e4, np.float32)})
    proof = verify(masked, GPT2 / "tf-h5")
    assert proof.equal
    assert {row.name: row.detail for row in proof.rows if row.state == "ignored"} == {
        "decoder.transformer.h.0.attn.masked_bias": "the causal mask"
    }


def test_verify_counts_its_progress():
    seen = []
    verify(GPT2 / "pt-bin", GPT2 / "tf-h5", lambda done, total: seen.append((done, total)))
    assert seen[-1] == (84, 84)


@pytest.mark.parametrize("format", goldens.FORMATS)
def test_inspect_tells_class_format_tensors_and_ties(format):
    kind, file = goldens.FILES[format]
    contents = inspect(GPT2 / kind)
    assert (contents.class_name, contents.model_type) == ("VisionEncoderDecoderModel", "vision-encoder-decoder")
    assert (contents.format, contents.files) == (format, {file: (GPT2 / kind / file).stat().st_size})
    assert contents.ties == {"decoder.lm_head.weight": "decoder.transformer.wte.weight"}
    assert contents.parameters == 63456
    (entry,) = [t for t in contents.tensors if t.name == NAME]
    assert (entry.shape, entry.dtype, entry.bytes, entry.kind, entry.note) == (
        (32, 128),
        "float32",
        16384,
        "linear",
        "",
    )


def test_inspect_notes_what_the_class_does_not_have(changed):
    more = {"decoder.score.weight": (3, 3), "unheard.of": (1,), "decoder.transformer.h.1.attn.bias": (1, 1)}
    contents = inspect(changed({name: lambda _, s=shape: np.zeros(s, np.float32) for name, shape in more.items()}))
    assert {t.name: t.note for t in contents.tensors if t.note} == {
        "decoder.score.weight": "of another class",
        "decoder.transformer.h.1.attn.bias": "ignored: the causal mask",
        "unheard.of": "in no table",
    }
