"""TVLT's processors: videos or pictures to frames, sound to a log-mel spectrogram, and both at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from multimodal.processors.arrays import is_array, to_numpy
from multimodal.processors.audio.extractor import AudioFeatureExtractor, checked_integer
from multimodal.processors.audio.spectrogram import log_mel
from multimodal.processors.batch import BatchFeature
from multimodal.processors.combined import Combined
from multimodal.processors.image import operations as ops
from multimodal.processors.image.processor import ImageProcessor
from multimodal.processors.shown import shown
from multimodal.processors.text.options import checked_switch
from multimodal.suggestions import reject_unknown

# The filters reach half of 44,100 Hz, whatever the sampling rate, as published.
HIGHEST_HERTZ = 22050.0

# From decibels to about -1..1: 20 dB is 1, -60 dB and less -1.
_LOUD_DECIBELS, _HALF_RANGE = 20.0, 40.0

_LARGEST = 2**20
_LARGEST_FILTERS = 2**25


class _Video(NamedTuple):
    """Processed frames, the patches of each, and the least and the largest of the floats among the values before that."""

    frames: list[np.ndarray]
    patches: int
    ranges: list[tuple[float, float]]


class TvltImageProcessor(ImageProcessor):
    """Videos to `pixel_values` (batch, frames, channels, height, width), float32, and `pixel_mask` (batch, patches of all
    frames), 1 for frames that are there.

    `size` is `{"shortest_edge": s}` (or s), in which the other side follows; other options as in `ImageProcessor`. A video
    with fewer frames than another of its batch is filled up with frames of zeros. `init_mask_generator` is kept and does
    nothing, as published: masks are drawn by the model.
    """

    model_input_names: ClassVar[list[str]] = ["pixel_values", "pixel_mask", "pixel_values_mixed", "pixel_mask_mixed"]

    def __init__(
        self,
        do_resize: bool = True,
        size: dict[str, int] | int | None = None,
        patch_size: Sequence[int] | None = None,
        num_frames: int = 8,
        resample: int = Resampling.BILINEAR,
        do_center_crop: bool = True,
        crop_size: dict[str, int] | int | None = None,
        do_rescale: bool = True,
        rescale_factor: float = 1 / 255,
        do_normalize: bool = True,
        image_mean: float | Sequence[float] | None = None,
        image_std: float | Sequence[float] | None = None,
        init_mask_generator: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            kwargs,
            do_resize=do_resize,
            patch_size=checked_patch(patch_size),
            num_frames=checked_integer("num_frames", num_frames, _LARGEST),
            resample=resample,
            do_center_crop=do_center_crop,
            crop_size=224 if crop_size is None else crop_size,
            do_rescale=do_rescale,
            rescale_factor=rescale_factor,
            do_normalize=do_normalize,
            image_mean=[0.5, 0.5, 0.5] if image_mean is None else image_mean,
            image_std=[0.5, 0.5, 0.5] if image_std is None else image_std,
            init_mask_generator=init_mask_generator,
        )
        self.size = checked_shortest(224 if size is None else size)

    def __call__(self, videos: Any = None, *, images: Any = None, **kwargs: Any) -> BatchFeature:
        """The same as `preprocess`; `images` is another name of `videos`. ValueError for both, and for none."""
        if (videos is None) == (images is None):
            got = "neither" if videos is None else "both"
            raise ValueError(f"videos: expected videos, or images in their place, got {got}")
        return self.preprocess(images if videos is None else videos, **kwargs)

    def preprocess(
        self,
        videos: Any,
        *,
        is_mixed: bool = False,
        return_tensors: str | None = None,
        data_format: str | None = ops.FIRST,
        input_data_format: str | None = None,
        **options: Any,
    ) -> BatchFeature:
        """One picture, one video (a list of pictures, or an array of 4 axes) or a batch of videos (lists of lists, arrays of
        4 axes in a list, or one of 5 axes).

        `options` override the constructor's arguments where they are not None. With `is_mixed`, in which videos may belong to other
        clips, the fields are `pixel_values_mixed` and `pixel_mask_mixed`. Floats that are no fractions of 0..1 and no whole
        numbers of 0..255 are processed as they are, with a warning: neither rescaled nor brought to 8 bits. `data_format` and
        `return_tensors` as in `ImageProcessor`. Errors: ValueError that names the argument; a video of more than
        `num_frames` frames.
        """
        own = self.arguments()
        reject_unknown(f"{type(self).__name__}.preprocess", options, (*own, *_CALL_ARGUMENTS))
        given = {name: value for name, value in options.items() if value is not None}
        used = type(self)(**{name: getattr(self, name) for name in own} | given)
        ops.checked_format("data_format", data_format, (ops.FIRST, ops.LAST, "none", None))
        checked_switch("is_mixed", is_mixed)
        wanted = None if data_format == "none" else data_format
        made = [used._video(place, video, wanted, input_data_format) for place, video in _videos(videos)]
        if used.do_rescale:
            _warn_of_values(made)
        most = max(len(video.frames) for video in made)
        filled = [video.frames + [np.zeros_like(video.frames[0])] * (most - len(video.frames)) for video in made]
        # 1 for the patches of the frames that are there.
        masks = [(np.arange(most * v.patches) < len(v.frames) * v.patches).astype(np.int64) for v in made]
        end = "_mixed" if is_mixed else ""
        return BatchFeature({f"pixel_values{end}": filled, f"pixel_mask{end}": masks}, return_tensors)

    def _video(self, place: str, video: Any, data_format: str | None, input_data_format: str | None) -> _Video:
        """One video, processed."""
        if len(video) > self.num_frames:
            raise ValueError(f"{place}: expected at most num_frames={self.num_frames} frames, got {len(video)}")
        frames, sizes, ranges = [], [], []
        for i, frame in enumerate(video):
            picture = ops.read_image(frame, input_data_format, place=f"{place}[{i}]")
            values = picture.values
            low, high = (float(values.min()), float(values.max())) if values.dtype.kind == "f" else (0.0, 255.0)
            ranges.append((low, high))
            image = self._frame(values, _is_outside(low, high))
            sizes.append(image.shape[:2])
            frames.append(ops.to_data_format(image, data_format or picture.data_format))
        if len({frame.shape for frame in frames}) > 1:
            raise ValueError(
                f"{place}: expected frames of one size and kind (do_center_crop=True makes one size), got "
                f"{shown([frame.shape for frame in frames])}"
            )
        patches = (sizes[0][0] // self.patch_size[0]) * (sizes[0][1] // self.patch_size[1])
        return _Video(frames, patches, ranges)

    def _frame(self, image: np.ndarray, outside: bool) -> np.ndarray:
        """One picture (height, width, channels) through the steps that are switched on; `outside` of 0..255 it is neither
        rescaled nor brought to 8 bits."""
        fractions = image.dtype.kind == "f" and not bool((image == np.floor(image)).all())
        rescaled = self.do_rescale and not outside
        if self.do_resize:
            # Pillow resizes 8 bits, into which whole numbers of 0..255 and, as published, fractions of 0..1 are brought.
            in_floats = outside or (fractions and image.max() > 1)
            sides = _sides(image.shape, self.size["shortest_edge"])
            image = (_resize_floats if in_floats else ops.resize)(image, **sides, resample=self.resample)
        if self.do_center_crop:
            image = ops.center_crop(image, **self.crop_size)
        if rescaled:
            image = ops.rescale(image, self.rescale_factor)
        return ops.normalize(image, self.image_mean, self.image_std) if self.do_normalize else image


_CALL_ARGUMENTS = ("videos", "is_mixed", "return_tensors", "data_format", "input_data_format")


def _is_outside(low: float, high: float) -> bool:
    return low < 0 or high > 255


def _warn_of_values(videos: list[_Video]) -> None:
    """Of floats that are not rescaled because they are out of range, and of those that are for the second time."""
    ranges = [span for video in videos for span in video.ranges]
    if any(_is_outside(*span) for span in ranges):
        told = "values are neither in 0..255 nor in 0..1; they are not rescaled. Pass do_rescale=False to say so."
    elif any(high <= 1 for _, high in ranges):
        told = "values are in 0..1 already and do_rescale=True scales them again; pass do_rescale=False"
    else:
        return
    warnings.warn(f"videos: {told}", stacklevel=4)


def _videos(videos: Any) -> list[tuple[str, Any]]:
    """Every video, a sequence of pictures, with the place it has in the argument."""
    if is_array(videos):
        array = to_numpy(videos)
        if array.ndim <= 3:
            return [("videos", [array])]
        listed = [("videos", array)] if array.ndim == 4 else [(f"videos[{i}]", video) for i, video in enumerate(array)]
    elif not isinstance(videos, list | tuple):
        return [("videos", [videos])]
    elif videos and (isinstance(videos[0], list | tuple) or (is_array(videos[0]) and len(videos[0].shape) > 3)):
        listed = [(f"videos[{i}]", to_numpy(v) if is_array(v) else v) for i, v in enumerate(videos)]
    else:
        listed = [("videos", videos)]
    if not listed:
        raise ValueError("videos: expected at least one video, got none")
    for place, video in listed:
        if not isinstance(video, list | tuple | np.ndarray) or not len(video):
            raise ValueError(f"{place}: expected a list of pictures, at least one, got {shown(video)}")
    return listed


def _sides(shape: tuple[int, ...], shortest: int) -> dict[str, int]:
    """The height and width with that shorter side, the longer one rounded down."""
    height, width = shape[:2]
    longer = int(shortest * max(height, width) / min(height, width))
    return ops.checked_size((shortest, longer) if height <= width else (longer, shortest))


def _resize_floats(image: np.ndarray, height: int, width: int, resample: int) -> np.ndarray:
    """Resize floats of any range channel by channel, with Pillow's floats of 32 bits."""
    planes = [Image.fromarray(np.ascontiguousarray(image[..., c], np.float32)) for c in range(image.shape[-1])]
    return np.stack([np.asarray(plane.resize((width, height), Resampling(resample))) for plane in planes], -1)


