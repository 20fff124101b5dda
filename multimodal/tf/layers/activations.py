"""Activations by their published names. No default of a framework is used: the kind of gelu is always said."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf


def gelu(x: tf.Tensor) -> tf.Tensor:
    """x times the normal distribution function: Hendrycks and Gimpel (2016).

    `tf.nn.gelu` rounds its constants to float32, which is off by 1e-8 in float64.
    """
    return 0.5 * x * (1.0 + tf.math.erf(x * math.sqrt(0.5)))


def gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """The approximation of gelu by tanh, section 2 of the same paper."""
    return 0.5 * x * (1.0 + tf.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu": gelu,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "mish": lambda x: x * tf.tanh(tf.math.softplus(x)),
    "relu": tf.nn.relu,
    "selu": tf.nn.selu,
    "sigmoid": tf.sigmoid,
    "silu": lambda x: x * tf.sigmoid(x),
    "swish": lambda x: x * tf.sigmoid(x),
    "tanh": tf.tanh,
}
