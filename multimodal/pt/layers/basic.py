"""Elementary layers under the names that the blocks of every backend use. No option is left to a default."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.modeling.dropout import is_replaced
from multimodal.modeling.recomputation import is_again
from multimodal.pt.products import linear


class Linear(nn.Linear):
    """(..., inputs) -> (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, dtype=None):
        super().__init__(inputs, outputs, bias=bias, dtype=dtype)

    def forward(self, x):
        return linear(x, self.weight, self.bias)


class LayerNorm(nn.LayerNorm):
    """Normalisation over the last axis: Ba et al. (2016). Without `affine` it has no scale and bias."""

    def __init__(self, width: int, epsilon: float, *, affine: bool = True, dtype=None):
        super().__init__(width, eps=epsilon, elementwise_affine=affine, dtype=dtype)


class Embedding(nn.Embedding):
    """A table of vectors, looked up by id. The vector of `padding_id` gets no gradient from being looked up; where the table
    does not learn (`learns`), none does."""

    def __init__(self, entries: int, width: int, *, dtype=None, padding_id: int | None = None, learns: bool = True):
        super().__init__(entries, width, padding_idx=padding_id, dtype=dtype)
        self.weight.requires_grad_(learns)


class Conv1D(nn.Conv1d):
    """Convolution of sequences (batch, channels, length); `padding` are the zeros (before, behind)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, padding: tuple[int, int] = (0, 0),
                 groups: int = 1, dilation: int = 1, bias: bool = True, dtype=None):  # fmt: skip
        super().__init__(
            inputs, outputs, kernel, stride=stride, padding=even((padding,)), dilation=dilation, groups=groups, bias=bias,
            dtype=dtype,
        )  # fmt: skip
        self.margins = uneven((padding,))

    def forward(self, x):
        return super().forward(padded(x, self.margins))


class Conv2D(nn.Conv2d):
    """Convolution of images (batch, channels, height, width); `padding` are the zeros ((above, below), (left, right))."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], *, dtype=None,
                 padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)), groups: int = 1,
                 dilation: tuple[int, int] = (1, 1), bias: bool = True):  # fmt: skip
        super().__init__(
            inputs, outputs, kernel, stride=stride, padding=even(padding), dilation=dilation, groups=groups, bias=bias,
            dtype=dtype,
        )  # fmt: skip
        self.margins = uneven(padding)

    def forward(self, x):
        return super().forward(padded(x, self.margins))


class DepthwiseConv2D(nn.Conv2d):
    """Convolution of each channel of images (batch, channels, height, width) by itself; `padding` as in `Conv2D`."""

    def __init__(self, channels: int, kernel: tuple[int, int], *, stride: int = 1,
                 padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)), dilation: int = 1,
                 bias: bool = True, dtype=None):  # fmt: skip
        super().__init__(
            channels, channels, kernel, stride=stride, padding=even(padding), dilation=dilation, groups=channels, bias=bias,
            dtype=dtype,
        )  # fmt: skip
        self.margins = uneven(padding)

    def forward(self, x):
        return super().forward(padded(x, self.margins))


class ConvTranspose2D(nn.ConvTranspose2d):
    """The transpose of a convolution, without padding: images (batch, channels, height, width) become `stride` times as
    large, and what a kernel adds beside that."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], *, dtype=None):
        super().__init__(inputs, outputs, kernel, stride=stride, padding=0, output_padding=0, dtype=dtype)


def even(margins: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Of zeros (before, behind) each axis as many as are on both sides: torch's convolutions add them without a copy."""
    return tuple(min(margin) for margin in margins)


def uneven(margins: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The zeros (before, behind) that are left."""
    return tuple((before - min(before, behind), behind - min(before, behind)) for before, behind in margins)


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

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, width: int, *, momentum: float, epsilon: float, dtype=None):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        wide = torch.promote_types(dtype or torch.get_default_dtype(), torch.float32)
        self.weight = nn.Parameter(torch.empty(width, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(width, dtype=dtype))
        self.register_buffer("mean", torch.empty(width, dtype=wide))
        self.register_buffer("variance", torch.empty(width, dtype=wide))

    def forward(self, x):
        wide, weight, bias = (tensor.to(self.mean.dtype) for tensor in (x, self.weight, self.bias))
        if not self.training:
            normed = nn.functional.batch_norm(wide, self.mean, self.variance, weight, bias, eps=self.epsilon)
            return normed.to(x.dtype)
        wide = wide.movedim(1, -1)
        centred, variance = self.moments(wide)
        normed = centred * (torch.rsqrt(variance + self.epsilon) * weight) + bias
        return normed.movedim(-1, 1).to(x.dtype)

    def moments(self, x):
        """(`x` without the mean, biased variance) of each channel of `x` (batch, ..., channels); running statistics follow.

        Where a spread is far smaller than the mean, the mean cannot hold what rounding left of it: that comes off too.
        torch's own kernel normalises as well; its gradients in float32 are sums that lose a digit or two where they cancel.
        """
        axes, count = tuple(range(x.ndim - 1)), x.numel() // x.shape[-1]
        if count < 2:
            raise ValueError("x: expected more than one value of each channel in training, got one")
        mean = x.mean(axes)
        rest = (x - mean).mean(axes).detach()
        centred = x - mean - rest
        variance = centred.square().mean(axes)
        if is_again():
            return centred, variance
        with torch.no_grad():
            for running, new in ((self.mean, mean + rest), (self.variance, variance * (count / (count - 1)))):
                running.copy_(running * self.momentum + new * (1.0 - self.momentum))
        return centred, variance


class Dropout(nn.Dropout):
    """Zeroes with probability `rate` in training."""

    def __init__(self, rate: float):
        super().__init__(rate)

    def forward(self, x):
        return x * (1.0 - self.p) if self.training and is_replaced() else super().forward(x)


class StochasticDepth(nn.Module):
    """Zeroes whole examples of the batch with probability `rate` in training: Huang et al. (2016).

    On the branch beside a residual connection it leaves the layer out for them; what it keeps is scaled to keep the mean.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.rate == 0.0:
            return x
        if is_replaced():
            return x * (1.0 - self.rate)
        examples = (x.shape[0], *(1,) * (x.ndim - 1))
        kept = torch.rand(examples, device=x.device) >= self.rate
        return torch.where(kept, x / (1.0 - self.rate), torch.zeros_like(x))


class LayerDrop(nn.Module):
    """In training, with probability `rate`, a layer is skipped: Fan et al. (2020). Where dropout is its mean, none is."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, output, x):
        """`output` (states, attention weights or None, ...) of a layer; of a skipped one its input `x`, and zeros."""
        if not self.training or self.rate == 0.0 or is_replaced():
            return output
        kept = torch.rand((), device=x.device) >= self.rate
        new, *others = output
        zeroed = (None if other is None else torch.where(kept, other, torch.zeros_like(other)) for other in others)
        return torch.where(kept, new, x), *zeroed
