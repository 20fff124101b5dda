"""TVLT: Tang et al., "TVLT: Textless Vision-Language Transformer" (2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from multimodal.modeling.outputs import SequenceClassifierOutput, Values
from multimodal.modeling.tvlt import HidesPatches, LearnsWithoutLabels
from multimodal.specs import tvlt as specs
from multimodal.specs.tvlt import TvltForPreTrainingOutput, TvltModelOutput, TvltOutput
from multimodal.tf.annotations import Inputs, Tensor
from multimodal.tf.layers import masks
from multimodal.tf.layers.activations import ACTIVATIONS
from multimodal.tf.layers.autoencoder import Restored, cut, hide
from multimodal.tf.layers.basic import Layer, LayerNorm, Linear, next_seed, sizes
from multimodal.tf.layers.encoder import Stack
from multimodal.tf.layers.heads import Pooler
from multimodal.tf.layers.patches import PlacedPatches
from multimodal.tf.losses import binary_cross_entropy, cross_entropy, reconstruction, wide
from multimodal.tf.models.vit import vit_block
from multimodal.tf.pretrained import TFPretrainedModel


class Joined(Layer):
    """A class token, the patches of a video and those of a spectrogram as one sequence. Section 3.1."""

    def __init__(self, hidden_size: int, *, dtype=None, name="joined"):
        super().__init__(dtype=dtype, name=name)
        self.class_token = self.add_weight(name="class_token", shape=(1, 1, hidden_size), initializer="zeros")

    def call(self, pixels, audio):  # b p d, b a d -> b (1 p a) d
        batch, _, width = sizes(pixels)
        first = tf.broadcast_to(tf.cast(self.class_token, pixels.dtype), (batch, 1, width))
        return tf.concat([first, pixels, audio], axis=1)


class TvltNetwork(Layer):
    """A class token, the patches of a video and those of a spectrogram, and one encoder for all of them. Section 3.1."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        width = config.hidden_size
        self.embeddings = PlacedPatches(
            config.num_image_channels, grid=config.video_grid, patch=config.image_patch, hidden_size=width, dtype=dtype
        )
        self.audio_embeddings = PlacedPatches(
            config.num_audio_channels, grid=config.audio_grid, patch=config.audio_patch, hidden_size=width, dtype=dtype,
            name="audio_embeddings",
        )  # fmt: skip
        self.joined = Joined(width, dtype=dtype)
        self.transformer = Stack(
            [vit_block(config, layer, dtype) for layer in range(config.num_hidden_layers)], dtype=dtype
        )
        has_norm = "final_norm" in parts
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype, name="norm") if has_norm else None

    def call(
        self, pixel_values, audio_values, pixel_mask=None, audio_mask=None, pixel_noise=None, audio_noise=None,
        weights=False, states=False, training=False,
    ) -> TvltOutput:  # fmt: skip
        config = self.config
        pixels, audio = self.embeddings(pixel_values), self.audio_embeddings(audio_values[:, None])
        shown, heard = (None if mask is None else tf.cast(mask, tf.bool) for mask in (pixel_mask, audio_mask))
        hidden = {}
        if pixel_noise is not None:
            keep = counted(config.kept_pixels, sizes(pixels)[1], config.num_frames * config.frame_patches)
            pixels, shown, *of_pixels = hide(pixels, pixel_noise, keep, shown)
            hidden |= dict(zip(("pixel_label_masks", "pixel_ids_restore"), of_pixels))
        if audio_noise is not None:
            keep = counted(config.kept_sound, sizes(audio)[1], config.sound_patches(config.spectrogram_length))
            noise = tf.repeat(audio_noise, config.patches_of_noise, axis=1)
            audio, heard, *of_sound = hide(audio, noise, keep, heard)
            hidden |= dict(zip(("audio_label_masks", "audio_ids_restore"), of_sound))
        x, seen = self.joined(pixels, audio), sizes(pixels)[1]
        visible = together(pixels, shown, audio, heard)
        output = self.transformer(x, visible=masks.padding(visible), weights=weights, states=states, training=training)
        x = output.x if self.norm is None else self.norm(output.x)
        return TvltOutput(
            x, x[:, 1 : 1 + seen], x[:, 1 + seen :], hidden_states=output.hidden_states, attentions=output.attentions,
            **hidden,
        )  # fmt: skip


def counted(of, count, most: int):
    """`of(count)`, also of a number up to `most` that a trace does not know."""
    return of(count) if isinstance(count, int) else tf.gather([of(number) for number in range(most + 1)], count)


