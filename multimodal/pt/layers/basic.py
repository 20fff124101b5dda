"""Elementary layers under the names that the blocks of every backend use. No option is left to a default."""

from __future__ import annotations

from torch import nn

from multimodal.dropout import is_replaced


class Linear(nn.Linear):
    """(..., inputs) -> (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, dtype=None):
        super().__init__(inputs, outputs, bias=bias, dtype=dtype)


class LayerNorm(nn.LayerNorm):
    """Normalisation over the last axis: Ba et al. (2016)."""

    def __init__(self, width: int, epsilon: float, dtype=None):
        super().__init__(width, eps=epsilon, dtype=dtype)


class Embedding(nn.Embedding):
    """A table of vectors, looked up by id. The vector of `padding_id` gets no gradient from being looked up."""

    def __init__(self, entries: int, width: int, dtype=None, padding_id: int | None = None):
        super().__init__(entries, width, padding_idx=padding_id, dtype=dtype)


class Conv2D(nn.Conv2d):
    """Convolution of images (batch, channels, height, width), without padding."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], dtype=None):
        super().__init__(inputs, outputs, kernel, stride=stride, padding=0, dtype=dtype)


class Dropout(nn.Dropout):
    """Zeroes with probability `rate` in training."""

    def __init__(self, rate: float):
        super().__init__(rate)

    def forward(self, x):
        return x * (1.0 - self.p) if self.training and is_replaced() else super().forward(x)
