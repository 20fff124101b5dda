"""Heads that classify every pixel: UPerNet (Xiao et al., "Unified Perceptual Parsing for Scene Understanding", 2018) and FCN
(Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015), as BEiT has them.

Feature maps are (batch, channels, height, width).
"""

from __future__ import annotations

import torch
from torch import nn

from multimodal.pt.layers.activations import ACTIVATIONS
from multimodal.pt.layers.basic import BatchNorm, Conv2D, ConvTranspose2D
from multimodal.pt.layers.resampling import pooled, upsampled

KEPT = 0.9
"""Share of a running statistic that a batch in training leaves."""
EPSILON = 1e-5
AUXILIARY = 2
"""The feature map that the auxiliary head looks at."""


class FeatureScales(nn.Module):
    """Maps of states that have one size: four times, twice and once as large, and where there is a fourth, half as large."""

    def __init__(self, width: int, *, dtype=None):
        super().__init__()
        self.first = ConvTranspose2D(width, width, (2, 2), (2, 2), dtype=dtype)
        self.norm = BatchNorm(width, momentum=KEPT, epsilon=EPSILON, dtype=dtype)
        self.activation = ACTIVATIONS["gelu"]
        self.second = ConvTranspose2D(width, width, (2, 2), (2, 2), dtype=dtype)
        self.twice = ConvTranspose2D(width, width, (2, 2), (2, 2), dtype=dtype)

    def forward(self, maps):
        finest, fine, same, *coarse = maps
        finest = self.second(self.activation(self.norm(self.first(finest))))
        return [finest, self.twice(fine), same, *(nn.functional.max_pool2d(x, 2) for x in coarse)]


class NormedConv(nn.Module):
    """A convolution of odd size that keeps the map's, a batch normalisation, and what is positive of it."""

    def __init__(self, inputs: int, outputs: int, size: int, *, dtype=None):
        super().__init__()
        margin = (size // 2, size // 2)
        self.conv = Conv2D(inputs, outputs, (size, size), (1, 1), padding=(margin, margin), bias=False, dtype=dtype)
        self.norm = BatchNorm(outputs, momentum=KEPT, epsilon=EPSILON, dtype=dtype)
        self.activation = ACTIVATIONS["relu"]

    def forward(self, x):
        return self.activation(self.norm(self.conv(x)))


class UPerHead(nn.Module):
    """Scores of each class for every cell of the finest of several feature maps.

    The coarsest map sees means over larger and larger parts of itself (Zhao et al., PSPNet, 2017); each is then added to
    the next finer one (Lin et al., FPN, 2017); all together are scored.
    """

    def __init__(self, width: int, labels_count: int, *, scales: tuple[int, ...], dtype=None):
        super().__init__()
        self.scales = tuple(scales)
        self.pyramid = nn.ModuleList([NormedConv(width, width, 1, dtype=dtype) for _ in self.scales])
        self.bottleneck = NormedConv((1 + len(self.scales)) * width, width, 3, dtype=dtype)
        self.lateral = nn.ModuleList([NormedConv(width, width, 1, dtype=dtype) for _ in range(3)])
        self.smooth = nn.ModuleList([NormedConv(width, width, 3, dtype=dtype) for _ in range(3)])
        self.fusion = NormedConv(4 * width, width, 3, dtype=dtype)
        self.out = Conv2D(width, labels_count, (1, 1), (1, 1), dtype=dtype)

    def forward(self, maps):
        x = self.context(maps[-1])
        rising = [x]
        for level in (2, 1, 0):
            finer = self.lateral[level](maps[level])
            x = finer + upsampled(x, finer.shape[2:])
            rising.insert(0, x)
        smoothed = [smooth(x) for smooth, x in zip(self.smooth, rising)] + rising[3:]
        size = smoothed[0].shape[2:]
        return self.out(self.fusion(torch.cat([upsampled(x, size) for x in smoothed], 1)))

    def context(self, x):
        """The coarsest map, with what larger parts of it say."""
        parts = [
            upsampled(conv(pooled(x, (scale, scale))), x.shape[2:]) for scale, conv in zip(self.scales, self.pyramid)
        ]
        return self.bottleneck(torch.cat([x, *parts], 1))


class FCNHead(nn.Module):
    """Scores of each class for every cell of one feature map; with `joined` its convolutions see the map again."""

    def __init__(self, width: int, labels_count: int, *, channels: int, depth: int, joined: bool, dtype=None):
        super().__init__()
        inputs = [width, *([channels] * depth)]
        self.convs = nn.ModuleList([NormedConv(each, channels, 3, dtype=dtype) for each in inputs[:-1]])
        self.joiner = NormedConv(width + inputs[-1], channels, 3, dtype=dtype) if joined else None
        self.out = Conv2D(channels, labels_count, (1, 1), (1, 1), dtype=dtype)

    def forward(self, maps):
        seen = x = maps[AUXILIARY]
        for conv in self.convs:
            x = conv(x)
        return self.out(x if self.joiner is None else self.joiner(torch.cat([seen, x], 1)))
