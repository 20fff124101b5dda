"""What image processors share: a call's options over the constructor's, and the steps that a picture goes through."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import Any, ClassVar

import numpy as np

from multimodal.processors.base import PretrainedProcessor
from multimodal.processors.batch import BatchFeature
from multimodal.processors.image import operations as ops
from multimodal.processors.image.parallel import Batch, in_order
from multimodal.processors.image.tables import Tables
from multimodal.processors.shown import shown
from multimodal.suggestions import reject_unknown


def _flag(name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> bool | None:
        if not isinstance(value, bool | np.bool_ | None):
            raise ValueError(f"{name}: expected True or False, got {shown(value)}")
        return None if value is None else bool(value)

    return check


def _channels(name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        ops.checked_channels(name, value)
        return value

    return check


Pixels = np.ndarray | list[np.ndarray]
"""All pictures of a call: one array where they fit together."""

_FLAGS = (
    *(f"do_{name}" for name in ("resize", "rescale", "normalize", "center_crop", "convert_rgb", "reduce_labels")),
    "rescale_offset",
    "include_top",
)

_CHECKS: dict[str, Callable[[Any], Any]] = {
    "size": ops.checked_size,
    "crop_size": lambda value: ops.checked_size(value, "crop_size"),
    "resample": lambda value: int(ops.checked_resample(value)),
    "rescale_factor": ops.checked_factor,
    **{name: _channels(name) for name in ("image_mean", "image_std")},
    **{name: _flag(name) for name in _FLAGS},
}
"""Options that are brought into one form when they are given, to the constructor or to a call."""


class ImageProcessor(PretrainedProcessor):
    """Pictures to `pixel_values` (batch, channels, height, width), float32: resize, crop, rescale, normalise.

    A family's class has a constructor that hands its arguments on; each of them can be overridden in a call. `size` and
    `crop_size` are `{"height": h, "width": w}`, or one number for a square; `resample` a PIL.Image.Resampling;
    `image_mean` and `image_std` one number or one for each channel. `do_convert_rgb` makes RGB of files and Pillow images
    in other modes (grey, palette, 16 bits; alpha is left out), which are a ValueError where it is False; None is what the
    class does by itself. Files and Pillow images are turned upright as their EXIF orientation says.
    """

    model_input_names: ClassVar[list[str]] = ["pixel_values"]
    unpublished: ClassVar[tuple[str, ...]] = ("do_convert_rgb",)
    """Options that are not part of the published file where they are None."""
    converts: ClassVar[bool] = False
    """Whether pictures in other modes than RGB are converted where `do_convert_rgb` is None."""

    def __init__(self, kwargs: dict[str, Any], **options: Any):
        """`kwargs`: what the family's constructor was given beside its arguments; `options`: its arguments."""
        kwargs = self._given(kwargs)
        options |= {name: kwargs.pop(name) for name in list(kwargs) if name in options}
        reject_unknown(type(self).__name__, kwargs, self.arguments())
        self.extra = {}
        for name, value in options.items():
            setattr(self, name, _CHECKS[name](value) if name in _CHECKS else value)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.preprocess = _signed(cls)

    def _given(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options that code gives; for an older name there is a warning."""
        for name in self.older_names.keys() & options.keys():
            message = f"{name}: {self.older_names[name]} is the option's name now"
            warnings.warn(message, DeprecationWarning, stacklevel=4)
        return self.by_present_names(options)

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        return {k: v for k, v in values.items() if k not in self.unpublished or v is not None}

    def __call__(self, images: Any, **kwargs: Any) -> BatchFeature:
        return self.preprocess(images, **kwargs)

    def preprocess(
        self,
        images: Any,
        *,
        return_tensors: str | None = None,
        data_format: str | None = ops.FIRST,
        input_data_format: str | None = None,
        **options: Any,
    ) -> BatchFeature:
        """One image or a batch (see `operations.read_image` for what is accepted) to `pixel_values`.

        `options` override the constructor's arguments where they are not None. `data_format` is the channel order of the
        output: channels_first, channels_last, or None for that of the input. `return_tensors`: np, pt, tf, jax, or None
        for a list of arrays. The pictures of a batch are read and processed several at a time, one for each core.
        Errors: ValueError naming the argument, and the picture.
        """
        settings = self._settings(options)
        pixels, _ = self._pixel_values(images, settings, data_format, input_data_format)
        return BatchFeature({"pixel_values": list(pixels) if return_tensors is None else pixels}, return_tensors)

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        """What a call goes by: its own options over the constructor's."""
        own = self.arguments()
        options = self._given(options)
        unknown = [name for name in options if name not in own]
        reject_unknown(f"{type(self).__name__}.preprocess", unknown, (*own, *_CALL_ARGUMENTS))
        given = {name: value for name, value in options.items() if value is not None}
        settings = {name: getattr(self, name) for name in own} | given
        return settings | {name: check(settings[name]) for name, check in _CHECKS.items() if name in settings}

    def _pixel_values(
        self, images: Any, settings: dict[str, Any], data_format: str | None, input_data_format: str | None
    ) -> tuple[Pixels, list[tuple[int, int]]]:
        """Every picture processed, one array where they fit together, and their sizes before that."""
        ops.checked_format("data_format", data_format, (ops.FIRST, ops.LAST, "none", None))
        ops.checked_format("input_data_format", input_data_format, (ops.FIRST, ops.LAST, None))
        wanted = None if data_format == "none" else data_format
        convert = self.converts if settings.get("do_convert_rgb") is None else settings["do_convert_rgb"]
        tables = Tables(partial(self._pointwise, settings=settings))
        pictures = ops.listed(images)
        batch = Batch(len(pictures) if settings["do_resize"] or settings.get("do_center_crop") else 0)

        def processed(number: int) -> tuple[np.ndarray, tuple[int, int], bool]:
            place, image = pictures[number]
            picture = ops.read_image(image, input_data_format, convert, place)
            values = _placed(picture, settings)
            pixels = tables.apply(values, wanted or picture.data_format, partial(batch.room, number))
            return pixels, picture.size, settings["do_rescale"] and ops.is_scaled(picture.image)

        done = in_order(processed, range(len(pictures)), [image for _, image in pictures])
        pixels, sizes, scaled = zip(*done)
        if any(scaled):
            _warn_of_scaled(pictures[scaled.index(True)][0])
        return list(pixels) if batch.whole is None else batch.whole, list(sizes)

    def _pointwise(self, image: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
        """The steps that take each value by itself: the image (height, width, channels), rescaled and normalised."""
        if settings["do_rescale"]:
            image = ops.rescale(image, settings["rescale_factor"])
        if settings["do_normalize"]:
            image = ops.normalize(image, settings["image_mean"], settings["image_std"])
        return image

    def resize(
        self,
        image: Any,
        size: Any,
        resample: int | None = None,
        data_format: str | None = None,
        input_data_format: str | None = None,
    ) -> np.ndarray:
        """One image in another size, in its own channel order unless `data_format` is another one.

        `resample` is the processor's own where it is not given. Errors: ValueError, as of every step below.
        """
        sides = ops.checked_size(size)
        resample = self.resample if resample is None else resample
        return ops.step(image, data_format, input_data_format, lambda a: ops.resize(a, **sides, resample=resample))

    def rescale(
        self, image: Any, scale: float, data_format: str | None = None, input_data_format: str | None = None
    ) -> np.ndarray:
        """One image times `scale`, float32."""
        return ops.step(image, data_format, input_data_format, lambda a: ops.rescale(a, scale))

    def normalize(
        self,
        image: Any,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        data_format: str | None = None,
        input_data_format: str | None = None,
    ) -> np.ndarray:
        """One image less `mean`, divided by `std` (one number, or one for each channel), float32."""
        return ops.step(image, data_format, input_data_format, lambda a: ops.normalize(a, mean, std))

    def center_crop(
        self, image: Any, size: Any, data_format: str | None = None, input_data_format: str | None = None
    ) -> np.ndarray:
        """The middle of one image, with black around it where it is smaller."""
        sides = ops.checked_size(size)
        return ops.step(image, data_format, input_data_format, lambda a: ops.center_crop(a, **sides))


_CALL_ARGUMENTS = ("images", "return_tensors", "data_format", "input_data_format")


def _placed(picture: ops.Picture, settings: dict[str, Any]) -> np.ndarray:
    """The picture's values (height, width, channels), resized and cropped where that is switched on."""
    image = picture.image
    if settings["do_resize"]:
        image = ops.resize(image, **settings["size"], resample=settings["resample"], place=picture.place)
    image = ops.as_values(image)
    return ops.center_crop(image, **settings["crop_size"]) if settings.get("do_center_crop") else image


def _warn_of_scaled(place: str) -> None:
    warnings.warn(
        f"{place}: values are in 0..1 already and do_rescale=True scales them again; pass do_rescale=False",
        stacklevel=5,
    )


def _signed(cls: type[ImageProcessor]) -> Callable[..., BatchFeature]:
    """`preprocess` with the class's own options in its signature, for editors and `help`."""
    shared = cls.preprocess
    function = FunctionType(shared.__code__, shared.__globals__, "preprocess", shared.__defaults__, shared.__closure__)
    function.__kwdefaults__, function.__doc__ = shared.__kwdefaults__, shared.__doc__
    function.__qualname__, function.__module__ = f"{cls.__name__}.preprocess", cls.__module__
    own = inspect.signature(cls.__init__).parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [own[name].replace(kind=keyword, default=None) for name in cls.arguments()]
    *parameters, _ = inspect.signature(function).parameters.values()  # without `options`
    first, rest = ([p for p in parameters if (p.kind is keyword) is there] for there in (False, True))
    function.__signature__ = inspect.Signature([*first, *options, *rest])  # type: ignore[attr-defined]
    return function
