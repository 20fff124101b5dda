"""What image processors share: a call's options over the constructor's, and the steps that a picture goes through."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, ClassVar

import numpy as np

from multimodal.processors.base import PretrainedProcessor
from multimodal.processors.batch import BatchFeature
from multimodal.processors.image import operations as ops
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


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "size": ops.checked_size,
    "crop_size": lambda value: ops.checked_size(value, "crop_size"),
    "resample": lambda value: int(ops.checked_resample(value)),
    "rescale_factor": ops.checked_factor,
    **{name: _channels(name) for name in ("image_mean", "image_std")},
    **{f"do_{name}": _flag(f"do_{name}") for name in ("resize", "rescale", "normalize", "center_crop", "convert_rgb")},
}
"""Options that are brought into one form when they are given, to the constructor or to a call."""


class ImageProcessor(PretrainedProcessor):
    """Pictures to `pixel_values` (batch, channels, height, width), float32: resize, crop, rescale, normalise.

    A family's class has a constructor that hands its arguments on; each of them can be overridden in a call. `size` and
    `crop_size` are `{"height": h, "width": w}`, or one number for a square; `resample` a PIL.Image.Resampling;
    `image_mean` and `image_std` one number or one for each channel. `do_convert_rgb` makes RGB of Pillow images in other
    modes, which are a ValueError otherwise.
    """

    model_input_names: ClassVar[list[str]] = ["pixel_values"]
    unpublished: ClassVar[tuple[str, ...]] = ("do_convert_rgb",)
    """Options that are not part of the published file where they are None."""

    def __init__(self, kwargs: dict[str, Any], **options: Any):
        """`kwargs`: what the family's constructor was given beside its arguments; `options`: its arguments."""
        reject_unknown(type(self).__name__, kwargs, self.arguments())
        self.extra = {}
        for name, value in options.items():
            setattr(self, name, _CHECKS[name](value) if name in _CHECKS else value)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.preprocess = _signed(cls)

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
        """One image or a batch (see `operations.read_images` for what is accepted) to `pixel_values`.

        `options` override the constructor's arguments where they are not None. `data_format` is the channel order of the
        output: channels_first, channels_last, or None for that of the input. `return_tensors`: np, pt, tf, jax, or None
        for a list of arrays. Errors: ValueError naming the argument.
        """
        own = self.arguments()
        unknown = [name for name in options if name not in own]
        reject_unknown(f"{type(self).__name__}.preprocess", unknown, (*own, *_CALL_ARGUMENTS))
        ops.checked_format("data_format", data_format, (ops.FIRST, ops.LAST, "none", None))
        given = {name: value for name, value in options.items() if value is not None}
        settings = {name: getattr(self, name) for name in own} | given
        settings |= {name: check(settings[name]) for name, check in _CHECKS.items() if name in settings}
        pictures = ops.read_images(images, input_data_format, bool(settings.get("do_convert_rgb")))
        wanted = None if data_format == "none" else data_format

        def processed(picture: ops.Picture) -> np.ndarray:
            return ops.to_data_format(_processed(picture.values, settings), wanted or picture.data_format)

        # By `map`, which holds no picture while it reads the next.
        return BatchFeature({"pixel_values": list(map(processed, pictures))}, return_tensors)

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
        return _step(image, data_format, input_data_format, lambda a: ops.resize(a, **sides, resample=resample))

    def rescale(
        self, image: Any, scale: float, data_format: str | None = None, input_data_format: str | None = None
    ) -> np.ndarray:
        """One image times `scale`, float32."""
        return _step(image, data_format, input_data_format, lambda a: ops.rescale(a, scale))

    def normalize(
        self,
        image: Any,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        data_format: str | None = None,
        input_data_format: str | None = None,
    ) -> np.ndarray:
        """One image less `mean`, divided by `std` (one number, or one for each channel), float32."""
        return _step(image, data_format, input_data_format, lambda a: ops.normalize(a, mean, std))

    def center_crop(
        self, image: Any, size: Any, data_format: str | None = None, input_data_format: str | None = None
    ) -> np.ndarray:
        """The middle of one image, with black around it where it is smaller."""
        sides = ops.checked_size(size)
        return _step(image, data_format, input_data_format, lambda a: ops.center_crop(a, **sides))


def _step(
    image: Any, data_format: str | None, input_data_format: str | None, step: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """One step on one image, back in the channel order it came in or the one that is asked for."""
    for name, value in (("data_format", data_format), ("input_data_format", input_data_format)):
        ops.checked_format(name, value, (ops.FIRST, ops.LAST, None))
    picture = ops.read_image(image, input_data_format)
    return ops.to_data_format(step(picture.values), data_format or picture.data_format)


_CALL_ARGUMENTS = ("images", "return_tensors", "data_format", "input_data_format")


def _processed(image: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """One image (height, width, channels) through the steps that are switched on."""
    if settings["do_rescale"]:
        ops.warn_if_scaled(image)
    if settings["do_resize"]:
        image = ops.resize(image, **settings["size"], resample=settings["resample"])
    if settings.get("do_center_crop"):
        image = ops.center_crop(image, **settings["crop_size"])
    if settings["do_rescale"]:
        image = ops.rescale(image, settings["rescale_factor"])
    if settings["do_normalize"]:
        image = ops.normalize(image, settings["image_mean"], settings["image_std"])
    return image


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
