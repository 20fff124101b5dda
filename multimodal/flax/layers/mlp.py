"""The position-wise feed-forward layer: Vaswani et al. (2017), section 3.3."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from multimodal.flax.layers.activations import ACTIVATIONS
from multimodal.flax.layers.basic import Linear


class MLP(nn.Module):
    """Up to the inner width, an activation, and down again."""

    hidden_size: int
    inner_size: int
    activation: str
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def setup(self):
        self.up = Linear(self.hidden_size, self.inner_size, True, self.dtype, self.param_dtype)
        self.down = Linear(self.inner_size, self.hidden_size, True, self.dtype, self.param_dtype)

    def __call__(self, x):
        return self.down(ACTIVATIONS[self.activation](self.up(x)))
