"""ALIGN: Jia et al., "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision" (2021).

Its image tower is EfficientNet: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019).
"""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.configs.align import STEM_KERNEL, STEM_PADDING, STEM_STRIDE, BlockShape
from multimodal.configs.base import PretrainedConfig
from multimodal.dtypes import Types
from multimodal.flax.annotations import Tensor
from multimodal.flax.layers.activations import ACTIVATIONS
from multimodal.flax.layers.basic import PRECISION, BatchNorm, Conv2D, DepthwiseConv2D, Linear, StochasticDepth
from multimodal.flax.layers.encoder import Stack
from multimodal.flax.layers.text import TextNetwork
from multimodal.flax.losses import contrastive
from multimodal.flax.pretrained import FlaxPretrainedModel
from multimodal.modeling.align import SMOOTHING, TwoTowers
from multimodal.modeling.outputs import BaseModelOutputWithPoolingAndCrossAttentions, Values
from multimodal.modeling.structures import NetworkOutput
from multimodal.specs import align as specs
from multimodal.specs.align import AlignOutput, BaseModelOutputWithPoolingAndNoAttention, TwoTowerOutput


class ImageStem(nn.Module):
    """The first convolution, which halves the image, normalised."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, dtype = self.config, self.dtype
        self.activation = ACTIVATIONS[config.hidden_act]
        self.stem = Conv2D(
            config.num_channels, config.stem_channels, (STEM_KERNEL,) * 2, (STEM_STRIDE,) * 2,
            padding=(STEM_PADDING,) * 2, bias=False, dtype=dtype,
        )  # fmt: skip
        self.norm = BatchNorm(config.stem_channels, **norm(config, dtype))

    def __call__(self, pixel_values, train: bool = False):  # b c h w -> b y x d
        return self.activation(self.norm(self.stem(jnp.transpose(pixel_values, (0, 2, 3, 1))), train))


class SqueezeExcitation(nn.Module):
    """Channels scaled by what all of the image says: Hu et al., "Squeeze-and-Excitation Networks" (2018), section 3."""

    channels: int
    _: KW_ONLY
    squeezed: int
    activation: str
    dtype: Types = Types()

    def setup(self):
        self.reduce = Conv2D(self.channels, self.squeezed, (1, 1), (1, 1), dtype=self.dtype)
        self.expand = Conv2D(self.squeezed, self.channels, (1, 1), (1, 1), dtype=self.dtype)

    def __call__(self, x):  # b y x d
        scale = self.expand(ACTIVATIONS[self.activation](self.reduce(x.mean((1, 2), keepdims=True))))
        return x * jax.nn.sigmoid(scale)


class InvertedBottleneck(nn.Module):
    """Expand, convolve each channel, squeeze and excite, project: Tan and Le (2019), table 1; Sandler et al. (2018).

    A block that repeats the one before it is added to what that gives, and left out for some examples in training.
    """

    config: Any
    shape: BlockShape
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, shape, dtype = self.config, self.shape, self.dtype
        self.activation = ACTIVATIONS[config.hidden_act]
        inner = shape.expanded
        if inner != shape.inputs:
            self.expand = Conv2D(shape.inputs, inner, (1, 1), (1, 1), bias=False, dtype=dtype)
            self.expand_norm = BatchNorm(inner, **norm(config, dtype))
        self.depthwise = DepthwiseConv2D(
            inner, (shape.kernel,) * 2, stride=shape.stride, padding=(shape.padding,) * 2, bias=False, dtype=dtype
        )
        self.depthwise_norm = BatchNorm(inner, **norm(config, dtype))
        self.squeeze = SqueezeExcitation(inner, squeezed=shape.squeezed, activation=config.hidden_act, dtype=dtype)
        self.project = Conv2D(inner, shape.outputs, (1, 1), (1, 1), bias=False, dtype=dtype)
        self.project_norm = BatchNorm(shape.outputs, **norm(config, dtype))
        self.dropout = StochasticDepth(shape.drop_rate)

    def __call__(self, x, *, weights=False, train: bool = False):  # b y x d -> (b y x d,)
        before = x
        if self.shape.expanded != self.shape.inputs:
            x = self.activation(self.expand_norm(self.expand(x), train))
        x = self.activation(self.depthwise_norm(self.depthwise(x), train))
        x = self.project_norm(self.project(self.squeeze(x)), train)
        return (before + self.dropout(x, train) if self.shape.is_repeat else x,)


class ImageStack(Stack):
    """Blocks one after the other, collecting what each makes of the image."""

    channels_last = True  # inside; parity shows it as torch has it

    def __call__(self, x, *, states=False, train: bool = False) -> NetworkOutput:
        hidden = [x]
        for block in self.blocks:
            (x,) = self.run(block, x, train=train)
            hidden.append(x)
        return NetworkOutput(x, hidden_states=tuple(hidden) if states else None)


class ImageNetwork(nn.Module):
    """EfficientNet without its last convolution and its classifier: a stem, blocks, and what they give pooled."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.embeddings = ImageStem(config, dtype=dtype)
        blocks = [InvertedBottleneck(config, shape, dtype=dtype) for shape in config.blocks]
        self.encoder = ImageStack(blocks, recompute=self.recompute)

    def __call__(self, pixel_values, states=False, train: bool = False) -> NetworkOutput:
        output = self.encoder(self.embeddings(pixel_values, train), states=states, train=train)
        pooled = output.x.mean((1, 2)) if self.config.pooling_type == "mean" else largest(output.x)
        states = output.hidden_states and tuple(map(channels_first, output.hidden_states))
        return output._replace(x=channels_first(output.x), pooled=pooled, hidden_states=states)


