"""Short names for the annotations of public calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import jax
import numpy as np

from multimodal.modeling.outputs import ModelOutput
from multimodal.modeling.structures import Cache

Tensor: TypeAlias = jax.Array | np.ndarray
Inputs: TypeAlias = Tensor
"""The first argument of a call."""
Past: TypeAlias = tuple[tuple[Tensor, ...], ...] | Cache
"""What a call gave, or what `init_cache` gives."""
Encoding: TypeAlias = ModelOutput | tuple[Tensor, ...]
"""An encoder's output."""
ObjectLabels: TypeAlias = Mapping[str, tuple[Tensor, Tensor]]
"""{kind of label: (labels, confidences)}."""
