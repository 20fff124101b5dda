"""The position-wise feed-forward layer: Vaswani et al. (2017), section 3.3."""

from __future__ import annotations

from dataclasses import KW_ONLY

from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.activations import ACTIVATIONS
from multimodal.flax.layers.basic import Dropout, Linear


class MLP(nn.Module):
    """Up to the inner width, an activation, dropout, and down again."""

    hidden_size: int
    _: KW_ONLY
    inner_size: int
    activation: str
    dropout_rate: float = 0.0
    dtype: Types = Types()

    def setup(self):
        self.up = Linear(self.hidden_size, self.inner_size, dtype=self.dtype)
        self.down = Linear(self.inner_size, self.hidden_size, dtype=self.dtype)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(self, x, train: bool = False):
        return self.down(self.dropout(ACTIVATIONS[self.activation](self.up(x)), train))