def together(pixels, shown, audio, heard):  # b p d, b p, b a d, b a -> b (1 p a)
    """What is visible of a class token, pixels and sound; None where nothing is hidden."""
    if shown is None and heard is None:
        return None
    shown = tf.ones_like(pixels[..., 0], tf.bool) if shown is None else shown
    heard = tf.ones_like(audio[..., 0], tf.bool) if heard is None else heard
    return tf.concat([tf.ones_like(shown[:, :1]), shown, heard], axis=1)


class MatchingHead(Layer):
    """A score from the pooled first position: section 3.2, vision-audio matching."""

    def __init__(self, hidden_size: int, *, dtype=None, name="matching"):
        super().__init__(dtype=dtype, name=name)
        self.pooler = Pooler(hidden_size, dtype=dtype)
        self.scores = Linear(hidden_size, 1, dtype=dtype, name="scores")

    def call(self, x):  # b s d -> b 1
        return self.scores(self.pooler(x))


class Decoder(Layer):
    """A narrow decoder that video and sound share, one after the other: section 3.2, masked autoencoding."""

    def __init__(self, config, *, dtype=None, name="decoder"):
        super().__init__(dtype=dtype, name=name)
        width, sizes = config.decoder_hidden_size, config.decoder_sizes
        image, sound = config.image_patch, config.audio_patch
        self.narrow = Linear(config.hidden_size, width, dtype=dtype, name="narrow")
        self.pixels = Restored(config.video_grid, width, dtype=dtype, name="pixels")
        self.audio = Restored(config.audio_grid, width, dtype=dtype, name="audio")
        self.transformer = Stack(
            [vit_block(sizes, layer, dtype) for layer in range(sizes.num_hidden_layers)], dtype=dtype
        )
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype, name="norm")
        self.pixel_out = Linear(width, config.num_image_channels * image[0] * image[1], dtype=dtype, name="pixel_out")
        self.audio_out = Linear(width, config.num_audio_channels * sound[0] * sound[1], dtype=dtype, name="audio_out")

    def call(self, seen: TvltOutput, training=False):  # -> b (frames patches) numbers, b (times bands) numbers
        pixels = self.pixels(self.narrow(seen.last_pixel_hidden_state), seen.pixel_ids_restore)
        audio = self.audio(self.narrow(seen.last_audio_hidden_state), seen.audio_ids_restore)
        return self.pixel_out(self.decoded(pixels, training)), self.audio_out(self.decoded(audio, training))

    def decoded(self, x, training):  # b s d -> b s d
        return self.norm(self.transformer(x, training=training).x)


class TvltForPreTrainingNetwork(Layer):
    """The network with a head for each task of pre-training."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = TvltNetwork(config, parts, dtype=dtype, name="model")
        self.matching = MatchingHead(config.hidden_size, dtype=dtype) if "matching_head" in parts else None
        self.decoder = Decoder(config, dtype=dtype) if "decoder" in parts else None

    def call(
        self, pixel_values, audio_values, pixel_mask=None, audio_mask=None, pixel_values_mixed=None, pixel_mask_mixed=None,
        pixel_noise=None, audio_noise=None, weights=False, states=False, training=False,
    ) -> TvltOutput:  # fmt: skip
        video, shown = (
            (pixel_values, pixel_mask) if pixel_values_mixed is None else (pixel_values_mixed, pixel_mask_mixed)
        )
        asked = {"weights": weights, "states": states}
        if self.decoder is None or pixel_noise is None:
            found = self.model(video, audio_values, shown, audio_mask, **asked, training=training)
            return found._replace(matching_logits=None if self.matching is None else self.matching(found.x))
        found = self.model(
            pixel_values, audio_values, pixel_mask, audio_mask, pixel_noise, audio_noise, **asked, training=training
        )
        pixels, audio = self.decoder(found, training)
        scores = None
        if self.matching is not None:
            scores = self.matching(self.model(video, audio_values, shown, audio_mask, training=training).x)
        return found._replace(matching_logits=scores, pixel_logits=pixels, audio_logits=audio)


class TvltClassifier(Layer):
    """Scores of each class from the first position, behind a layer twice as wide: as published."""

    def __init__(self, config, *, dtype=None, name="classifier"):
        super().__init__(dtype=dtype, name=name)
        width = config.hidden_size
        self.up = Linear(width, 2 * width, dtype=dtype, name="up")
        self.norm = LayerNorm(2 * width, config.layer_norm_eps, dtype=dtype, name="norm")
        self.scores = Linear(2 * width, config.num_labels, dtype=dtype, name="scores")

    def call(self, x):  # b s d -> b labels
        return self.scores(ACTIVATIONS["gelu"](self.norm(self.up(x[:, 0]))))


class TvltForAudioVisualClassificationNetwork(Layer):
    """The network with scores of every class on top."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = TvltNetwork(config, parts, dtype=dtype, name="model")
        self.classifier = TvltClassifier(config, dtype=dtype)

    def call(self, *args, **kwargs) -> TvltOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.classifier(output.x))