def largest(x):  # b y x d -> b d
    """The largest value of each channel; of several alike the first one gets the gradient.

    (JAX's gradient of a maximum asks which values equal it, and a program may compute those a second time, otherwise
    rounded: then none does, and the gradient is no number.)
    """
    x = x.reshape(x.shape[0], -1, x.shape[-1])
    return jnp.take_along_axis(x, x.argmax(1)[:, None], 1)[:, 0]


def channels_first(x):  # b y x d -> b d y x
    """A state as it is shown."""
    return jnp.transpose(x, (0, 3, 1, 2))


def norm(config, dtype) -> dict[str, Any]:
    """Options of the normalisation behind a convolution."""
    return {"momentum": config.batch_norm_momentum, "epsilon": config.batch_norm_eps, "dtype": dtype}


def normalised(x):  # n d
    """Vectors of length 1."""
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


class Similarity(nn.Module):
    """Cosines of texts and images, divided by a temperature that is learned: section 4.1."""

    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.temperature = self.param("temperature", nn.initializers.ones, (), self.dtype.parameters)

    def __call__(self, texts, images):  # t d, i d -> both of length 1, t i
        texts, images = normalised(texts), normalised(images)
        scores = jnp.matmul(texts, images.T, precision=PRECISION) / jnp.asarray(self.temperature, texts.dtype)
        return texts, images, scores


class AlignNetwork(nn.Module):
    """Both towers, and how similar what they give is."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, options = self.config, {"dtype": self.dtype, "recompute": self.recompute}
        self.text_model = TextNetwork(config.text_config, self.parts, **options)
        self.vision_model = ImageNetwork(config.vision_config, self.parts, **options)
        self.text_projection = Linear(config.text_config.hidden_size, config.projection_dim, dtype=self.dtype)
        self.similarity = Similarity(dtype=self.dtype)

    def read(self, weights=False, states=False, train: bool = False, **inputs) -> NetworkOutput:
        output = self.text_model(**inputs, weights=weights, states=states, train=train)
        return output._replace(features=self.text_projection(output.x[:, 0]))

    def see(self, pixel_values, states=False, train: bool = False) -> NetworkOutput:
        output = self.vision_model(pixel_values, states=states, train=train)
        return output._replace(features=output.pooled)

    def __call__(self, pixel_values, weights=False, states=False, train: bool = False, **inputs) -> TwoTowerOutput:
        text = self.read(weights=weights, states=states, train=train, **inputs)
        vision = self.see(pixel_values, states=states, train=train)
        texts, images, logits = self.similarity(text.features, vision.features)
        return TwoTowerOutput(text, vision, texts, images, logits, logits.T)


class FlaxAlignTextModel(FlaxPretrainedModel):
    """The text tower."""

    spec = specs.AlignTextModel

    def __init__(self, config: PretrainedConfig, add_pooling_layer: bool = True, **options: Any):
        super().__init__(config, parts=("base", *(("pooler",) if add_pooling_layer else ())), **options)

    def _build(self):
        return TextNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
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
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        return self._output(return_dict, output)


class FlaxAlignVisionModel(FlaxPretrainedModel):
    """The image tower."""

    spec = specs.AlignVisionModel

    def _build(self):
        return ImageNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        pixel_values: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
    ) -> BaseModelOutputWithPoolingAndNoAttention | Values:
        """Arguments and outputs: `specs.align.AlignVisionModel`."""
        inputs = {"pixel_values": pixel_values}
        self._check(inputs)
        states = self._options(False, output_hidden_states)["states"]
        output = self._apply(params, dropout_rng, **inputs, states=states, train=train)
        return self._output(return_dict, output)


class FlaxAlignModel(TwoTowers, FlaxPretrainedModel):
    """How similar texts and images are."""

    spec = specs.AlignModel

    def _build(self):
        return AlignNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        input_ids: Tensor | None = None,
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
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
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
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        loss = contrastive(output.logits_per_text, SMOOTHING) if return_loss else None
        return self._output(return_dict, output, loss=loss, **self._outputs_of(output))

    def get_text_features(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
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
        self._check_text(inputs)
        return self._features("read", params, dropout_rng, **inputs, train=train)

    def get_image_features(
        self,
        pixel_values: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
    ) -> Tensor:
        """What images are compared with texts by, before it is normalised: (images, projection_dim).

        Arguments are the image tower's; the last two are published and change nothing.
        """
        inputs = {"pixel_values": pixel_values}
        self._check_images(inputs)
        return self._features("see", params, dropout_rng, **inputs, train=train)

    def _features(self, method: str, params: Any, dropout_rng: Any, **inputs: Any) -> Any:
        """The features that one tower gives; (those, new state) where there is a new state."""
        output = self._apply(params, dropout_rng, **inputs, method=method)
        return output.features if output.state is None else (output.features, output.state)
