"""Gradients with respect to what a model is given: every input of floats reaches every answer."""

import numpy as np
import pytest
import zoo

from multimodal import specs

STEP = 1e-2
FINE = {"input_values": 1e-3}
"""Inputs of which an output bends sooner: a few samples make a frame, which is normalised at once.

Measured in float64, the quotient of steps of 1e-2, 3e-3, 1e-3 is off by 2.2e-2, 2.0e-3, 2.2e-4 of the mean of a clip's frames:
by the square of the step, so that it is the quotient that is off, and not the gradient.
"""
EMBEDDED = {"inputs_embeds": "input_ids", "decoder_inputs_embeds": "decoder_input_ids"}
WIDE = {"initializer_range": 0.4}
"""With the published deviation, what an input does would be lost in float32's rounding."""


def made(public, name):
    """A model of few layers: compiling gradients is slow."""
    return public(name)(zoo.shallow(name, **WIDE), seed=1)


def floats(name, of):
    """(arguments that have no gradient, floats that do) of a call in which embeddings take the tokens' place."""
    known = specs.of(name).names()
    embeds = [argument for argument in EMBEDDED if argument in known]
    given = zoo.inputs(name, of, 1, *embeds)
    for argument in embeds:
        given.pop(EMBEDDED[argument])
    learns = {k for k, v in given.items() if v.dtype == np.float32 and not specs.of(name).argument(k).exact}
    return {k: v for k, v in given.items() if k not in learns}, {k: given[k] for k in given if k in learns}


def test_the_gradient_of_every_input_of_floats_is_that_of_finite_differences(public, kit, class_name):
    model = made(public, class_name)
    fixed, values = floats(class_name, model.config)
    assert values
    rng = np.random.default_rng(0)
    main = zoo.main(kit.outline(model, **fixed, **values))
    answer = kit.input_gradients(
        model, fixed, zoo.main_field(class_name), rng.normal(size=tuple(main.shape)).astype(np.float32)
    )
    _, found = answer(values)
    assert found.keys() == values.keys()
    for name, gradient in found.items():
        assert gradient is not None, name
        assert np.linalg.norm(gradient) > 0, name
        step = FINE.get(name, STEP)
        along = rng.normal(size=values[name].shape)
        direction = (gradient / np.linalg.norm(gradient) + along / np.linalg.norm(along)).astype(np.float32)
        up, down = (answer(values | {name: values[name] + sign * step * direction})[0] for sign in (1, -1))
        expected = float((gradient.astype(np.float64) * direction).sum())
        assert (up - down) / (2 * step) == pytest.approx(expected, rel=2e-2), name
