"""TVLT: Tang et al., "TVLT: Textless Vision-Language Transformer" (2022)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.annotations import Tensor
from multimodal.flax.layers import masks
from multimodal.flax.layers.activations import ACTIVATIONS
from multimodal.flax.layers.autoencoder import Restored, cut, hide
from multimodal.flax.layers.basic import LayerNorm, Linear
from multimodal.flax.layers.encoder import Stack
from multimodal.flax.layers.heads import Pooler
from multimodal.flax.layers.patches import PlacedPatches
from multimodal.flax.losses import binary_cross_entropy, cross_entropy, reconstruction
from multimodal.flax.models.vit import vit_block
from multimodal.flax.pretrained import FlaxPretrainedModel
from multimodal.modeling.outputs import SequenceClassifierOutput, Values
from multimodal.modeling.tvlt import HidesPatches, LearnsWithoutLabels
from multimodal.specs import tvlt as specs
from multimodal.specs.tvlt import TvltForPreTrainingOutput, TvltModelOutput, TvltOutput


class Joined(nn.Module):
    """A class token, the patches of a video and those of a spectrogram as one sequence. Section 3.1."""

    hidden_size: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        one = (1, 1, self.hidden_size)
        self.class_token = self.param("class_token", nn.initializers.zeros, one, self.dtype.parameters)

    def __call__(self, pixels, audio):  # b p d, b a d -> b (1 p a) d
        first = jnp.broadcast_to(jnp.asarray(self.class_token, pixels.dtype), (len(pixels), 1, self.hidden_size))
        return jnp.concatenate([first, pixels, audio], axis=1)


class TvltNetwork(nn.Module):
    """A class token, the patches of a video and those of a spectrogram, and one encoder for all of them. Section 3.1."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        width = config.hidden_size
        self.embeddings = PlacedPatches(
            config.num_image_channels, grid=config.video_grid, patch=config.image_patch, hidden_size=width, dtype=dtype
        )
        self.audio_embeddings = PlacedPatches(
            config.num_audio_channels, grid=config.audio_grid, patch=config.audio_patch, hidden_size=width, dtype=dtype
        )
        self.joined = Joined(width, dtype=dtype)
        self.transformer = Stack(
            [vit_block(config, layer, dtype) for layer in range(config.num_hidden_layers)], recompute=self.recompute
        )
        has_norm = "final_norm" in self.parts
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype) if has_norm else None

    def __call__(
        self, pixel_values, audio_values, pixel_mask=None, audio_mask=None, pixel_noise=None, audio_noise=None,
        weights=False, states=False, train: bool = False,
    ) -> TvltOutput:  # fmt: skip
        pixels, audio = self.embeddings(pixel_values), self.audio_embeddings(audio_values[:, None])
        shown, heard = (None if mask is None else jnp.asarray(mask, bool) for mask in (pixel_mask, audio_mask))
        hidden = {}
        if pixel_noise is not None:
            pixels, shown, *of_pixels = hide(pixels, pixel_noise, self.config.kept_pixels(pixels.shape[1]), shown)
            hidden |= dict(zip(("pixel_label_masks", "pixel_ids_restore"), of_pixels))
        if audio_noise is not None:
            noise = jnp.repeat(jnp.asarray(audio_noise), self.config.patches_of_noise, axis=1)
            audio, heard, *of_sound = hide(audio, noise, self.config.kept_sound(audio.shape[1]), heard)
            hidden |= dict(zip(("audio_label_masks", "audio_ids_restore"), of_sound))
        x, seen = self.joined(pixels, audio), pixels.shape[1]
        visible = together(pixels, shown, audio, heard)
        output = self.transformer(x, visible=masks.padding(visible), weights=weights, states=states, train=train)
        x = output.x if self.norm is None else self.norm(output.x)
        return TvltOutput(
            x, x[:, 1 : 1 + seen], x[:, 1 + seen :], hidden_states=output.hidden_states, attentions=output.attentions,
            **hidden,
        )  # fmt: skip


def together(pixels, shown, audio, heard):  # b p d, b p, b a d, b a -> b (1 p a)
    """What is visible of a class token, pixels and sound; None where nothing is hidden."""
    if shown is None and heard is None:
        return None
    shown = jnp.ones(pixels.shape[:2], bool) if shown is None else shown
    heard = jnp.ones(audio.shape[:2], bool) if heard is None else heard
    return jnp.concatenate([jnp.ones_like(shown[:, :1]), shown, heard], axis=1)


