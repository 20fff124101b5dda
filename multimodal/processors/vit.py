"""ViT's image processor: resize to one size, scale to 0..1, normalise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL.Image import Resampling

from multimodal.processors.image.processor import ImageProcessor


class ViTImageProcessor(ImageProcessor):
    """Pictures to `pixel_values` (batch, channels, height, width), float32. Options as in `ImageProcessor`."""

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
        super().__init__(
            kwargs,
            do_resize=do_resize,
            size=224 if size is None else size,
            resample=resample,
            do_rescale=do_rescale,
            rescale_factor=rescale_factor,
            do_normalize=do_normalize,
            image_mean=[0.5, 0.5, 0.5] if image_mean is None else image_mean,
            image_std=[0.5, 0.5, 0.5] if image_std is None else image_std,
            do_convert_rgb=do_convert_rgb,
        )


class ViTFeatureExtractor(ViTImageProcessor):
    """The older name; see `ViTImageProcessor`."""
