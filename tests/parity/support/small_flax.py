"""The small family in Flax."""

from typing import Any

import jax.numpy as jnp
import small
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.basic import BatchNorm, Conv1D, Conv2D, DepthwiseConv2D
from multimodal.flax.pretrained import FlaxPretrainedModel
from multimodal.modeling.structures import NetworkOutput


class SmallNetwork(nn.Module):
    config: Any
    dtype: Types = Types()

    def setup(self):
        width, dtype = self.config.width, self.dtype
        norm = {"momentum": small.MOMENTUM, "epsilon": small.EPSILON, "dtype": dtype}
        self.stem = Conv2D(self.config.num_channels, width, (3, 2), (1, 1), dtype=dtype, **small.arguments(small.STEM))
        self.norm = BatchNorm(width, **norm)
        self.depthwise = DepthwiseConv2D(width, **small.DEPTHWISE, dtype=dtype)
        self.grouped = Conv2D(width, width, (2, 3), (1, 1), dtype=dtype, **small.arguments(small.GROUPED))
        self.last_norm = BatchNorm(width, **norm)
        self.sequence = Conv1D(width, width, **small.SEQUENCE, dtype=dtype)
        self.temperature = self.param("temperature", nn.initializers.zeros, (), self.dtype.parameters)
        self.order = self.variable("batch_stats", "order", jnp.zeros, (width,), int)

    def __call__(self, pixel_values, train: bool = False):  # b c h w -> b (h w) width
        x = jnp.tanh(self.norm(self.stem(jnp.transpose(pixel_values, (0, 2, 3, 1))), train))
        x = self.last_norm(self.grouped(self.depthwise(x)), train)[..., ::-1]
        x = x[..., self.order.value] * jnp.asarray(self.temperature, x.dtype)
        x = self.sequence(x.reshape(x.shape[0], -1, x.shape[-1]))
        return NetworkOutput(x, pooled=jnp.square(x).mean(1))


class FlaxSmallModel(FlaxPretrainedModel):
    """What `small.SmallModel` says."""

    spec = small.SmallModel

    def _build(self):
        return SmallNetwork(self._frozen, dtype=self._types)

    def __call__(self, pixel_values=None, return_dict=None, train: bool = False, params=None, dropout_rng=None):
        self._check({"pixel_values": pixel_values})
        output = self._apply(params, dropout_rng, pixel_values, train=train)
        return self._output(return_dict, output)