def checked_shortest(size: Any) -> dict[str, int]:
    """`{"shortest_edge": s}` from that or from one number; else ValueError."""
    given = size["shortest_edge"] if isinstance(size, dict) and set(size) == {"shortest_edge"} else size
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or not 1 <= given <= ops.MAX_SIDE:
        raise ValueError(
            f'size: expected {{"shortest_edge": ...}} or one number in 1..{ops.MAX_SIDE}, got {shown(size)}'
        )
    return {"shortest_edge": int(given)}


def checked_patch(patch_size: Any) -> list[int]:
    """[height, width] of a patch, 16 by 16 where it is None; else ValueError."""
    sides = [16, 16] if patch_size is None else patch_size
    sides = to_numpy(sides).tolist() if is_array(sides) else sides
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise ValueError(f"patch_size: expected two positive integers, got {shown(patch_size)}")
    return [checked_integer(f"patch_size[{i}]", side, _LARGEST) for i, side in enumerate(sides)]


class TvltFeatureExtractor(AudioFeatureExtractor):
    """Sound to `audio_values` (batch, 1, time, feature_size), float32, a log-mel spectrogram in -1..1, and `audio_mask`
    (batch, patches), 1 for patches that hold sound.

    The spectrogram is librosa's (`audio.spectrogram.log_mel`) of windows of `n_fft` samples, `sampling_rate //
    hop_length_to_sampling_rate` samples apart, without its last frame and at most `spectrogram_length` frames long; time is
    filled up with `padding_value` to whole patches and to the longest clip of the batch. `num_channels` must be 1.
    """

    model_input_names: ClassVar[list[str]] = ["audio_values", "audio_mask"]

    def __init__(
        self,
        spectrogram_length: int = 2048,
        num_channels: int = 1,
        patch_size: Sequence[int] | None = None,
        feature_size: int = 128,
        sampling_rate: int = 44100,
        hop_length_to_sampling_rate: int = 86,
        n_fft: int = 2048,
        padding_value: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(kwargs, feature_size, sampling_rate, padding_value)
        self.patch_size = checked_patch(patch_size)
        self.spectrogram_length = checked_integer("spectrogram_length", spectrogram_length, _LARGEST)
        self.num_channels = num_channels
        self.hop_length_to_sampling_rate = checked_integer(
            "hop_length_to_sampling_rate", hop_length_to_sampling_rate, self.sampling_rate
        )
        self.n_fft = checked_integer("n_fft", n_fft, 2**16)
        if num_channels != 1:
            raise ValueError(f"num_channels: expected 1 (sound is mono), got {shown(num_channels)}")
        if self.feature_size % self.patch_size[1]:
            raise ValueError(
                f"feature_size: expected a multiple of the patches' {self.patch_size[1]}, got {self.feature_size}"
            )
        if self.feature_size * self.n_fft > _LARGEST_FILTERS:
            raise ValueError(
                f"feature_size: expected feature_size * n_fft of at most {_LARGEST_FILTERS}, got {self.feature_size} * {n_fft}"
            )

    @property
    def hop_length(self) -> int:
        """Samples from one frame of the spectrogram to the next."""
        return self.sampling_rate // self.hop_length_to_sampling_rate

    def __call__(
        self,
        raw_speech: Any,
        return_tensors: str | None = None,
        return_attention_mask: bool | None = True,
        sampling_rate: int | None = None,
        resample: bool = False,
        mask_audio: bool = False,
        to_mono: bool = False,
        **kwargs: Any,
    ) -> BatchFeature:
        """One clip or a batch (see `audio.clips.read_clips` for what is accepted, and its errors).

        `return_attention_mask` False leaves `audio_mask` out. `resample` resamples clips of another rate, `to_mono` takes the
        mean of channels. `mask_audio` is accepted and changes nothing, as published: masks are the model's. A clip must be
        one hop long at least.
        """
        reject_unknown(type(self).__name__, kwargs, _EXTRACTOR_ARGUMENTS)
        for name, value in (("return_attention_mask", return_attention_mask), ("mask_audio", mask_audio)):
            checked_switch(name, value)
        clips = self._clips(raw_speech, sampling_rate, resample, to_mono)
        features = [self._features(clip, f"raw_speech[{i}]") for i, clip in enumerate(clips)]
        time, across = self.patch_size[0], self.feature_size // self.patch_size[1]
        patches = [-(-len(feature) // time) for feature in features]
        values = np.full((len(clips), 1, max(patches) * time, self.feature_size), self.padding_value, np.float32)
        for row, feature in zip(values, features):
            row[0, : len(feature)] = feature
        fields = {"audio_values": values}
        if return_attention_mask or return_attention_mask is None:
            there = np.arange(max(patches) * across) < np.array(patches)[:, None] * across
            fields["audio_mask"] = there.astype(np.float32)
        return BatchFeature(fields, return_tensors)

    def _features(self, clip: np.ndarray, place: str) -> np.ndarray:
        frames = min(len(clip) // self.hop_length, self.spectrogram_length)
        if not frames:
            raise ValueError(f"{place}: expected at least {self.hop_length} samples (one hop), got {len(clip)}")
        decibels = log_mel(
            clip,
            sampling_rate=self.sampling_rate,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_mels=self.feature_size,
            highest=HIGHEST_HERTZ,
            longest=frames,
        )
        return np.clip((decibels - _LOUD_DECIBELS) / _HALF_RANGE, -2.0, 0.0) + 1.0


_EXTRACTOR_ARGUMENTS = (
    "raw_speech", "return_tensors", "return_attention_mask", "sampling_rate", "resample", "mask_audio", "to_mono"
)  # fmt: skip


class TvltProcessor(Combined):
    """A `TvltImageProcessor` and a `TvltFeatureExtractor` in one."""

    parts: ClassVar[dict[str, tuple[str, ...]]] = {
        "image_processor": ("TvltImageProcessor",),
        "feature_extractor": ("TvltFeatureExtractor",),
    }

    def __init__(self, image_processor: TvltImageProcessor, feature_extractor: TvltFeatureExtractor):
        super().__init__(image_processor=image_processor, feature_extractor=feature_extractor)

    def __call__(
        self,
        images: Any = None,
        audio: Any = None,
        images_mixed: Any = None,
        sampling_rate: int | None = None,
        mask_audio: bool = False,
        mask_pixel: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> BatchFeature:
        """Pictures or videos, sound, and videos that may belong to other sound, in one mapping; at least one of them.

        Other keywords go to the half that takes them, `return_tensors` to both; `resample` is the feature extractor's where
        it is True or False, else the image processor's. `mask_audio` and `mask_pixel` are accepted and change nothing, as
        published: masks are the model's. Errors: ValueError.
        """
        if args:
            raise ValueError(f"TvltProcessor: expected at most 6 arguments without their names, got {6 + len(args)}")
        if images is None and audio is None and images_mixed is None:
            raise ValueError("images: expected images, audio or images_mixed, got none of them")
        tensors = {"return_tensors": kwargs.pop("return_tensors", None)}
        for_audio = {k: kwargs.pop(k) for k in ("return_attention_mask", "to_mono") if k in kwargs}
        if isinstance(kwargs.get("resample"), bool):
            for_audio["resample"] = kwargs.pop("resample")
        fields: dict[str, Any] = {}
        if audio is not None:
            fields |= self.feature_extractor(
                audio, sampling_rate=sampling_rate, mask_audio=mask_audio, **tensors, **for_audio
            )
        if images is not None:
            fields |= self.image_processor(images, **tensors, **kwargs)
        if images_mixed is not None:
            fields |= self.image_processor(images_mixed, is_mixed=True, **tensors, **kwargs)
        return BatchFeature(fields)
