"""The rules of `generation.warping` in this backend: what is drawn from, by scores (rows, vocabulary) alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from multimodal.generation import warping


def temperature(scores, value, least):
    return scores / value


def top_k(scores, value, least):
    return jnp.where(scores >= kth_largest(scores, jnp.maximum(value, least)), scores, -jnp.inf)


def top_p(scores, value, least):
    return fewest(scores, -scores, jax.nn.softmax(scores, -1), value, least)


def min_p(scores, value, least):
    likely = jax.nn.softmax(scores, -1)
    return keep(scores, likely >= value * likely.max(-1, keepdims=True), least)


def typical(scores, value, least):
    logarithms = jax.nn.log_softmax(scores, -1)
    return fewest(scores, jnp.abs(logarithms + entropy(logarithms)), jnp.exp(logarithms), value, least)


def epsilon(scores, value, least):
    return keep(scores, jax.nn.softmax(scores, -1) >= value, least)


def eta(scores, value, least):
    logarithms = jax.nn.log_softmax(scores, -1)
    threshold = jnp.minimum(value**0.5 * jnp.exp(-entropy(logarithms)), value)
    return keep(scores, jnp.exp(logarithms) >= threshold, least)


FORMS = {
    warping.Temperature: temperature, warping.TopK: top_k, warping.TopP: top_p, warping.MinP: min_p,
    warping.Typical: typical, warping.Epsilon: epsilon, warping.Eta: eta,
}  # fmt: skip


def keep(scores, kept, least):
    """Scores in which all but what is kept, and the `least` likeliest, is impossible."""
    return jnp.where(kept | (scores >= kth_largest(scores, least)), scores, -jnp.inf)


def kth_largest(scores, count):  # -> rows 1
    """Bit by bit, the largest number that `count` scores are not below: XLA sorts a vocabulary for as long as a decoder runs."""
    count = jnp.minimum(jnp.asarray(count, jnp.int32), scores.shape[-1])
    integer, bits = (jnp.int64, 63) if scores.dtype == jnp.float64 else (jnp.int32, 31)
    keys = flipped(jax.lax.bitcast_convert_type(scores, integer))

    def lowered(step, found):
        larger = found + jnp.left_shift(jnp.asarray(1, integer), (bits - 1 - step).astype(integer))
        return jnp.where((keys >= larger).sum(-1, keepdims=True) >= count, larger, found)

    positive = (keys >= 0).sum(-1, keepdims=True) >= count
    found = jnp.where(positive, jnp.asarray(0, integer), jnp.iinfo(integer).min)
    found = jax.lax.fori_loop(0, bits, lowered, found)
    return jax.lax.bitcast_convert_type(flipped(found), scores.dtype)


def flipped(keys):
    """Bits of floats as integers that are ordered as the floats are, and back."""
    return jnp.where(keys < 0, keys ^ jnp.iinfo(keys.dtype).max, keys)


def entropy(logarithms):  # -> rows 1
    likely = jnp.exp(logarithms)
    return -jnp.where(likely > 0, likely * jnp.where(likely > 0, logarithms, 0.0), 0.0).sum(-1, keepdims=True)


def fewest(scores, keys, likely, mass, least):
    """Scores of the fewest tokens that are as likely as `mass` together, by rising keys, ties by the lowest id."""
    order = jnp.argsort(keys, -1, stable=True)
    likely = jnp.take_along_axis(likely, order, -1)
    kept = (likely.cumsum(-1) - likely < mass) | (jnp.arange(scores.shape[-1]) < least)
    return jnp.where(jnp.take_along_axis(kept, jnp.argsort(order, -1), -1), scores, -jnp.inf)
