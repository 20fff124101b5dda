"""Heads that classify every pixel: UPerNet (Xiao et al., "Unified Perceptual Parsing for Scene Understanding", 2018) and FCN
(Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015), as BEiT has them.

Feature maps are (batch, height, width, channels).
"""

from __future__ import annotations

from dataclasses import KW_ONLY

import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.activations import ACTIVATIONS
from multimodal.flax.layers.basic import BatchNorm, Conv2D, ConvTranspose2D
from multimodal.flax.layers.resampling import pooled, upsampled

KEPT = 0.9
"""Share of a running statistic that a batch in training leaves."""
EPSILON = 1e-5
AUXILIARY = 2
"""The feature map that the auxiliary head looks at."""


class FeatureScales(nn.Module):
    """Maps of states that have one size: four times, twice and once as large, and where there is a fourth, half as large."""

    width: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.first = ConvTranspose2D(self.width, self.width, (2, 2), (2, 2), dtype=self.dtype)
        self.norm = BatchNorm(self.width, momentum=KEPT, epsilon=EPSILON, dtype=self.dtype)
        self.activation = ACTIVATIONS["gelu"]
        self.second = ConvTranspose2D(self.width, self.width, (2, 2), (2, 2), dtype=self.dtype)
        self.twice = ConvTranspose2D(self.width, self.width, (2, 2), (2, 2), dtype=self.dtype)

    def __call__(self, maps, train: bool = False):
        finest, fine, same, *coarse = maps
        finest = self.second(self.activation(self.norm(self.first(finest), train)))
        return [finest, self.twice(fine), same, *(nn.max_pool(x, (2, 2), (2, 2)) for x in coarse)]


class NormedConv(nn.Module):
    """A convolution of odd size that keeps the map's, a batch normalisation, and what is positive of it."""

    inputs: int
    outputs: int
    size: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        margin, size = (self.size // 2, self.size // 2), (self.size, self.size)
        self.conv = Conv2D(
            self.inputs, self.outputs, size, (1, 1), padding=(margin, margin), bias=False, dtype=self.dtype
        )
        self.norm = BatchNorm(self.outputs, momentum=KEPT, epsilon=EPSILON, dtype=self.dtype)
        self.activation = ACTIVATIONS["relu"]

    def __call__(self, x, train: bool = False):
        return self.activation(self.norm(self.conv(x), train))


class UPerHead(nn.Module):
    """Scores of each class for every cell of the finest of several feature maps.

    The coarsest map sees means over larger and larger parts of itself (Zhao et al., PSPNet, 2017); each is then added to
    the next finer one (Lin et al., FPN, 2017); all together are scored.
    """

    width: int
    labels_count: int
    _: KW_ONLY
    scales: tuple[int, ...]
    dtype: Types = Types()

    def setup(self):
        width, dtype = self.width, self.dtype
        self.pyramid = [NormedConv(width, width, 1, dtype=dtype) for _ in self.scales]
        self.bottleneck = NormedConv((1 + len(self.scales)) * width, width, 3, dtype=dtype)
        self.lateral = [NormedConv(width, width, 1, dtype=dtype) for _ in range(3)]
        self.smooth = [NormedConv(width, width, 3, dtype=dtype) for _ in range(3)]
        self.fusion = NormedConv(4 * width, width, 3, dtype=dtype)
        self.out = Conv2D(width, self.labels_count, (1, 1), (1, 1), dtype=dtype)

    def __call__(self, maps, train: bool = False):
        x = self.context(maps[-1], train)
        rising = [x]
        for level in (2, 1, 0):
            finer = self.lateral[level](maps[level], train)
            x = finer + upsampled(x, finer.shape[1:3])
            rising.insert(0, x)
        smoothed = [smooth(x, train) for smooth, x in zip(self.smooth, rising)] + rising[3:]
        size = smoothed[0].shape[1:3]
        return self.out(self.fusion(jnp.concatenate([upsampled(x, size) for x in smoothed], -1), train))

    def context(self, x, train: bool = False):
        """The coarsest map, with what larger parts of it say."""
        parts = [
            upsampled(conv(pooled(x, (scale, scale)), train), x.shape[1:3])
            for scale, conv in zip(self.scales, self.pyramid)
        ]
        return self.bottleneck(jnp.concatenate([x, *parts], -1), train)


class FCNHead(nn.Module):
    """Scores of each class for every cell of one feature map; with `joined` its convolutions see the map again."""

    width: int
    labels_count: int
    _: KW_ONLY
    channels: int
    depth: int
    joined: bool
    dtype: Types = Types()

    def setup(self):
        inputs = [self.width, *([self.channels] * self.depth)]
        self.convs = [NormedConv(each, self.channels, 3, dtype=self.dtype) for each in inputs[:-1]]
        self.joiner = NormedConv(self.width + inputs[-1], self.channels, 3, dtype=self.dtype) if self.joined else None
        self.out = Conv2D(self.channels, self.labels_count, (1, 1), (1, 1), dtype=self.dtype)

    def __call__(self, maps, train: bool = False):
        seen = x = maps[AUXILIARY]
        for conv in self.convs:
            x = conv(x, train)
        return self.out(x if self.joiner is None else self.joiner(jnp.concatenate([seen, x], -1), train))
