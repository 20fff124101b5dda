"""ViT's image processor: resize to one size, scale to 0..1, normalise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL.Image import Resampling

from multimodal.processors.base import PretrainedProcessor, reject_unknown
from multimodal.processors.batch import BatchFeature
from multimodal.processors.image import operations as ops


class ViTImageProcessor(PretrainedProcessor):
    """Pictures to `pixel_values` (batch, channels, height, width), float32.

    Every option of the constructor can be overridden in a call. `size` is `{"height": h, "width": w}`, or one number
    for a square; `resample` a PIL.Image.Resampling; `image_mean` and `image_std` one number or one for each channel.
    `do_convert_rgb` makes RGB of Pillow images in other modes, which are a ValueError otherwise.
    """

    def __init__(
        self,
        do_resize: bool = True,
        size: dict[str, int] | int | None = None,
        resample: int = Resampling.BILINEAR,
        do_rescale: bool = True,
        rescale_factor: float = 1 / 255,
        do_normalize: bool = True,
        image_mean: float | Sequence[float] | None = None,
        image_std: float | Sequence[float] | None = None,
        do_convert_rgb: bool | None = None,
        **kwargs: Any,
    ):
        reject_unknown(type(self).__name__, kwargs, self.arguments())
        self.extra: dict[str, Any] = {}
        self.do_resize = do_resize
        self.size = ops.checked_size({"height": 224, "width": 224} if size is None else size)
        self.resample = int(ops.checked_resample(resample))
        self.do_rescale = do_rescale
        self.rescale_factor = rescale_factor
        self.do_normalize = do_normalize
        self.image_mean = [0.5, 0.5, 0.5] if image_mean is None else image_mean
        self.image_std = [0.5, 0.5, 0.5] if image_std is None else image_std
        self.do_convert_rgb = do_convert_rgb

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        if self.do_convert_rgb is None:
            del values["do_convert_rgb"]  # not part of the published file
        return values

    def __call__(self, images: Any, **kwargs: Any) -> BatchFeature:
        return self.preprocess(images, **kwargs)

    def preprocess(
        self,
        images: Any,
        do_resize: bool | None = None,
        size: dict[str, int] | int | None = None,
        resample: int | None = None,
        do_rescale: bool | None = None,
        rescale_factor: float | None = None,
        do_normalize: bool | None = None,
        image_mean: float | Sequence[float] | None = None,
        image_std: float | Sequence[float] | None = None,
        return_tensors: str | None = None,
        data_format: str | None = ops.FIRST,
        input_data_format: str | None = None,
        do_convert_rgb: bool | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """One image or a batch (see `images.read_images` for what is accepted) to `pixel_values`.

        `data_format` is the channel order of the output: channels_first, channels_last, or None for that of the input.
        `return_tensors`: np, pt, tf, jax, or None for a list of arrays. Errors: ValueError naming the argument.
        """
        reject_unknown(f"{type(self).__name__}.preprocess", kwargs, (*self.arguments(), *_CALL_ARGUMENTS))
        ops.checked_format("data_format", data_format, (ops.FIRST, ops.LAST, "none", None))
        given = {
            "do_resize": do_resize,
            "size": size,
            "resample": resample,
            "do_rescale": do_rescale,
            "rescale_factor": rescale_factor,
            "do_normalize": do_normalize,
            "image_mean": image_mean,
            "image_std": image_std,
            "do_convert_rgb": do_convert_rgb,
        }
        options = {name: getattr(self, name) if value is None else value for name, value in given.items()}
        options["size"] = ops.checked_size(options["size"])
        pictures = ops.read_images(images, input_data_format, bool(options["do_convert_rgb"]))
        wanted = None if data_format == "none" else data_format
        pixels = [ops.to_data_format(_processed(p.values, options), wanted or p.data_format) for p in pictures]
        return BatchFeature({"pixel_values": pixels}, return_tensors)


_CALL_ARGUMENTS = ("images", "return_tensors", "data_format", "input_data_format")


def _processed(image: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """One image (height, width, channels) through the steps that are switched on."""
    if options["do_rescale"]:
        ops.warn_if_scaled(image)
    if options["do_resize"]:
        image = ops.resize(image, options["size"]["height"], options["size"]["width"], options["resample"])
    if options["do_rescale"]:
        image = ops.rescale(image, options["rescale_factor"])
    if options["do_normalize"]:
        image = ops.normalize(image, options["image_mean"], options["image_std"])
    return image
