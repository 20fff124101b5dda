"""EfficientNet's image processor, which is ALIGN's: resize, crop the middle, scale to 0..1 or -1..1, normalise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL.Image import Resampling

from multimodal.processors.image import operations as ops
from multimodal.processors.image.processor import ImageProcessor


class EfficientNetImageProcessor(ImageProcessor):
    """Pictures to `pixel_values` (batch, channels, height, width), float32.

    Options as in `ImageProcessor`. `rescale_offset` takes 1 from the rescaled values: with `rescale_factor=1 / 127.5` they
    are in -1..1. `include_top` divides by `image_std` once more at the end, for networks that classify. Pictures in other
    modes than RGB are converted unless `do_convert_rgb` is False.
    """

    converts = True

    def __init__(
        self,
        do_resize: bool = True,
        size: dict[str, int] | int | None = None,
        resample: int = Resampling.NEAREST,
        do_center_crop: bool = False,
        crop_size: dict[str, int] | int | None = None,
        rescale_factor: float = 1 / 255,
        rescale_offset: bool = False,
        do_rescale: bool = True,
        do_normalize: bool = True,
        image_mean: float | Sequence[float] | None = None,
        image_std: float | Sequence[float] | None = None,
        include_top: bool = True,
        do_convert_rgb: bool | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            kwargs,
            do_resize=do_resize,
            size=346 if size is None else size,
            resample=resample,
            do_center_crop=do_center_crop,
            crop_size=289 if crop_size is None else crop_size,
            rescale_factor=rescale_factor,
            rescale_offset=rescale_offset,
            do_rescale=do_rescale,
            do_normalize=do_normalize,
            image_mean=[0.5, 0.5, 0.5] if image_mean is None else image_mean,
            image_std=[0.5, 0.5, 0.5] if image_std is None else image_std,
            include_top=include_top,
            do_convert_rgb=do_convert_rgb,
        )

    def _pointwise(self, image: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
        if settings["do_rescale"]:
            image = ops.rescale(image, settings["rescale_factor"], _offset(settings["rescale_offset"]))
        if settings["do_normalize"]:
            image = ops.normalize(image, settings["image_mean"], settings["image_std"])
        if settings["include_top"]:
            image = ops.normalize(image, 0.0, settings["image_std"])
        return image

    def rescale(
        self,
        image: Any,
        scale: float,
        offset: bool = True,
        data_format: str | None = None,
        input_data_format: str | None = None,
    ) -> np.ndarray:
        """One image times `scale`, less 1 where `offset` is set, float32."""
        return ops.step(image, data_format, input_data_format, lambda a: ops.rescale(a, scale, _offset(offset)))


def _offset(switched_on: bool) -> float:
    return -1.0 if switched_on else 0.0
