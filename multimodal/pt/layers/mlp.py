"""The position-wise feed-forward layer: Vaswani et al. (2017), section 3.3."""

from __future__ import annotations

from torch import nn

from multimodal.pt.layers.activations import ACTIVATIONS
from multimodal.pt.layers.basic import Dropout, Linear


class MLP(nn.Module):
    """Up to the inner width, an activation, dropout, and down again."""

    def __init__(self, hidden_size: int, *, inner_size: int, activation: str, dropout_rate: float = 0.0, dtype=None):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.up = Linear(hidden_size, inner_size, dtype=dtype)
        self.down = Linear(inner_size, hidden_size, dtype=dtype)
        self.dropout = Dropout(dropout_rate)

    def forward(self, x):
        return self.down(self.dropout(self.activation(self.up(x))))
