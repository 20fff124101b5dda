"""TVLT: Tang et al., "TVLT: Textless Vision-Language Transformer" (2022)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from multimodal.modeling.outputs import SequenceClassifierOutput, Values
from multimodal.modeling.tvlt import HidesPatches, LearnsWithoutLabels
from multimodal.pt.annotations import Tensor
from multimodal.pt.layers import masks
from multimodal.pt.layers.activations import ACTIVATIONS
from multimodal.pt.layers.autoencoder import Restored, cut, hide
from multimodal.pt.layers.basic import LayerNorm, Linear
from multimodal.pt.layers.encoder import Stack
from multimodal.pt.layers.heads import Pooler
from multimodal.pt.layers.patches import PlacedPatches
from multimodal.pt.losses import binary_cross_entropy, cross_entropy, reconstruction
from multimodal.pt.models.vit import vit_block
from multimodal.pt.pretrained import PretrainedModel
from multimodal.specs import tvlt as specs
from multimodal.specs.tvlt import TvltForPreTrainingOutput, TvltModelOutput, TvltOutput


class Joined(nn.Module):
    """A class token, the patches of a video and those of a spectrogram as one sequence. Section 3.1."""

    def __init__(self, hidden_size: int, *, dtype=None):
        super().__init__()
        self.class_token = nn.Parameter(torch.empty(1, 1, hidden_size, dtype=dtype))

    def forward(self, pixels, audio):  # b p d, b a d -> b (1 p a) d
        return torch.cat([self.class_token.expand(pixels.shape[0], -1, -1), pixels, audio], dim=1)


class TvltNetwork(nn.Module):
    """A class token, the patches of a video and those of a spectrogram, and one encoder for all of them. Section 3.1."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.embeddings = PlacedPatches(
            config.num_image_channels, grid=config.video_grid, patch=config.image_patch, hidden_size=width, dtype=dtype
        )
        self.audio_embeddings = PlacedPatches(
            config.num_audio_channels, grid=config.audio_grid, patch=config.audio_patch, hidden_size=width, dtype=dtype
        )
        self.joined = Joined(width, dtype=dtype)
        self.transformer = Stack([vit_block(config, layer, dtype) for layer in range(config.num_hidden_layers)])
        has_norm = "final_norm" in parts
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype) if has_norm else None

    def forward(
        self, pixel_values, audio_values, pixel_mask=None, audio_mask=None, pixel_noise=None, audio_noise=None,
        weights=False, states=False,
    ) -> TvltOutput:  # fmt: skip
        pixels, audio = self.embeddings(pixel_values), self.audio_embeddings(audio_values[:, None])
        shown, heard = (None if mask is None else mask.bool() for mask in (pixel_mask, audio_mask))
        hidden = {}
        if pixel_noise is not None:
            pixels, shown, *of_pixels = hide(pixels, pixel_noise, self.config.kept_pixels(pixels.shape[1]), shown)
            hidden |= dict(zip(("pixel_label_masks", "pixel_ids_restore"), of_pixels))
        if audio_noise is not None:
            noise = audio_noise.repeat_interleave(self.config.patches_of_noise, dim=1)
            audio, heard, *of_sound = hide(audio, noise, self.config.kept_sound(audio.shape[1]), heard)
            hidden |= dict(zip(("audio_label_masks", "audio_ids_restore"), of_sound))
        visible = together(pixels, shown, audio, heard)
        output = self.transformer(
            self.joined(pixels, audio), visible=masks.padding(visible), weights=weights, states=states
        )
        x = output.x if self.norm is None else self.norm(output.x)
        seen = pixels.shape[1]
        return TvltOutput(
            x,
            x[:, 1 : 1 + seen],
            x[:, 1 + seen :],
            hidden_states=output.hidden_states,
            attentions=output.attentions,
            **hidden,
        )


def together(pixels, shown, audio, heard):  # b p d, b p, b a d, b a -> b (1 p a)
    """What is visible of a class token, pixels and sound; None where nothing is hidden."""
    if shown is None and heard is None:
        return None
    shown = torch.ones_like(pixels[..., 0], dtype=torch.bool) if shown is None else shown
    heard = torch.ones_like(audio[..., 0], dtype=torch.bool) if heard is None else heard
    return torch.cat([torch.ones_like(shown[:, :1]), shown, heard], dim=1)