def pretraining_loss(config, inputs, output, labels):
    """The sum of the losses of the tasks that a call does: section 3.2. None where it has nothing to compare with."""
    losses = []
    if labels is not None:
        losses.append(binary_cross_entropy(output.matching_logits, tf.reshape(labels, (-1, 1))))
    if output.pixel_logits is not None:
        videos, (batch, frames, *image) = inputs["pixel_values"], sizes(inputs["pixel_values"])
        pixels = cut(tf.reshape(videos, (batch * frames, *image)), config.image_patch)
        pixels = tf.reshape(pixels, tf.shape(output.pixel_logits))
        losses.append(reconstruction(output.pixel_logits, pixels, output.pixel_label_masks))
        sound = cut(inputs["audio_values"], config.audio_patch)
        losses.append(reconstruction(output.audio_logits, sound, output.audio_label_masks))
    return sum(losses) if losses else None


def clip_loss(config, logits, labels):
    """Cross entropy; in a regression the mean squared error, as published of each of labels (batch,) with all scores."""
    if config.loss_type == "classification":
        return cross_entropy(logits, labels)
    logits = wide(logits)
    return tf.reduce_mean(tf.square(logits - tf.cast(labels, logits.dtype)))


class TFTvltPretrainedModel(HidesPatches, TFPretrainedModel):
    """What the models of TVLT share."""

    def _hidden(self, inputs: dict[str, Any], names: tuple[str, ...], seed: int | None) -> dict[str, Any]:
        """`inputs` with the noise of `names`."""
        batch, frames, *_ = sizes(inputs["pixel_values"])
        steps = sizes(inputs["audio_values"])[2]
        seeds = self._base_network().transformer.seeds
        return self._noised(
            inputs, names, seed, (batch, frames, steps),
            lambda shape, _: tf.random.stateless_uniform(shape, next_seed(seeds)),
        )  # fmt: skip


class TFTvltModel(TFTvltPretrainedModel):
    """The encoder without a head on top."""

    spec = specs.TvltModel

    def _build(self):
        return TvltNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        pixel_values: Inputs | None = None,
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
        training: bool = False,
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
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        return self._output(return_dict, output)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> TvltModelOutput | Values: ...


class TFTvltForPreTraining(LearnsWithoutLabels, TFTvltPretrainedModel):
    """Masked autoencoding of video and sound, and whether the two belong together."""

    spec = specs.TvltForPreTraining

    def _build(self):
        return TvltForPreTrainingNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        pixel_values: Inputs | None = None,
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
        training: bool = False,
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
        hides = self._hides_patches(inputs, mask_seed, training)
        inputs = self._hidden(inputs, ("pixel_noise", "audio_noise") if hides else (), mask_seed)
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        return self._output(return_dict, output, loss=pretraining_loss(self.config, inputs, output, labels))

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> TvltForPreTrainingOutput | Values: ...


class TFTvltForAudioVisualClassification(TFTvltPretrainedModel):
    """A classifier of clips, or a regression."""

    spec = specs.TvltForAudioVisualClassification

    def _build(self):
        return TvltForAudioVisualClassificationNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        pixel_values: Inputs | None = None,
        audio_values: Tensor | None = None,
        pixel_mask: Tensor | None = None,
        audio_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        training: bool = False,
    ) -> SequenceClassifierOutput | Values:
        """Arguments and outputs: `specs.tvlt.TvltForAudioVisualClassification`."""
        inputs = {
            "pixel_values": pixel_values,
            "audio_values": audio_values,
            "pixel_mask": pixel_mask,
            "audio_mask": audio_mask,
        }
        self._check({**inputs, "labels": labels})
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        loss = None if labels is None else clip_loss(self.config, output.logits, labels)
        return self._output(return_dict, output, loss=loss)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> SequenceClassifierOutput | Values: ...