class MatchingHead(nn.Module):
    """A score from the pooled first position: section 3.2, vision-audio matching."""

    hidden_size: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.pooler = Pooler(self.hidden_size, dtype=self.dtype)
        self.scores = Linear(self.hidden_size, 1, dtype=self.dtype)

    def __call__(self, x):  # b s d -> b 1
        return self.scores(self.pooler(x))


class Decoder(nn.Module):
    """A narrow decoder that video and sound share, one after the other: section 3.2, masked autoencoding."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        width, sizes = config.decoder_hidden_size, config.decoder_sizes
        image, sound = config.image_patch, config.audio_patch
        self.narrow = Linear(config.hidden_size, width, dtype=dtype)
        self.pixels = Restored(config.video_grid, width, dtype=dtype)
        self.audio = Restored(config.audio_grid, width, dtype=dtype)
        self.transformer = Stack(
            [vit_block(sizes, layer, dtype) for layer in range(sizes.num_hidden_layers)], recompute=self.recompute
        )
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        self.pixel_out = Linear(width, config.num_image_channels * image[0] * image[1], dtype=dtype)
        self.audio_out = Linear(width, config.num_audio_channels * sound[0] * sound[1], dtype=dtype)

    def __call__(self, seen: TvltOutput, train: bool = False):
        # -> b (frames patches) numbers, b (times bands) numbers
        pixels = self.pixels(self.narrow(seen.last_pixel_hidden_state), seen.pixel_ids_restore)
        audio = self.audio(self.narrow(seen.last_audio_hidden_state), seen.audio_ids_restore)
        return self.pixel_out(self.decoded(pixels, train)), self.audio_out(self.decoded(audio, train))

    def decoded(self, x, train: bool):  # b s d -> b s d
        return self.norm(self.transformer(x, train=train).x)


class TvltForPreTrainingNetwork(nn.Module):
    """The network with a head for each task of pre-training."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype, parts = self.config, self.dtype, self.parts
        self.model = TvltNetwork(config, parts, dtype=dtype, recompute=self.recompute)
        self.matching = MatchingHead(config.hidden_size, dtype=dtype) if "matching_head" in parts else None
        self.decoder = Decoder(config, dtype=dtype, recompute=self.recompute) if "decoder" in parts else None

    def __call__(
        self, pixel_values, audio_values, pixel_mask=None, audio_mask=None, pixel_values_mixed=None, pixel_mask_mixed=None,
        pixel_noise=None, audio_noise=None, weights=False, states=False, train: bool = False,
    ) -> TvltOutput:  # fmt: skip
        video, shown = (
            (pixel_values, pixel_mask) if pixel_values_mixed is None else (pixel_values_mixed, pixel_mask_mixed)
        )
        asked = {"weights": weights, "states": states}
        if self.decoder is None or pixel_noise is None:
            found = self.model(video, audio_values, shown, audio_mask, **asked, train=train)
            return found._replace(matching_logits=None if self.matching is None else self.matching(found.x))
        found = self.model(
            pixel_values, audio_values, pixel_mask, audio_mask, pixel_noise, audio_noise, **asked, train=train
        )
        pixels, audio = self.decoder(found, train)
        scores = None
        if self.matching is not None:
            scores = self.matching(self.model(video, audio_values, shown, audio_mask, train=train).x)
        return found._replace(matching_logits=scores, pixel_logits=pixels, audio_logits=audio)


class TvltClassifier(nn.Module):
    """Scores of each class from the first position, behind a layer twice as wide: as published."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, width, dtype = self.config, self.config.hidden_size, self.dtype
        self.up = Linear(width, 2 * width, dtype=dtype)
        self.norm = LayerNorm(2 * width, config.layer_norm_eps, dtype=dtype)
        self.scores = Linear(2 * width, config.num_labels, dtype=dtype)

    def __call__(self, x):  # b s d -> b labels
        return self.scores(ACTIVATIONS["gelu"](self.norm(self.up(x[:, 0]))))


class TvltForAudioVisualClassificationNetwork(nn.Module):
    """The network with scores of every class on top."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.model = TvltNetwork(config, self.parts, dtype=dtype, recompute=self.recompute)
        self.classifier = TvltClassifier(config, dtype=dtype)

    def __call__(self, *args, **kwargs) -> TvltOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.classifier(output.x))


