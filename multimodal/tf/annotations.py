"""Short names for the annotations of public calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from multimodal.modeling.outputs import ModelOutput

Tensor: TypeAlias = tf.Tensor | keras.KerasTensor | np.ndarray
Inputs: TypeAlias = Tensor | Mapping[str, Any] | list[Any] | tuple[Any, ...]
"""The first argument of a call: a tensor, or everything in a mapping, or in the order of the signature."""
Past: TypeAlias = tuple[tuple[Tensor, ...], ...]
Encoding: TypeAlias = ModelOutput | tuple[Tensor, ...]
"""An encoder's output."""
ObjectLabels: TypeAlias = Mapping[str, tuple[Tensor, Tensor]]
"""{kind of label: (labels, confidences)}."""
