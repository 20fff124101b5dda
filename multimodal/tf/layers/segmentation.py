"""Heads that classify every pixel: UPerNet (Xiao et al., "Unified Perceptual Parsing for Scene Understanding", 2018) and FCN
(Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015), as BEiT has them.

Feature maps are (batch, height, width, channels).
"""

from __future__ import annotations

import tensorflow as tf

from multimodal.tf.layers.activations import ACTIVATIONS
from multimodal.tf.layers.basic import BatchNorm, Conv2D, ConvTranspose2D, Layer, sizes
from multimodal.tf.layers.resampling import pooled, upsampled

KEPT = 0.9
"""Share of a running statistic that a batch in training leaves."""
EPSILON = 1e-5
AUXILIARY = 2
"""The feature map that the auxiliary head looks at."""


class FeatureScales(Layer):
    """Maps of states that have one size: four times, twice and once as large, and where there is a fourth, half as large."""

    def __init__(self, width: int, *, dtype=None, name="scales"):
        super().__init__(dtype=dtype, name=name)
        self.first = ConvTranspose2D(width, width, (2, 2), (2, 2), dtype=dtype, name="first")
        self.norm = BatchNorm(width, momentum=KEPT, epsilon=EPSILON, dtype=dtype, name="norm")
        self.activation = ACTIVATIONS["gelu"]
        self.second = ConvTranspose2D(width, width, (2, 2), (2, 2), dtype=dtype, name="second")
        self.twice = ConvTranspose2D(width, width, (2, 2), (2, 2), dtype=dtype, name="twice")

    def call(self, maps, training=False):
        finest, fine, same, *coarse = maps
        finest = self.second(self.activation(self.norm(self.first(finest), training)))
        return [finest, self.twice(fine), same, *(tf.nn.max_pool2d(x, 2, 2, "VALID") for x in coarse)]


class NormedConv(Layer):
    """A convolution of odd size that keeps the map's, a batch normalisation, and what is positive of it."""

    def __init__(self, inputs: int, outputs: int, size: int, *, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        margin = (size // 2, size // 2)
        self.conv = Conv2D(
            inputs, outputs, (size, size), (1, 1), padding=(margin, margin), bias=False, dtype=dtype, name="conv"
        )
        self.norm = BatchNorm(outputs, momentum=KEPT, epsilon=EPSILON, dtype=dtype, name="norm")
        self.activation = ACTIVATIONS["relu"]

    def call(self, x, training=False):
        return self.activation(self.norm(self.conv(x), training))


class UPerHead(Layer):
    """Scores of each class for every cell of the finest of several feature maps.

    The coarsest map sees means over larger and larger parts of itself (Zhao et al., PSPNet, 2017); each is then added to
    the next finer one (Lin et al., FPN, 2017); all together are scored.
    """

    def __init__(self, width: int, labels_count: int, *, scales: tuple[int, ...], dtype=None, name="head"):
        super().__init__(dtype=dtype, name=name)
        self.scales = tuple(scales)
        self.pyramid = [NormedConv(width, width, 1, dtype=dtype, name=f"pyramid_{i}") for i in range(len(self.scales))]
        self.bottleneck = NormedConv((1 + len(self.scales)) * width, width, 3, dtype=dtype, name="bottleneck")
        self.lateral = [NormedConv(width, width, 1, dtype=dtype, name=f"lateral_{i}") for i in range(3)]
        self.smooth = [NormedConv(width, width, 3, dtype=dtype, name=f"smooth_{i}") for i in range(3)]
        self.fusion = NormedConv(4 * width, width, 3, dtype=dtype, name="fusion")
        self.out = Conv2D(width, labels_count, (1, 1), (1, 1), dtype=dtype, name="out")

    def call(self, maps, training=False):
        x = self.context(maps[-1], training)
        rising = [x]
        for level in (2, 1, 0):
            finer = self.lateral[level](maps[level], training)
            x = finer + upsampled(x, sizes(finer)[1:3])
            rising.insert(0, x)
        smoothed = [smooth(x, training) for smooth, x in zip(self.smooth, rising)] + rising[3:]
        size = sizes(smoothed[0])[1:3]
        return self.out(self.fusion(tf.concat([upsampled(x, size) for x in smoothed], -1), training))

    def context(self, x, training=False):
        """The coarsest map, with what larger parts of it say."""
        parts = [
            upsampled(conv(pooled(x, (scale, scale)), training), sizes(x)[1:3])
            for scale, conv in zip(self.scales, self.pyramid)
        ]
        return self.bottleneck(tf.concat([x, *parts], -1), training)


class FCNHead(Layer):
    """Scores of each class for every cell of one feature map; with `joined` its convolutions see the map again."""

    def __init__(
        self, width: int, labels_count: int, *, channels: int, depth: int, joined: bool, dtype=None, name="auxiliary"
    ):
        super().__init__(dtype=dtype, name=name)
        inputs = [width, *([channels] * depth)]
        self.convs = [
            NormedConv(each, channels, 3, dtype=dtype, name=f"convs_{i}") for i, each in enumerate(inputs[:-1])
        ]
        self.joiner = NormedConv(width + inputs[-1], channels, 3, dtype=dtype, name="joiner") if joined else None
        self.out = Conv2D(channels, labels_count, (1, 1), (1, 1), dtype=dtype, name="out")

    def call(self, maps, training=False):
        seen = x = maps[AUXILIARY]
        for conv in self.convs:
            x = conv(x, training)
        return self.out(x if self.joiner is None else self.joiner(tf.concat([seen, x], -1), training))