class MatchingHead(nn.Module):
    """A score from the pooled first position: section 3.2, vision-audio matching."""

    def __init__(self, hidden_size: int, *, dtype=None):
        super().__init__()
        self.pooler = Pooler(hidden_size, dtype=dtype)
        self.scores = Linear(hidden_size, 1, dtype=dtype)

    def forward(self, x):  # b s d -> b 1
        return self.scores(self.pooler(x))


class Decoder(nn.Module):
    """A narrow decoder that video and sound share, one after the other: section 3.2, masked autoencoding."""

    def __init__(self, config, *, dtype=None):
        super().__init__()
        width, sizes = config.decoder_hidden_size, config.decoder_sizes
        image, sound = config.image_patch, config.audio_patch
        self.narrow = Linear(config.hidden_size, width, dtype=dtype)
        self.pixels = Restored(config.video_grid, width, dtype=dtype)
        self.audio = Restored(config.audio_grid, width, dtype=dtype)
        self.transformer = Stack([vit_block(sizes, layer, dtype) for layer in range(sizes.num_hidden_layers)])
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        self.pixel_out = Linear(width, config.num_image_channels * image[0] * image[1], dtype=dtype)
        self.audio_out = Linear(width, config.num_audio_channels * sound[0] * sound[1], dtype=dtype)

    def forward(self, seen: TvltOutput):  # -> b (frames patches) numbers, b (times bands) numbers
        pixels = self.pixels(self.narrow(seen.last_pixel_hidden_state), seen.pixel_ids_restore)
        audio = self.audio(self.narrow(seen.last_audio_hidden_state), seen.audio_ids_restore)
        return self.pixel_out(self.decoded(pixels)), self.audio_out(self.decoded(audio))

    def decoded(self, x):  # b s d -> b s d
        return self.norm(self.transformer(x).x)


class TvltForPreTrainingNetwork(nn.Module):
    """The network with a head for each task of pre-training."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        self.model = TvltNetwork(config, parts, dtype=dtype)
        self.matching = MatchingHead(config.hidden_size, dtype=dtype) if "matching_head" in parts else None
        self.decoder = Decoder(config, dtype=dtype) if "decoder" in parts else None

    def forward(
        self, pixel_values, audio_values, pixel_mask=None, audio_mask=None, pixel_values_mixed=None, pixel_mask_mixed=None,
        pixel_noise=None, audio_noise=None, weights=False, states=False,
    ) -> TvltOutput:  # fmt: skip
        video, shown = (
            (pixel_values, pixel_mask) if pixel_values_mixed is None else (pixel_values_mixed, pixel_mask_mixed)
        )
        asked = {"weights": weights, "states": states}
        if self.decoder is None or pixel_noise is None:
            found = self.model(video, audio_values, shown, audio_mask, **asked)
            return found._replace(matching_logits=None if self.matching is None else self.matching(found.x))
        found = self.model(pixel_values, audio_values, pixel_mask, audio_mask, pixel_noise, audio_noise, **asked)
        pixels, audio = self.decoder(found)
        scores = None
        if self.matching is not None:
            scores = self.matching(self.model(video, audio_values, shown, audio_mask).x)
        return found._replace(matching_logits=scores, pixel_logits=pixels, audio_logits=audio)


class TvltClassifier(nn.Module):
    """Scores of each class from the first position, behind a layer twice as wide: as published."""

    def __init__(self, config, *, dtype=None):
        super().__init__()
        width = config.hidden_size
        self.up = Linear(width, 2 * width, dtype=dtype)
        self.norm = LayerNorm(2 * width, config.layer_norm_eps, dtype=dtype)
        self.scores = Linear(2 * width, config.num_labels, dtype=dtype)

    def forward(self, x):  # b s d -> b labels
        return self.scores(ACTIVATIONS["gelu"](self.norm(self.up(x[:, 0]))))


class TvltForAudioVisualClassificationNetwork(nn.Module):
    """The network with scores of every class on top."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        self.model = TvltNetwork(config, parts, dtype=dtype)
        self.classifier = TvltClassifier(config, dtype=dtype)

    def forward(self, *args, **kwargs) -> TvltOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.classifier(output.x))


def pretraining_loss(config, inputs, output, labels):
    """The sum of the losses of the tasks that a call does: section 3.2. None where it has nothing to compare with."""
    losses = []
    if labels is not None:
        losses.append(binary_cross_entropy(output.matching_logits, labels.reshape(output.matching_logits.shape)))
    if output.pixel_logits is not None:
        videos, batch = inputs["pixel_values"], inputs["pixel_values"].shape[0]
        pixels = cut(videos.flatten(0, 1), config.image_patch)
        pixels = pixels.reshape(batch, -1, pixels.shape[2])
        losses.append(reconstruction(output.pixel_logits, pixels, output.pixel_label_masks))
        sound = cut(inputs["audio_values"], config.audio_patch)
        losses.append(reconstruction(output.audio_logits, sound, output.audio_label_masks))
    return sum(losses) if losses else None


