"""ALIGN: Jia et al., "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision" (2021).

Its image tower is EfficientNet: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from multimodal.configs.align import STEM_KERNEL, STEM_PADDING, STEM_STRIDE, BlockShape
from multimodal.configs.base import PretrainedConfig
from multimodal.modeling.align import SMOOTHING, TwoTowers
from multimodal.modeling.outputs import BaseModelOutputWithPoolingAndCrossAttentions, Values
from multimodal.modeling.structures import NetworkOutput
from multimodal.specs import align as specs
from multimodal.specs.align import AlignOutput, BaseModelOutputWithPoolingAndNoAttention, TwoTowerOutput
from multimodal.tf.annotations import Inputs, Tensor
from multimodal.tf.inputs import tensors
from multimodal.tf.layers.activations import ACTIVATIONS
from multimodal.tf.layers.basic import BatchNorm, Conv2D, DepthwiseConv2D, Layer, Linear, StochasticDepth, sizes
from multimodal.tf.layers.encoder import Stack
from multimodal.tf.layers.text import TextNetwork
from multimodal.tf.losses import contrastive
from multimodal.tf.pretrained import TFPretrainedModel


class ImageStem(Layer):
    """The first convolution, which halves the image, normalised."""

    def __init__(self, config, *, dtype=None, name="embeddings"):
        super().__init__(dtype=dtype, name=name)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.stem = Conv2D(
            config.num_channels, config.stem_channels, (STEM_KERNEL,) * 2, (STEM_STRIDE,) * 2,
            padding=(STEM_PADDING,) * 2, bias=False, dtype=dtype, name="stem",
        )  # fmt: skip
        self.norm = BatchNorm(config.stem_channels, **norm(config, dtype), name="norm")

    def call(self, pixel_values, training=False):  # b c h w -> b y x d
        return self.activation(self.norm(self.stem(tf.transpose(pixel_values, (0, 2, 3, 1))), training))


class SqueezeExcitation(Layer):
    """Channels scaled by what all of the image says: Hu et al., "Squeeze-and-Excitation Networks" (2018), section 3."""

    def __init__(self, channels: int, *, squeezed: int, activation: str, dtype=None, name="squeeze"):
        super().__init__(dtype=dtype, name=name)
        self.activation = ACTIVATIONS[activation]
        self.reduce = Conv2D(channels, squeezed, (1, 1), (1, 1), dtype=dtype, name="reduce")
        self.expand = Conv2D(squeezed, channels, (1, 1), (1, 1), dtype=dtype, name="expand")

    def call(self, x):  # b y x d
        scale = self.expand(self.activation(self.reduce(tf.reduce_mean(x, (1, 2), keepdims=True))))
        return x * tf.sigmoid(scale)


class InvertedBottleneck(Layer):
    """Expand, convolve each channel, squeeze and excite, project: Tan and Le (2019), table 1; Sandler et al. (2018).

    A block that repeats the one before it is added to what that gives, and left out for some examples in training.
    """

    def __init__(self, config, shape: BlockShape, *, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.is_repeat = shape.is_repeat
        inner = shape.expanded
        self.expand = self.expand_norm = None
        if inner != shape.inputs:
            self.expand = Conv2D(shape.inputs, inner, (1, 1), (1, 1), bias=False, dtype=dtype, name="expand")
            self.expand_norm = BatchNorm(inner, **norm(config, dtype), name="expand_norm")
        self.depthwise = DepthwiseConv2D(
            inner, (shape.kernel,) * 2, stride=shape.stride, padding=(shape.padding,) * 2, bias=False, dtype=dtype,
            name="depthwise",
        )  # fmt: skip
        self.depthwise_norm = BatchNorm(inner, **norm(config, dtype), name="depthwise_norm")
        self.squeeze = SqueezeExcitation(inner, squeezed=shape.squeezed, activation=config.hidden_act, dtype=dtype)
        self.project = Conv2D(inner, shape.outputs, (1, 1), (1, 1), bias=False, dtype=dtype, name="project")
        self.project_norm = BatchNorm(shape.outputs, **norm(config, dtype), name="project_norm")
        self.dropout = StochasticDepth(shape.drop_rate, dtype=dtype, name="dropout")

    def call(self, x, *, weights=False, training=False):  # b y x d -> (b y x d,)
        before = x
        if self.expand is not None and self.expand_norm is not None:
            x = self.activation(self.expand_norm(self.expand(x), training))
        x = self.activation(self.depthwise_norm(self.depthwise(x), training))
        x = self.project_norm(self.project(self.squeeze(x)), training)
        return (before + self.dropout(x, training) if self.is_repeat else x,)


class ImageStack(Stack):
    """Blocks one after the other, collecting what each makes of the image."""

    channels_last = True  # inside; parity shows it as torch has it

    def call(self, x, *, states=False, training=False) -> NetworkOutput:
        hidden = [x]
        for block in self.blocks:
            (x,) = self.run(block, x, training=training)
            hidden.append(x)
        return NetworkOutput(x, hidden_states=tuple(hidden) if states else None)


class ImageNetwork(Layer):
    """EfficientNet without its last convolution and its classifier: a stem, blocks, and what they give pooled."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.is_mean = config.pooling_type == "mean"
        self.embeddings = ImageStem(config, dtype=dtype)
        blocks = [
            InvertedBottleneck(config, shape, dtype=dtype, name=f"blocks_{index}")
            for index, shape in enumerate(config.blocks)
        ]
        self.encoder = ImageStack(blocks, dtype=dtype, name="encoder")

    def call(self, pixel_values, states=False, training=False) -> NetworkOutput:
        output = self.encoder(self.embeddings(pixel_values, training), states=states, training=training)
        pooled = tf.reduce_mean(output.x, (1, 2)) if self.is_mean else largest(output.x)
        states = output.hidden_states and tuple(map(channels_first, output.hidden_states))
        return output._replace(x=channels_first(output.x), pooled=pooled, hidden_states=states)


