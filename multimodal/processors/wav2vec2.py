"""Wav2Vec2's processors, which Data2Vec-audio uses: clips to samples, texts to letters and back, and both at once."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from multimodal.processors.audio.extractor import AudioFeatureExtractor
from multimodal.processors.audio.padding import gathered, pad_clips, resolve_lengths, rows_of
from multimodal.processors.batch import BatchFeature
from multimodal.processors.combined import Combined
from multimodal.processors.shown import shown
from multimodal.processors.text.ctc import Wav2Vec2CTCTokenizer, Wav2Vec2CTCTokenizerOutput
from multimodal.processors.text.options import checked_switch
from multimodal.processors.text.padding import check_side
from multimodal.suggestions import reject_unknown

__all__ = [
    "Wav2Vec2CTCTokenizer",
    "Wav2Vec2CTCTokenizerOutput",
    "Wav2Vec2FeatureExtractor",
    "Wav2Vec2Processor",
]

# Added to a clip's variance, so that silence stays silence.
_EPSILON = 1e-7


class Wav2Vec2FeatureExtractor(AudioFeatureExtractor):
    """Clips to `input_values` (batch, samples), float32, and `attention_mask`, 1 for real samples.

    With `do_normalize` each clip gets the mean 0 and the variance 1. Where `attention_mask` is returned that is of its real
    samples, and the others are `padding_value`; where it is not, padding counts as if it were sound, as published. A clip
    that is padded alone and one padded in a batch then differ: models that take no mask were trained so.
    """

    model_input_names: ClassVar[list[str]] = ["input_values", "attention_mask"]

    def __init__(
        self,
        feature_size: int = 1,
        sampling_rate: int = 16000,
        padding_value: float = 0.0,
        return_attention_mask: bool = False,
        do_normalize: bool = True,
        padding_side: str = "right",
        **kwargs: Any,
    ):
        super().__init__(kwargs, feature_size, sampling_rate, padding_value)
        if self.feature_size != 1:
            raise ValueError(f"feature_size: expected 1 (samples are numbers), got {shown(feature_size)}")
        for name, value in (("return_attention_mask", return_attention_mask), ("do_normalize", do_normalize)):
            checked_switch(name, value)
            setattr(self, name, bool(value))
        self.padding_side = check_side("padding_side", padding_side)

    def __call__(
        self,
        raw_speech: Any,
        padding: bool | str = False,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        sampling_rate: int | None = None,
        resample: bool = False,
        to_mono: bool = False,
        **kwargs: Any,
    ) -> BatchFeature:
        """One clip or a batch (see `audio.clips.read_clips` for what is accepted, and its errors).

        `padding`: False, True or "longest", or "max_length", which needs `max_length`, as `truncation` does; longer clips are
        left as they are unless `truncation` cuts their end. `resample` resamples clips of another rate, `to_mono` takes the
        mean of channels. `return_tensors`: np, pt, tf, jax, or None for a list of arrays. Errors: ValueError.
        """
        reject_unknown(type(self).__name__, kwargs, _EXTRACTOR_ARGUMENTS)
        lengths = resolve_lengths(padding, max_length, truncation, pad_to_multiple_of)
        checked_switch("return_attention_mask", return_attention_mask)
        masked = self.return_attention_mask if return_attention_mask is None else return_attention_mask
        clips = self._clips(raw_speech, sampling_rate, resample, to_mono)
        masks = [np.ones(len(clip), np.int32) for clip in clips]
        values, masks = pad_clips(clips, masks, lengths, self.padding_side, self.padding_value)
        if self.do_normalize:
            values = [self._normalized(row, mask if masked else None) for row, mask in zip(values, masks)]
        return BatchFeature({"input_values": values, **({"attention_mask": masks} if masked else {})}, return_tensors)

    def _normalized(self, values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """Mean 0 and variance 1 over what the mask shows (everything without one); the rest is padding."""
        real = slice(None) if mask is None else mask.astype(bool)
        sound = values[real].astype(np.float64)
        result = np.full(values.shape, self.padding_value, np.float32)
        result[real] = (sound - sound.mean()) / np.sqrt(sound.var() + _EPSILON)
        return result

    def pad(
        self,
        processed_features: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Bring clips that were processed before to one length, for collating batches; nothing is normalised anew.

        `processed_features`: one output of the extractor, or a list of them; other fields stay as they are. Errors:
        ValueError, also for an attention mask of another length than its clip.
        """
        fields = gathered(processed_features, "input_values")
        lengths = resolve_lengths(padding, max_length, truncation, pad_to_multiple_of)
        checked_switch("return_attention_mask", return_attention_mask)
        clips = rows_of("input_values", fields["input_values"], np.float32)
        masks = [np.ones(len(clip), np.int32) for clip in clips]
        if fields.get("attention_mask") is not None:
            masks = rows_of("attention_mask", fields["attention_mask"], np.int32)
        if [len(mask) for mask in masks] != [len(clip) for clip in clips]:
            wanted, got = ([len(row) for row in rows] for rows in (clips, masks))
            raise ValueError(
                f"attention_mask: expected rows as long as input_values, {shown(wanted)}, got {shown(got)}"
            )
        masked = self.return_attention_mask or "attention_mask" in fields
        masked = masked if return_attention_mask is None else return_attention_mask
        values, masks = pad_clips(clips, masks, lengths, self.padding_side, self.padding_value)
        rest = {name: value for name, value in fields.items() if name not in ("input_values", "attention_mask")}
        return BatchFeature(
            {"input_values": values, **({"attention_mask": masks} if masked else {}), **rest}, return_tensors
        )


