"""DeiT's image processor: resize, crop the middle, scale to 0..1, normalise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL.Image import Resampling

from multimodal.processors.image.processor import ImageProcessor


class DeiTImageProcessor(ImageProcessor):
    """Pictures to `pixel_values` (batch, channels, height, width), float32. Options as in `ImageProcessor`."""

    def __init__(
        self,
        do_resize: bool = True,
        size: dict[str, int] | int | None = None,
        resample: int = Resampling.BICUBIC,
        do_center_crop: bool = True,
        crop_size: dict[str, int] | int | None = None,
        rescale_factor: float = 1 / 255,
        do_rescale: bool = True,
        do_normalize: bool = True,
        image_mean: float | Sequence[float] | None = None,
        image_std: float | Sequence[float] | None = None,
        do_convert_rgb: bool | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            kwargs,
            do_resize=do_resize,
            size=256 if size is None else size,
            resample=resample,
            do_center_crop=do_center_crop,
            crop_size=224 if crop_size is None else crop_size,
            rescale_factor=rescale_factor,
            do_rescale=do_rescale,
            do_normalize=do_normalize,
            image_mean=[0.5, 0.5, 0.5] if image_mean is None else image_mean,
            image_std=[0.5, 0.5, 0.5] if image_std is None else image_std,
            do_convert_rgb=do_convert_rgb,
        )
