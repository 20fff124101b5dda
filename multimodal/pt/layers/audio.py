"""Blocks of networks that hear: convolutions of samples, of positions and behind the encoder, and heads on frames.

Baevski et al., wav2vec 2.0 (2020), section 2, and data2vec (2022), section 3.1. Axes: b batch, s samples or frames, c channels.
"""

from __future__ import annotations

import torch
from torch import nn

from multimodal.configs.data2vec_audio import ADAPTER_PADDING
from multimodal.modeling.structures import NetworkOutput
from multimodal.pt.layers.activations import ACTIVATIONS
from multimodal.pt.layers.basic import Conv1D, Dropout, LayerNorm, Linear
from multimodal.pt.layers.encoder import Stack

EPSILON = 1e-5
"""Of the normalisations of convolutions, whatever a configuration says of the others."""


class FeatureLayer(nn.Module):
    """A convolution without padding, normalised over its channels, through an activation."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, bias: bool, activation: str, dtype=None):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.conv = Conv1D(inputs, outputs, kernel=kernel, stride=stride, bias=bias, dtype=dtype)
        self.norm = LayerNorm(outputs, EPSILON, dtype=dtype)

    def forward(self, x):  # b c s -> b c s
        return self.activation(self.norm(self.conv(x).mT)).mT


class FeatureEncoder(nn.Module):
    """Features of frames from samples: wav2vec 2.0, section 2."""

    def __init__(self, channels, *, kernels, strides, bias: bool, activation: str, dtype=None):
        super().__init__()
        options = {"bias": bias, "activation": activation, "dtype": dtype}
        inputs = (1, *channels[:-1])
        self.layers = nn.ModuleList(
            FeatureLayer(before, after, kernel=kernel, stride=stride, **options)
            for before, after, kernel, stride in zip(inputs, channels, kernels, strides)
        )

    def forward(self, samples):  # b s -> b s c
        x = samples[:, None]
        for layer in self.layers:
            x = layer(x)
        return x.mT


class FeatureProjection(nn.Module):
    """Features, normalised, and their projection to the width of the encoder."""

    def __init__(self, inputs: int, hidden_size: int, *, epsilon: float, dropout_rate: float, dtype=None):
        super().__init__()
        self.norm = LayerNorm(inputs, epsilon, dtype=dtype)
        self.dense = Linear(inputs, hidden_size, dtype=dtype)
        self.dropout = Dropout(dropout_rate)

    def forward(self, x):  # b s c -> b s d, b s c
        features = self.norm(x)
        return self.dropout(self.dense(features)), features


class FrameMask(nn.Module):
    """The vector that stands in the place of masked frames: wav2vec 2.0, section 3.1."""

    def __init__(self, hidden_size: int, *, dtype=None):
        super().__init__()
        self.vector = nn.Parameter(torch.empty(hidden_size, dtype=dtype))

    def forward(self, x, frames):  # b s d, b s -> b s d
        return torch.where(frames[..., None].bool(), self.vector, x)


class PositionalLayer(nn.Module):
    """A convolution in groups that keeps the length, normalised without a scale, through an activation."""

    def __init__(self, hidden_size: int, *, kernel: int, groups: int, activation: str, dtype=None):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        around = (kernel // 2, kernel - 1 - kernel // 2)
        self.conv = Conv1D(hidden_size, hidden_size, kernel=kernel, padding=around, groups=groups, dtype=dtype)
        self.norm = LayerNorm(hidden_size, EPSILON, affine=False, dtype=dtype)

    def forward(self, x):  # b s d -> b s d
        return self.activation(self.norm(self.conv(x.mT).mT))


class PositionalConvolutions(nn.Module):
    """Relative positions by convolutions over the frames: data2vec, section 3.1.

    Where `visible` (batch, frames) is given, what is hidden is silent before each of them. Without it, the frames of padding
    leak from the second on: these normalise and shift what was zero.
    """

    def __init__(self, hidden_size: int, *, count: int, kernel: int, groups: int, activation: str, dtype=None):
        super().__init__()
        options = {"kernel": kernel, "groups": groups, "activation": activation, "dtype": dtype}
        self.layers = nn.ModuleList(PositionalLayer(hidden_size, **options) for _ in range(count))

    def forward(self, x, visible=None):  # b s d -> b s d
        for layer in self.layers:
            x = layer(silenced(x, visible))
        return x


class DroppingStack(Stack):
    """Blocks of an encoder, any of which may be skipped: Fan et al. (2020), layer drop."""

    def forward(self, x, *, visible=None, kept=None, weights=False, states=False) -> NetworkOutput:
        """`kept` (layers,) is false for a block that is skipped: its input goes on, and its attention is zero."""
        hidden, attentions = [x], []
        for index, block in enumerate(self.blocks):
            new, found, *_ = self.run(block, x, visible=visible, weights=weights)
            if kept is not None:
                new = torch.where(kept[index], new, x)
                found = None if found is None else torch.where(kept[index], found, 0.0)
            x = new
            hidden.append(x)
            attentions.append(found)
        return NetworkOutput(
            x, hidden_states=tuple(hidden) if states else None, attentions=tuple(attentions) if weights else None
        )


class StateMixture(nn.Module):
    """A mean of the states between all layers, weighted by the softmax of learned scores."""

    def __init__(self, count: int, *, dtype=None):
        super().__init__()
        self.scores = nn.Parameter(torch.empty(count, dtype=dtype))

    def forward(self, states):  # count times b s d -> b s d
        shares = torch.softmax(self.scores, 0)
        return sum(share * state for share, state in zip(shares.unbind(), states))


class AdapterLayer(nn.Module):
    """A convolution to twice the width, of which one half opens the other: Dauphin et al. (2017), gated linear units."""

    def __init__(self, width: int, *, kernel: int, stride: int, dtype=None):
        super().__init__()
        around = (ADAPTER_PADDING, ADAPTER_PADDING)
        self.conv = Conv1D(width, 2 * width, kernel=kernel, stride=stride, padding=around, dtype=dtype)

    def forward(self, x):  # b s d -> b s d
        x, gates = self.conv(x.mT).mT.chunk(2, -1)
        return x * torch.sigmoid(gates)


class Adapter(nn.Module):
    """Fewer positions of another width, for a decoder: behind a projection where the widths differ, convolutions."""

    def __init__(self, hidden_size: int, width: int, *, count: int, kernel: int, stride: int, dtype=None):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        projects = hidden_size != width
        self.dense = Linear(hidden_size, width, dtype=dtype) if projects else None
        self.norm = LayerNorm(width, EPSILON, dtype=dtype) if projects else None
        self.layers = nn.ModuleList(
            AdapterLayer(width, kernel=kernel, stride=stride, dtype=dtype) for _ in range(count)
        )

    def forward(self, x, lengths=None):  # b s d -> b s d
        """Where `lengths` (batch,) are given, what lies behind them is silent before each convolution."""
        if self.dense is not None and self.norm is not None:
            x = self.norm(self.dense(x))
        for layer in self.layers:
            if lengths is not None:
                x = silenced(x, within(lengths, x))
                lengths = (lengths + 2 * ADAPTER_PADDING - self.kernel) // self.stride + 1
            x = layer(x)
        return x


class SequenceHead(nn.Module):
    """Scores of each class for a clip: the mean of its projected frames, padding left out."""

    def __init__(self, hidden_size: int, width: int, labels_count: int, *, dtype=None):
        super().__init__()
        self.dense = Linear(hidden_size, width, dtype=dtype)
        self.out = Linear(width, labels_count, dtype=dtype)

    def forward(self, x, lengths=None):  # b s d -> b labels
        return self.out(mean(self.dense(x), lengths))


class FrameHead(nn.Module):
    """Scores of each class for every frame."""

    def __init__(self, hidden_size: int, labels_count: int, *, dtype=None):
        super().__init__()
        self.out = Linear(hidden_size, labels_count, dtype=dtype)

    def forward(self, x, lengths=None):  # b s d -> b s labels
        return self.out(x)


class TimeDelay(nn.Module):
    """A convolution with gaps, whose kernel lies in a matrix (outputs, length inputs): Peddinti et al. (2015), section 3."""

    def __init__(self, inputs: int, outputs: int, *, length: int, dilation: int, dtype=None):
        super().__init__()
        self.length, self.dilation = length, dilation
        self.kernel = Linear(inputs * length, outputs, dtype=dtype)

    def forward(self, x):  # b s d -> b s d
        weight = self.kernel.weight.unflatten(1, (self.length, -1)).mT
        x = nn.functional.conv1d(x.mT, weight, self.kernel.bias, dilation=self.dilation).mT
        return ACTIVATIONS["relu"](x)


class XVectorHead(nn.Module):
    """A vector for each voice: Snyder et al., "X-Vectors" (2018), section 2. Beside it scores, and their cosines with each
    speaker's vector: Wang et al., "Additive Margin Softmax" (2018)."""

    def __init__(
        self, hidden_size: int, channels, *, lengths, dilations, vector: int, labels_count: int, dtype=None
    ):  # fmt: skip
        super().__init__()
        self.dense = Linear(hidden_size, channels[0], dtype=dtype)
        inputs = (channels[0], *channels[:-1])
        self.layers = nn.ModuleList(
            TimeDelay(before, after, length=length, dilation=dilation, dtype=dtype)
            for before, after, length, dilation in zip(inputs, channels, lengths, dilations)
        )
        self.embedding = Linear(2 * channels[-1], vector, dtype=dtype)
        self.out = Linear(vector, vector, dtype=dtype)
        self.speakers = nn.Parameter(torch.empty(vector, labels_count, dtype=dtype))

    def forward(self, x, lengths=None):  # b s d -> b v, b v, b labels
        """(embeddings, scores, cosines)"""
        before = x.shape[1]
        x = self.dense(x)
        for layer in self.layers:
            x = layer(x)
        lengths = None if lengths is None else lengths - (before - x.shape[1])
        embeddings = self.embedding(torch.cat(statistics(x, lengths), -1))
        scores = self.out(embeddings)
        return embeddings, scores, unit(scores, 1) @ unit(self.speakers, 0)


