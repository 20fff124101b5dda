"""The small family in TensorFlow."""

import small
import tensorflow as tf

from multimodal.modeling.structures import NetworkOutput
from multimodal.tf.layers.basic import BatchNorm, Conv1D, Conv2D, DepthwiseConv2D, Layer
from multimodal.tf.pretrained import TFPretrainedModel


class SmallNetwork(Layer):
    def __init__(self, config, dtype=None):
        super().__init__(dtype=dtype, name="network")
        width, norm = config.width, {"momentum": small.MOMENTUM, "epsilon": small.EPSILON, "dtype": dtype}
        self.stem = Conv2D(
            config.num_channels, width, (3, 2), (1, 1), dtype=dtype, name="stem", **small.arguments(small.STEM)
        )
        self.norm = BatchNorm(width, **norm, name="norm")
        self.depthwise = DepthwiseConv2D(width, **small.DEPTHWISE, dtype=dtype, name="depthwise")
        self.grouped = Conv2D(
            width, width, (2, 3), (1, 1), dtype=dtype, name="grouped", **small.arguments(small.GROUPED)
        )
        self.last_norm = BatchNorm(width, **norm, name="last_norm")
        self.sequence = Conv1D(width, width, **small.SEQUENCE, dtype=dtype, name="sequence")
        self.temperature = self.add_weight(name="temperature", shape=())
        self.order = self.add_weight(
            name="order", shape=(width,), dtype="int64", initializer="zeros", trainable=False, autocast=False
        )

    def call(self, pixel_values, training=False):  # b c h w -> b (h w) width
        x = tf.tanh(self.norm(self.stem(tf.transpose(pixel_values, (0, 2, 3, 1))), training))
        x = tf.reverse(self.last_norm(self.grouped(self.depthwise(x)), training), [-1])
        x = tf.gather(x, self.order.value, axis=-1) * self.temperature
        x = self.sequence(tf.reshape(x, (tf.shape(x)[0], -1, x.shape[-1])))
        return NetworkOutput(x, pooled=tf.reduce_mean(tf.square(x), 1))


class TFSmallModel(TFPretrainedModel):
    """What `small.SmallModel` says."""

    spec = small.SmallModel

    def _build(self):
        return SmallNetwork(self.config, self.parameter_dtype)

    def call(self, pixel_values=None, return_dict=None, training=False):
        self._check({"pixel_values": pixel_values})
        output = self.network(pixel_values, training)
        return self._output(return_dict, output)