def clip_loss(config, logits, labels):
    """Cross entropy; in a regression the mean squared error, as published of each of labels (batch,) with all scores."""
    if config.loss_type == "classification":
        return cross_entropy(logits, labels)
    return (logits - labels.to(logits.dtype)).square().mean()


class TvltPretrainedModel(HidesPatches, PretrainedModel):
    """What the models of TVLT share."""

    def _hidden(self, inputs: dict[str, Any], names: tuple[str, ...], seed: int | None) -> dict[str, Any]:
        """`inputs` with the noise of `names`."""
        videos, sound = inputs["pixel_values"], inputs["audio_values"]
        sizes = (videos.shape[0], videos.shape[1], sound.shape[2])
        return self._noised(inputs, names, seed, sizes, lambda shape, _: torch.rand(shape, device=videos.device))


class TvltModel(TvltPretrainedModel):
    """The encoder without a head on top."""

    spec = specs.TvltModel

    def _build(self):
        return TvltNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        audio_values: Tensor | None = None,
        pixel_mask: Tensor | None = None,
        audio_mask: Tensor | None = None,
        mask_pixel: bool = False,
        mask_audio: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        pixel_noise: Tensor | None = None,
        audio_noise: Tensor | None = None,
        mask_seed: int | None = None,
    ) -> TvltModelOutput | Values:
        """Arguments and outputs: `specs.tvlt.TvltModel`."""
        inputs = {
            "pixel_values": pixel_values,
            "audio_values": audio_values,
            "pixel_mask": pixel_mask,
            "audio_mask": audio_mask,
            "pixel_noise": pixel_noise,
            "audio_noise": audio_noise,
        }
        self._check(inputs)
        inputs = self._hidden(inputs, self._hides(inputs, mask_pixel, mask_audio), mask_seed)
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states))
        return self._output(return_dict, output)


class TvltForPreTraining(LearnsWithoutLabels, TvltPretrainedModel):
    """Masked autoencoding of video and sound, and whether the two belong together."""

    spec = specs.TvltForPreTraining

    def _build(self):
        return TvltForPreTrainingNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        audio_values: Tensor | None = None,
        pixel_mask: Tensor | None = None,
        audio_mask: Tensor | None = None,
        labels: Tensor | None = None,
        pixel_values_mixed: Tensor | None = None,
        pixel_mask_mixed: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        pixel_noise: Tensor | None = None,
        audio_noise: Tensor | None = None,
        mask_seed: int | None = None,
    ) -> TvltForPreTrainingOutput | Values:
        """Arguments and outputs: `specs.tvlt.TvltForPreTraining`."""
        inputs = {
            "pixel_values": pixel_values,
            "audio_values": audio_values,
            "pixel_mask": pixel_mask,
            "audio_mask": audio_mask,
            "pixel_values_mixed": pixel_values_mixed,
            "pixel_mask_mixed": pixel_mask_mixed,
            "pixel_noise": pixel_noise,
            "audio_noise": audio_noise,
        }
        self._check({**inputs, "labels": labels})
        hides = self._hides_patches(inputs, mask_seed, self.training)
        inputs = self._hidden(inputs, ("pixel_noise", "audio_noise") if hides else (), mask_seed)
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states))
        return self._output(return_dict, output, loss=pretraining_loss(self.config, inputs, output, labels))


class TvltForAudioVisualClassification(TvltPretrainedModel):
    """A classifier of clips, or a regression."""

    spec = specs.TvltForAudioVisualClassification

    def _build(self):
        return TvltForAudioVisualClassificationNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        audio_values: Tensor | None = None,
        pixel_mask: Tensor | None = None,
        audio_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput | Values:
        """Arguments and outputs: `specs.tvlt.TvltForAudioVisualClassification`."""
        inputs = {
            "pixel_values": pixel_values,
            "audio_values": audio_values,
            "pixel_mask": pixel_mask,
            "audio_mask": audio_mask,
        }
        self._check({**inputs, "labels": labels})
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states))
        loss = None if labels is None else clip_loss(self.config, output.logits, labels)
        return self._output(return_dict, output, loss=loss)