def counted(attention_mask):  # b s -> b
    """The samples of each clip."""
    return attention_mask.sum(-1)


def within(lengths, x):  # b, b s d -> b s
    """True for the first `lengths` positions of each row of `x`."""
    return torch.arange(x.shape[1], device=x.device)[None] < lengths[:, None]


def silenced(x, visible):  # b s d, b s -> b s d
    """Zeros in the place of what is not visible."""
    return x if visible is None else torch.where(visible[..., None], x, 0.0)


def mean(x, lengths):  # b s d, b -> b d
    """Mean, in at least float32, over the first `lengths` positions of each row, or over all."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if lengths is None:
        return wide.mean(1).to(x.dtype)
    return (silenced(wide, within(lengths, x)).sum(1) / lengths[:, None].to(wide.dtype)).to(x.dtype)


def statistics(x, lengths):  # b s d, b -> b d, b d
    """Mean, and standard deviation of a sample, over the first `lengths` positions of each row, or over all."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    visible = None if lengths is None else within(lengths, x)
    count = x.shape[1] if lengths is None else lengths[:, None].to(wide.dtype)
    mean = silenced(wide, visible).sum(1) / count
    squares = silenced((wide - mean[:, None]) ** 2, visible).sum(1)
    return mean.to(x.dtype), root(squares / (count - 1)).to(x.dtype)


def root(x):
    """Square root; where nothing varies its gradient is zero, and not infinite."""
    return torch.where(x > 0, torch.where(x > 0, x, 1.0).sqrt(), 0.0)


def unit(x, axis: int):
    """Vectors along an axis of length one; what is shorter than 1e-12 becomes no longer than that allows."""
    return nn.functional.normalize(x, dim=axis, eps=1e-12)
