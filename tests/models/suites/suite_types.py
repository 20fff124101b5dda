"""Narrow types: what is summed is summed in float32."""

import numpy as np
import pytest
import zoo


def rounded(value, dtype):
    """A NumPy array as the narrow type holds it, and the same in float64."""
    narrow = value.astype(zoo.NARROW[dtype])
    return narrow, narrow.astype(np.float64)


def ulp(values, dtype):
    """The distance between neighbours of the narrow type at each value."""
    bits = {"bfloat16": 8, "float16": 11}[dtype]
    smallest = {"bfloat16": 2.0**-126, "float16": 2.0**-14}[dtype]
    return 2.0 ** (np.floor(np.log2(np.maximum(np.abs(values), smallest))) + 1 - bits)


@pytest.mark.parametrize("offset", [0.0, 300.0, -3000.0])
@pytest.mark.parametrize("dtype", zoo.NARROW)
def test_normalisation_takes_its_statistics_in_float32(kit, dtype, offset):
    rng = np.random.default_rng(0)
    x, wide = rounded(offset + 400.0 * rng.normal(size=(8, 256)), dtype)  # float16 would overflow on a square
    norm = kit.layer("basic.LayerNorm")(256, 1e-5, **kit.types(dtype))
    tensors = {name: rng.normal(size=256) for name in ("weight", "bias")}
    exact = {name: rounded(value, dtype) for name, value in tensors.items()}
    out = kit.numpy(kit.run(norm, lambda name, shape: exact[name][0], x)).astype(np.float64)
    centred = wide - wide.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * exact["weight"][1] + exact["bias"][1]
    terms = np.maximum(np.abs(expected), np.abs(expected - exact["bias"][1]))
    assert (np.abs(out - expected) / ulp(terms, dtype)).max() < 1.6  # the sum is rounded, and may be its first term


@pytest.mark.parametrize("keys", [7, 1000, 3000])
@pytest.mark.parametrize("dtype", zoo.NARROW)
def test_probabilities_are_those_of_float32_rounded_once(kit, dtype, keys):
    rng = np.random.default_rng(0)
    softmax = kit.layer("attention.softmax")
    scores, wide = rounded(np.concatenate([np.zeros((2, keys)), rng.normal(0.0, 3.0, (4, keys))]), dtype)
    visible = np.ones((6, keys), bool)
    visible[1, keys // 2 :] = False
    for mask in (None, visible):
        out = kit.numpy(softmax(kit.array(scores), kit.array(mask))).astype(np.float64)
        powers = np.exp(wide - wide.max(-1, keepdims=True)) * (1.0 if mask is None else mask)
        expected = powers / powers.sum(-1, keepdims=True)
        assert (np.abs(out - expected) <= 0.51 * ulp(expected, dtype)).all()


@pytest.mark.parametrize("dtype", zoo.NARROW)
def test_the_gradient_of_probabilities_is_that_of_float32_rounded_once(kit, dtype):
    softmax = kit.layer("attention.softmax")
    even = np.zeros((1, 1000), zoo.NARROW[dtype])  # a thousandth is not exact in either type
    found = kit.pullback(lambda scores: softmax(scores, None), even, np.ones_like(even)).astype(np.float64)
    assert np.abs(found).max() < 1e-5 / 1000  # they sum to one whatever the scores are
    rng = np.random.default_rng(0)
    (scores, wide), (cotangent, weights) = (rounded(rng.normal(size=(4, 50)), dtype) for _ in range(2))
    found = kit.pullback(lambda scores: softmax(scores, None), scores, cotangent).astype(np.float64)
    expected = np.exp(wide) / np.exp(wide).sum(-1, keepdims=True)
    expected = expected * (weights - (expected * weights).sum(-1, keepdims=True))
    assert (np.abs(found - expected) <= 0.51 * ulp(expected, dtype)).all()
