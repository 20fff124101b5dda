"""ALIGN: Jia et al., "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision" (2021).

Its image tower is EfficientNet: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from multimodal.configs.align import STEM_KERNEL, STEM_PADDING, STEM_STRIDE, BlockShape
from multimodal.configs.base import PretrainedConfig
from multimodal.modeling.align import SMOOTHING, TwoTowers
from multimodal.modeling.outputs import BaseModelOutputWithPoolingAndCrossAttentions, Values
from multimodal.modeling.structures import NetworkOutput
from multimodal.pt.annotations import Tensor
from multimodal.pt.layers.activations import ACTIVATIONS
from multimodal.pt.layers.basic import BatchNorm, Conv2D, DepthwiseConv2D, Linear, StochasticDepth
from multimodal.pt.layers.encoder import Stack
from multimodal.pt.layers.text import TextNetwork
from multimodal.pt.losses import contrastive
from multimodal.pt.pretrained import PretrainedModel
from multimodal.specs import align as specs
from multimodal.specs.align import AlignOutput, BaseModelOutputWithPoolingAndNoAttention, TwoTowerOutput


class ImageStem(nn.Module):
    """The first convolution, which halves the image, normalised."""

    def __init__(self, config, *, dtype=None):
        super().__init__()
        self.activation = ACTIVATIONS[config.hidden_act]
        self.stem = Conv2D(
            config.num_channels, config.stem_channels, (STEM_KERNEL,) * 2, (STEM_STRIDE,) * 2,
            padding=(STEM_PADDING,) * 2, bias=False, dtype=dtype,
        )  # fmt: skip
        self.norm = BatchNorm(config.stem_channels, **norm(config, dtype))

    def forward(self, pixel_values):  # b c h w -> b d y x
        return self.activation(self.norm(self.stem(pixel_values.to(self.stem.weight.dtype))))


class SqueezeExcitation(nn.Module):
    """Channels scaled by what all of the image says: Hu et al., "Squeeze-and-Excitation Networks" (2018), section 3."""

    def __init__(self, channels: int, *, squeezed: int, activation: str, dtype=None):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.reduce = Conv2D(channels, squeezed, (1, 1), (1, 1), dtype=dtype)
        self.expand = Conv2D(squeezed, channels, (1, 1), (1, 1), dtype=dtype)

    def forward(self, x):  # b d y x
        scale = self.expand(self.activation(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(scale)


class InvertedBottleneck(nn.Module):
    """Expand, convolve each channel, squeeze and excite, project: Tan and Le (2019), table 1; Sandler et al. (2018).

    A block that repeats the one before it is added to what that gives, and left out for some examples in training.
    """

    def __init__(self, config, shape: BlockShape, *, dtype=None):
        super().__init__()
        self.activation = ACTIVATIONS[config.hidden_act]
        self.is_repeat = shape.is_repeat
        inner = shape.expanded
        self.expand = self.expand_norm = None
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

    def forward(self, x, *, weights=False):  # b d y x -> (b d y x,)
        before = x
        if self.expand is not None and self.expand_norm is not None:
            x = self.activation(self.expand_norm(self.expand(x)))
        x = self.activation(self.depthwise_norm(self.depthwise(x)))
        x = self.project_norm(self.project(self.squeeze(x)))
        return (before + self.dropout(x) if self.is_repeat else x,)


class ImageStack(Stack):
    """Blocks one after the other, collecting what each makes of the image."""

    def forward(self, x, *, states=False) -> NetworkOutput:
        hidden = [x]
        for block in self.blocks:
            (x,) = self.run(block, x)
            hidden.append(x)
        return NetworkOutput(x, hidden_states=tuple(hidden) if states else None)


class ImageNetwork(nn.Module):
    """EfficientNet without its last convolution and its classifier: a stem, blocks, and what they give pooled."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        self.is_mean = config.pooling_type == "mean"
        self.embeddings = ImageStem(config, dtype=dtype)
        self.encoder = ImageStack([InvertedBottleneck(config, shape, dtype=dtype) for shape in config.blocks])

    def forward(self, pixel_values, states=False) -> NetworkOutput:
        output = self.encoder(self.embeddings(pixel_values), states=states)
        pooled = output.x.mean((2, 3)) if self.is_mean else largest(output.x)
        return output._replace(pooled=pooled)


def largest(x):  # b d y x -> b d
    """The largest value of each channel; of several alike the first one gets the gradient."""
    return x.flatten(2).max(-1).values


def norm(config, dtype) -> dict[str, Any]:
    """Options of the normalisation behind a convolution."""
    return {"momentum": config.batch_norm_momentum, "epsilon": config.batch_norm_eps, "dtype": dtype}


def normalised(x):  # n d
    """Vectors of length 1."""
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)


class Similarity(nn.Module):
    """Cosines of texts and images, divided by a temperature that is learned: section 4.1."""

    def __init__(self, *, dtype=None):
        super().__init__()
        self.temperature = nn.Parameter(torch.empty((), dtype=dtype))

    def forward(self, texts, images):  # t d, i d -> both of length 1, t i
        texts, images = normalised(texts), normalised(images)
        return texts, images, texts @ images.T / self.temperature


class AlignNetwork(nn.Module):
    """Both towers, and how similar what they give is."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        self.text_model = TextNetwork(config.text_config, parts, dtype=dtype)
        self.vision_model = ImageNetwork(config.vision_config, parts, dtype=dtype)
        self.text_projection = Linear(config.text_config.hidden_size, config.projection_dim, dtype=dtype)
        self.similarity = Similarity(dtype=dtype)

    def read(self, weights=False, states=False, **inputs) -> NetworkOutput:
        output = self.text_model(**inputs, weights=weights, states=states)
        return output._replace(features=self.text_projection(output.x[:, 0]))

    def see(self, pixel_values, states=False) -> NetworkOutput:
        output = self.vision_model(pixel_values, states=states)
        return output._replace(features=output.pooled)

    def forward(self, pixel_values, weights=False, states=False, **inputs) -> TwoTowerOutput:
        text = self.read(weights=weights, states=states, **inputs)
        vision = self.see(pixel_values, states=states)
        texts, images, logits = self.similarity(text.features, vision.features)
        return TwoTowerOutput(text, vision, texts, images, logits, logits.T)


class AlignTextModel(PretrainedModel):
    """The text tower."""

    spec = specs.AlignTextModel

    def __init__(self, config: PretrainedConfig, add_pooling_layer: bool = True, **options: Any):
        super().__init__(config, parts=("base", *(("pooler",) if add_pooling_layer else ())), **options)

    def _build(self):
        return TextNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def forward(
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
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states))
        return self._output(return_dict, output)


class AlignVisionModel(PretrainedModel):
    """The image tower."""

    spec = specs.AlignVisionModel

    def _build(self):
        return ImageNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPoolingAndNoAttention | Values:
        """Arguments and outputs: `specs.align.AlignVisionModel`."""
        inputs = {"pixel_values": pixel_values}
        self._check(inputs)
        output = self.network(**inputs, states=self._options(False, output_hidden_states)["states"])
        return self._output(return_dict, output)


class AlignModel(TwoTowers, PretrainedModel):
    """How similar texts and images are."""

    spec = specs.AlignModel

    def _build(self):
        return AlignNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def forward(
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
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states))
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
        return self.network.read(**inputs).features

    def get_image_features(
        self,
        pixel_values: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Tensor:
        """What images are compared with texts by, before it is normalised: (images, projection_dim).

        Arguments are the image tower's; the last two are published and change nothing.
        """
        self._check_images({"pixel_values": pixel_values})
        return self.network.see(pixel_values).features