def pretraining_loss(config, inputs, output, labels):
    """The sum of the losses of the tasks that a call does: section 3.2. None where it has nothing to compare with."""
    losses = []
    if labels is not None:
        losses.append(binary_cross_entropy(output.matching_logits, jnp.reshape(labels, output.matching_logits.shape)))
    if output.pixel_logits is not None:
        videos, (batch, frames, *image) = inputs["pixel_values"], inputs["pixel_values"].shape
        pixels = cut(jnp.reshape(videos, (batch * frames, *image)), config.image_patch)
        pixels = pixels.reshape(batch, -1, pixels.shape[2])
        losses.append(reconstruction(output.pixel_logits, pixels, output.pixel_label_masks))
        sound = cut(inputs["audio_values"], config.audio_patch)
        losses.append(reconstruction(output.audio_logits, sound, output.audio_label_masks))
    return sum(losses) if losses else None


def clip_loss(config, logits, labels):
    """Cross entropy; in a regression the mean squared error, as published of each of labels (batch,) with all scores."""
    if config.loss_type == "classification":
        return cross_entropy(logits, labels)
    return jnp.square(logits - jnp.asarray(labels, logits.dtype)).mean()


class FlaxTvltPretrainedModel(HidesPatches, FlaxPretrainedModel):
    """What the models of TVLT share."""

    def _hidden(
        self, inputs: dict[str, Any], names: tuple[str, ...], seed: int | None, dropout_rng: Tensor | None
    ) -> dict[str, Any]:
        """`inputs` with the noise of `names`."""
        (batch, frames, *_), steps = inputs["pixel_values"].shape, inputs["audio_values"].shape[2]

        def draw(shape, number):
            if dropout_rng is None:
                raise ValueError(
                    "dropout_rng: expected a random key, mask_seed, or the noise of what is hidden, got None"
                )
            return jax.random.uniform(jax.random.fold_in(dropout_rng, number), shape)

        return self._noised(inputs, names, seed, (batch, frames, steps), draw)


class FlaxTvltModel(FlaxTvltPretrainedModel):
    """The encoder without a head on top."""

    spec = specs.TvltModel

    def _build(self):
        return TvltNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
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
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
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
        inputs = self._hidden(inputs, self._hides(inputs, mask_pixel, mask_audio), mask_seed, dropout_rng)
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        return self._output(return_dict, output)


class FlaxTvltForPreTraining(LearnsWithoutLabels, FlaxTvltPretrainedModel):
    """Masked autoencoding of video and sound, and whether the two belong together."""

    spec = specs.TvltForPreTraining

    def _build(self):
        return TvltForPreTrainingNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
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
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
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
        hides = self._hides_patches(inputs, mask_seed, train)
        inputs = self._hidden(inputs, ("pixel_noise", "audio_noise") if hides else (), mask_seed, dropout_rng)
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        return self._output(return_dict, output, loss=pretraining_loss(self.config, inputs, output, labels))


class FlaxTvltForAudioVisualClassification(FlaxTvltPretrainedModel):
    """A classifier of clips, or a regression."""

    spec = specs.TvltForAudioVisualClassification

    def _build(self):
        return TvltForAudioVisualClassificationNetwork(
            self._frozen, self.parts, dtype=self._types, recompute=self.recompute
        )

    def __call__(
        self,
        pixel_values: Tensor | None = None,
        audio_values: Tensor | None = None,
        pixel_mask: Tensor | None = None,
        audio_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
    ) -> SequenceClassifierOutput | Values:
        """Arguments and outputs: `specs.tvlt.TvltForAudioVisualClassification`."""
        inputs = {
            "pixel_values": pixel_values,
            "audio_values": audio_values,
            "pixel_mask": pixel_mask,
            "audio_mask": audio_mask,
        }
        self._check({**inputs, "labels": labels})
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        loss = None if labels is None else clip_loss(self.config, output.logits, labels)
        return self._output(return_dict, output, loss=loss)
