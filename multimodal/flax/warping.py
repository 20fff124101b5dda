"""The rules of `generation.warping` in this backend: what is drawn from, by scores (rows, vocabulary) alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from multimodal.generation import warping


def temperature(scores, value, least):
    return scores / value


def top_k(scores, value, least):
    return keep(scores, scores >= kth_largest(scores, value), least)


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
    place = scores.shape[-1] - jnp.minimum(jnp.asarray(count, jnp.int32), scores.shape[-1])
    return jax.lax.dynamic_slice_in_dim(jnp.sort(scores, -1), place, 1, 1)


def entropy(logarithms):  # -> rows 1
    likely = jnp.exp(logarithms)
    return -jnp.where(likely > 0, likely * jnp.where(likely > 0, logarithms, 0.0), 0.0).sum(-1, keepdims=True)


def fewest(scores, keys, likely, mass, least):
    """Scores of the fewest tokens that are as likely as `mass` together, by rising keys, ties by the lowest id."""
    order = jnp.argsort(keys, -1, stable=True)
    likely = jnp.take_along_axis(likely, order, -1)
    kept = (likely.cumsum(-1) - likely < mass) | (jnp.arange(scores.shape[-1]) < least)
    return jnp.where(jnp.take_along_axis(kept, jnp.argsort(order, -1), -1), scores, -jnp.inf)
