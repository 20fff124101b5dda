"""The position-wise feed-forward layer: Vaswani et al. (2017), section 3.3."""

from __future__ import annotations

from multimodal.tf.layers.activations import ACTIVATIONS
from multimodal.tf.layers.basic import Dropout, Layer, Linear


class MLP(Layer):
    """Up to the inner width, an activation, dropout, and down again."""

    def __init__(
        self, hidden_size: int, *, inner_size: int, activation: str, dropout_rate: float = 0.0, dtype=None, name="mlp"
    ):
        super().__init__(dtype=dtype, name=name)
        self.activation = ACTIVATIONS[activation]
        self.up = Linear(hidden_size, inner_size, dtype=dtype, name="up")
        self.down = Linear(inner_size, hidden_size, dtype=dtype, name="down")
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def call(self, x, training=False):
        return self.down(self.dropout(self.activation(self.up(x)), training))
