"""What specifications can say of sizes: those that follow from others, and networks whose stages each have their own."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from multimodal.modeling.outputs import ModelOutput, Tensor, Tensors, tensor, tensors
from multimodal.specs.base import Argument, Derived, Field, Specification, fields_of
from multimodal.specs.call import ArgumentError, Call
from multimodal.specs.check import check
from multimodal.specs.documentation import docstring

CONFIG = SimpleNamespace(strides=(5, 2), kernels=(10, 3), width=4, depths=(1, 2, 1))


def frames(config, samples):
    """As many as the convolutions leave."""
    for kernel, stride in zip(config.kernels, config.strides):
        samples = (samples - kernel) // stride + 1
    return samples


def stage(config, sizes, index):
    """Each stage behind the first halves the rows, and doubles the width."""
    return {"rows": sizes["frames"] // 2**index, "hidden": config.width * 2**index}


class StagedOutput(ModelOutput):
    last_hidden_state: Tensor = tensor("batch", "frames", "hidden")
    hidden_states: Tensors = tensors("batch", "rows", "hidden", each=("stages", 1), when="asked", stage=stage)


def is_even(call: Call) -> None:
    """A rule that only this family has."""
    if (call.size("frames") or 0) % 2:
        raise ArgumentError(f"{call.named('samples')}: expected an even number of frames, got {call.size('frames')}")


STAGED = Specification(
    name="StagedModel",
    model_type="staged",
    arguments=(
        Argument("frame_labels", "int", ("batch", "frames"), high="frames"),
        Argument("samples", "float", ("batch", "length")),
        Argument("mask", "mask", ("batch", "frames")),
    ),
    output=StagedOutput,
    dimensions=lambda config: {"stages": len(config.depths) - 1, "hidden": config.width},
    parts=("base",),
    derived=(
        Derived("frames", ("length",), frames),
        Derived("texts", ("batch", "frames"), lambda _, batch, frames: batch * frames),
    ),
    rules=(is_even,),
)
SAMPLES = np.zeros((2, 95))  # (95 - 10) // 5 + 1 = 18; (18 - 3) // 2 + 1 = 8


def checked(**given):
    check(STAGED, CONFIG, given, lambda array: (array.min(), array.max()))


def test_a_size_follows_from_others_whatever_the_order_of_the_arguments():
    checked(samples=SAMPLES, mask=np.ones((2, 8)), frame_labels=np.full((2, 8), 7))
    with pytest.raises(ArgumentError, match=r"frame_labels: expected shape \(batch=2, frames=8\), got \(2, 9\)"):
        checked(samples=SAMPLES, frame_labels=np.full((2, 9), 7))
    with pytest.raises(ArgumentError, match=r"mask: expected shape \(batch=2, frames=8\), got \(2, 95\)"):
        checked(samples=SAMPLES, mask=np.ones((2, 95)))
    with pytest.raises(ArgumentError, match=r"frame_labels: expected values in \[0, 8\), got values from 8 to 8"):
        checked(samples=SAMPLES, frame_labels=np.full((2, 8), 8))


def test_what_it_follows_from_may_be_unknown():
    checked(mask=np.ones((2, 9)))
    unknown = SimpleNamespace(shape=(2, None))
    check(STAGED, CONFIG, {"samples": unknown, "mask": SimpleNamespace(shape=(2, 9))}, lambda array: None)


def test_a_rule_of_the_family_s_own_is_checked_with_what_is_known_by_then():
    with pytest.raises(ArgumentError, match="samples: expected an even number of frames, got 7"):
        checked(samples=np.zeros((2, 85)))


def test_sizes_are_complete_with_what_follows():
    sizes = STAGED.complete(CONFIG, {"batch": 2, "length": 95})
    assert sizes == {"stages": 2, "hidden": 4, "batch": 2, "length": 95, "frames": 8, "texts": 16}
    assert "frames" not in STAGED.complete(CONFIG, {"batch": 2})


def test_each_stage_has_its_own_size():
    last, states = STAGED.fields
    sizes = STAGED.complete(CONFIG, {"batch": 2, "length": 95})
    assert states.shapes(CONFIG, sizes) == [(2, 8, 4), (2, 4, 8), (2, 2, 16)]
    assert last.shapes(CONFIG, sizes) == [(2, 8, 4)]
    assert states.begins_with_input
    assert not Field("attentions", ("batch",), each=("stages",)).begins_with_input


def test_a_class_has_fields_of_its_output_alone_and_may_call_sizes_otherwise():
    last, states = fields_of(StagedOutput, frames="tokens", rows="tokens")
    assert (last.shape, states.shape) == (("batch", "tokens", "hidden"), ("batch", "tokens", "hidden"))
    assert replace(STAGED, fields=(last,)).fields == (last,)
    with pytest.raises(
        ValueError, match=r"expected fields of StagedOutput \(last_hidden_state, hidden_states\), got \['x'\]"
    ):
        replace(STAGED, fields=(last, Field("x")))


def test_a_number_of_tensors_adds_up():
    field = Field("states", each=("language", "cross", 2))
    assert field.count({"language": 3, "cross": 4}) == 9
    assert field.count_text() == "language + cross + 2"
    assert field.symbols() == ("language", "cross")
    assert (Field("x").count({}), Field("x").count_text()) == (1, "")


def test_the_docstring_says_that_stages_differ():
    text = " ".join(docstring(STAGED, "pt").split())
    assert "hidden_states: a tuple of stages + 1 tensors (batch, rows, hidden), each of the size of its stage." in text
    assert "mask: 0 or 1, (batch, frames)." in text