def largest(x):  # b y x d -> b d
    """The largest value of each channel; of several alike the first one gets the gradient."""
    batch, rows, columns, channels = sizes(x)
    x = tf.transpose(tf.reshape(x, (batch, rows * columns, channels)), (0, 2, 1))
    return tf.gather(x, tf.argmax(x, -1), batch_dims=2)


def channels_first(x):  # b y x d -> b d y x
    """A state as it is shown."""
    return tf.transpose(x, (0, 3, 1, 2))


def norm(config, dtype) -> dict[str, Any]:
    """Options of the normalisation behind a convolution."""
    return {"momentum": config.batch_norm_momentum, "epsilon": config.batch_norm_eps, "dtype": dtype}


def normalised(x):  # n d
    """Vectors of length 1."""
    return x / tf.norm(x, axis=-1, keepdims=True)


class Similarity(Layer):
    """Cosines of texts and images, divided by a temperature that is learned: section 4.1."""

    def __init__(self, *, dtype=None, name="similarity"):
        super().__init__(dtype=dtype, name=name)
        self.temperature = self.add_weight(name="temperature", shape=(), initializer="ones")

    def call(self, texts, images):  # t d, i d -> both of length 1, t i
        texts, images = normalised(texts), normalised(images)
        scores = tf.matmul(texts, images, transpose_b=True) / tf.cast(self.temperature, texts.dtype)
        return texts, images, scores


class AlignNetwork(Layer):
    """Both towers, and how similar what they give is."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.text_model = TextNetwork(config.text_config, parts, dtype=dtype, name="text_model")
        self.vision_model = ImageNetwork(config.vision_config, parts, dtype=dtype, name="vision_model")
        widths = (config.text_config.hidden_size, config.projection_dim)
        self.text_projection = Linear(*widths, dtype=dtype, name="text_projection")
        self.similarity = Similarity(dtype=dtype)

    def read(self, weights=False, states=False, training=False, **inputs) -> NetworkOutput:
        output = self.text_model(**inputs, weights=weights, states=states, training=training)
        return output._replace(features=self.text_projection(output.x[:, 0]))

    def see(self, pixel_values, states=False, training=False) -> NetworkOutput:
        output = self.vision_model(pixel_values, states=states, training=training)
        return output._replace(features=output.pooled)

    def call(self, pixel_values, weights=False, states=False, training=False, **inputs) -> TwoTowerOutput:
        text = self.read(weights=weights, states=states, training=training, **inputs)
        vision = self.see(pixel_values, states=states, training=training)
        texts, images, logits = self.similarity(text.features, vision.features)
        return TwoTowerOutput(text, vision, texts, images, logits, tf.transpose(logits))


class TFAlignTextModel(TFPretrainedModel):
    """The text tower."""

    spec = specs.AlignTextModel

    def __init__(self, config: PretrainedConfig, add_pooling_layer: bool = True, **options: Any):
        super().__init__(config, parts=("base", *(("pooler",) if add_pooling_layer else ())), **options)

    def _build(self):
        return TextNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        input_ids: Inputs | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
    ) -> BaseModelOutputWithPoolingAndCrossAttentions | Values:
        """Arguments and outputs: `specs.align.AlignTextModel`."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
        }
        self._check(inputs)
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        return self._output(return_dict, output)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> BaseModelOutputWithPoolingAndCrossAttentions | Values: ...


class TFAlignVisionModel(TFPretrainedModel):
    """The image tower."""

    spec = specs.AlignVisionModel

    def _build(self):
        return ImageNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        pixel_values: Inputs | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
    ) -> BaseModelOutputWithPoolingAndNoAttention | Values:
        """Arguments and outputs: `specs.align.AlignVisionModel`."""
        inputs = {"pixel_values": pixel_values}
        self._check(inputs)
        states = self._options(False, output_hidden_states)["states"]
        output = self.network(**inputs, states=states, training=training)
        return self._output(return_dict, output)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> BaseModelOutputWithPoolingAndNoAttention | Values: ...


class TFAlignModel(TwoTowers, TFPretrainedModel):
    """How similar texts and images are."""

    spec = specs.AlignModel

    def _build(self):
        return AlignNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        input_ids: Inputs | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        return_loss: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
    ) -> AlignOutput | Values:
        """Arguments and outputs: `specs.align.AlignModel`."""
        inputs = {
            "input_ids": input_ids,
            "pixel_values": pixel_values,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
        }
        self._check({**inputs, "return_loss": return_loss})
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        loss = contrastive(output.logits_per_text, SMOOTHING) if return_loss else None
        return self._output(return_dict, output, loss=loss, **self._outputs_of(output))

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> AlignOutput | Values: ...

    def get_text_features(
        self,
        input_ids: Inputs | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
    ) -> Tensor:
        """What texts are compared with images by, before it is normalised: (batch, projection_dim).

        Arguments are the text tower's; the last three are published and change nothing.
        """
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
        }
        inputs = tensors(self.spec, inputs, self.dtype_policy)
        self._check_text(inputs)
        return self.network.read(**inputs, training=training).features

    def get_image_features(
        self,
        pixel_values: Inputs | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
    ) -> Tensor:
        """What images are compared with texts by, before it is normalised: (images, projection_dim).

        Arguments are the image tower's; the last two are published and change nothing.
        """
        inputs = tensors(self.spec, {"pixel_values": pixel_values}, self.dtype_policy)
        self._check_images(inputs)
        return self.network.see(**inputs, training=training).features
