"""Elementary layers under the names that the blocks of every backend use. No option is left to a default."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.modeling.dropout import is_replaced


class Linear(nn.Linear):
    """(..., inputs) -> (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, dtype=None):
        super().__init__(inputs, outputs, bias=bias, dtype=dtype)


class LayerNorm(nn.LayerNorm):
    """Normalisation over the last axis: Ba et al. (2016). Without `affine` it has no scale and bias."""

    def __init__(self, width: int, epsilon: float, *, affine: bool = True, dtype=None):
        super().__init__(width, eps=epsilon, elementwise_affine=affine, dtype=dtype)


class Embedding(nn.Embedding):
    """A table of vectors, looked up by id. The vector of `padding_id` gets no gradient from being looked up."""

    def __init__(self, entries: int, width: int, *, dtype=None, padding_id: int | None = None):
        super().__init__(entries, width, padding_idx=padding_id, dtype=dtype)


class Conv1D(nn.Conv1d):
    """Convolution of sequences (batch, channels, length); `padding` are the zeros (before, behind)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, padding: tuple[int, int] = (0, 0),
                 groups: int = 1, dilation: int = 1, bias: bool = True, dtype=None):  # fmt: skip
        super().__init__(
            inputs, outputs, kernel, stride=stride, padding=0, dilation=dilation, groups=groups, bias=bias, dtype=dtype
        )
        self.margins = (padding,)

    def forward(self, x):
        return super().forward(padded(x, self.margins))


class Conv2D(nn.Conv2d):
    """Convolution of images (batch, channels, height, width); `padding` are the zeros ((above, below), (left, right))."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], *, dtype=None,
                 padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)), groups: int = 1,
                 dilation: tuple[int, int] = (1, 1), bias: bool = True):  # fmt: skip
        super().__init__(
            inputs, outputs, kernel, stride=stride, padding=0, dilation=dilation, groups=groups, bias=bias, dtype=dtype
        )
        self.margins = padding

    def forward(self, x):
        return super().forward(padded(x, self.margins))


class DepthwiseConv2D(nn.Conv2d):
    """Convolution of each channel of images (batch, channels, height, width) by itself; `padding` as in `Conv2D`."""

    def __init__(self, channels: int, kernel: tuple[int, int], *, stride: int = 1,
                 padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)), dilation: int = 1,
                 bias: bool = True, dtype=None):  # fmt: skip
        super().__init__(
            channels, channels, kernel, stride=stride, padding=0, dilation=dilation, groups=channels, bias=bias, dtype=dtype
        )  # fmt: skip
        self.margins = padding

    def forward(self, x):
        return super().forward(padded(x, self.margins))


def padded(x, margins: tuple[tuple[int, int], ...]):
    """(batch, channels, ...) with zeros (before, behind) each of the last axes."""
    flat = [cells for margin in reversed(margins) for cells in margin]
    return nn.functional.pad(x, flat) if any(flat) else x


class BatchNorm(nn.Module):
    """Normalisation of each channel of (batch, channels, ...) over all else: Ioffe & Szegedy (2015), algorithms 1 and 2.

    In training by the mean and (biased) variance of what is there, which also move the running mean and the (unbiased)
    running variance: these keep the share `momentum` of what they were. Otherwise by those two. Statistics are computed
    and held in at least float32.
    """

    def __init__(self, width: int, *, momentum: float, epsilon: float, dtype=None):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        wide = torch.promote_types(dtype or torch.get_default_dtype(), torch.float32)
        self.weight = nn.Parameter(torch.empty(width, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(width, dtype=dtype))
        self.register_buffer("mean", torch.empty(width, dtype=wide))
        self.register_buffer("variance", torch.empty(width, dtype=wide))

    def forward(self, x):
        if self.training and x.numel() == x.shape[1]:
            raise ValueError("x: expected more than one value of each channel in training, got one")
        wide = self.mean.dtype
        normed = nn.functional.batch_norm(
            x.to(wide), self.mean, self.variance, self.weight.to(wide), self.bias.to(wide),
            training=self.training, momentum=1.0 - self.momentum, eps=self.epsilon,
        )  # fmt: skip
        return normed.to(x.dtype)


class Dropout(nn.Dropout):
    """Zeroes with probability `rate` in training."""

    def __init__(self, rate: float):
        super().__init__(rate)

    def forward(self, x):
        return x * (1.0 - self.p) if self.training and is_replaced() else super().forward(x)