_EXTRACTOR_ARGUMENTS = (
    *("raw_speech", "padding", "max_length", "truncation", "pad_to_multiple_of", "return_attention_mask"),
    *("return_tensors", "sampling_rate", "resample", "to_mono"),
)
_TOKENIZER_ARGUMENTS = tuple(
    name
    for name in inspect.signature(Wav2Vec2CTCTokenizer.__call__).parameters
    if name not in ("self", "text", "kwargs")
)
_SHARED = ("padding", "max_length", "truncation", "pad_to_multiple_of", "return_attention_mask", "return_tensors")


class Wav2Vec2Processor(Combined):
    """A `Wav2Vec2FeatureExtractor` and a `Wav2Vec2CTCTokenizer` in one."""

    parts: ClassVar[dict[str, tuple[str, ...]]] = {
        "feature_extractor": ("Wav2Vec2FeatureExtractor",),
        "tokenizer": ("Wav2Vec2CTCTokenizer",),
    }

    def __init__(self, feature_extractor: Wav2Vec2FeatureExtractor, tokenizer: Wav2Vec2CTCTokenizer):
        super().__init__(feature_extractor=feature_extractor, tokenizer=tokenizer)
        self._target = False

    def __call__(self, audio: Any = None, text: Any = None, sampling_rate: int | None = None, **kwargs: Any) -> Any:
        """`audio` by the feature extractor, `text` by the tokenizer; with both, the text's ids are `labels` beside the
        audio's fields.

        Keywords go to those of the two that take them, `padding` and its like to both. `raw_speech` is an older name of
        `audio`. Errors: ValueError.
        """
        if "raw_speech" in kwargs:
            warnings.warn("raw_speech: audio is the name today", DeprecationWarning, stacklevel=2)
            audio = kwargs.pop("raw_speech")
        if self._target and text is None:
            audio, text = None, audio
        if audio is None and text is None:
            raise ValueError("audio: expected audio or text, got neither")
        accepted = (*_EXTRACTOR_ARGUMENTS[1:], *_TOKENIZER_ARGUMENTS)
        reject_unknown(type(self).__name__, kwargs, accepted)
        for_audio = {k: v for k, v in kwargs.items() if k in _EXTRACTOR_ARGUMENTS}
        for_text = {k: v for k, v in kwargs.items() if k in _TOKENIZER_ARGUMENTS}
        ids = None if text is None else self.tokenizer(text, **for_text)
        if audio is None:
            return ids
        fields = self.feature_extractor(audio, sampling_rate=sampling_rate, **for_audio)
        if ids is not None:
            fields["labels"] = ids["input_ids"]
        return fields

    def pad(self, input_features: Any = None, labels: Any = None, **kwargs: Any) -> Any:
        """`pad` of the feature extractor for `input_features` and of the tokenizer for `labels` (a list of mappings with
        `input_ids`); with both, the padded ids are `labels` beside the features. Errors: ValueError."""
        if input_features is None and labels is None:
            raise ValueError("input_features: expected input_features or labels, got neither")
        reject_unknown("pad", kwargs, _SHARED)
        ids = None
        if labels is not None:
            ids = self.tokenizer.pad(labels, **{k: v for k, v in kwargs.items() if k != "truncation"})
        if input_features is None:
            return ids
        fields = self.feature_extractor.pad(input_features, **kwargs)
        if ids is not None:
            fields["labels"] = ids["input_ids"]
        return fields

    @contextmanager
    def as_target_processor(self) -> Iterator[None]:
        """The older way to encode texts: inside of the block, calls are the tokenizer's. `text=` says the same."""
        warnings.warn("as_target_processor: processor(text=...) says the same", DeprecationWarning, stacklevel=3)
        self._target = True
        try:
            yield
        finally:
            self._target = False

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        """`decode` of the tokenizer."""
        return self.tokenizer.decode(*args, **kwargs)

    def batch_decode(self, *args: Any, **kwargs: Any) -> Any:
        """`batch_decode` of the tokenizer."""
        return self.tokenizer.batch_decode(*args, **kwargs)
