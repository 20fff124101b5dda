"""BEiT's and Data2Vec-vision's image processor: resize, crop the middle, scale to 0..1, normalise; and what belongs to
segmentation: maps of labels beside pictures, and from logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from PIL.Image import Resampling

from multimodal.processors.batch import BatchFeature
from multimodal.processors.image import operations as ops
from multimodal.processors.image import segmentation
from multimodal.processors.image.parallel import in_order
from multimodal.processors.image.processor import ImageProcessor


class BeitImageProcessor(ImageProcessor):
    """Pictures to `pixel_values` (batch, channels, height, width), float32, and their segmentation maps to `labels`.

    Options as in `ImageProcessor`. `do_reduce_labels` takes one from every label of a segmentation map, as for data sets
    (ADE20k) that count the background as 0: it becomes 255, which losses ignore. Pictures in other modes than RGB are
    converted unless `do_convert_rgb` is False.
    """

    converts = True
    older_names: ClassVar[dict[str, str]] = {"reduce_labels": "do_reduce_labels"}

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
        do_reduce_labels: bool = False,
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
            do_reduce_labels=do_reduce_labels,
            do_convert_rgb=do_convert_rgb,
        )

    def __call__(self, images: Any, segmentation_maps: Any = None, **kwargs: Any) -> BatchFeature:
        return self.preprocess(images, segmentation_maps, **kwargs)

    def preprocess(
        self,
        images: Any,
        segmentation_maps: Any = None,
        *,
        return_tensors: str | None = None,
        data_format: str | None = ops.FIRST,
        input_data_format: str | None = None,
        **options: Any,
    ) -> BatchFeature:
        """One image or a batch to `pixel_values`, as `ImageProcessor.preprocess`; and its maps to `labels`.

        `segmentation_maps`: one for each image, a Pillow image, a path or an array (height, width) of labels, in the
        size of the image as it is before resizing. `labels` are int64 (batch, height, width), resized to the nearest
        label, cropped as the images and reduced where `do_reduce_labels` is set.
        """
        settings = self._settings(options)
        pixels, sizes = self._pixel_values(images, settings, data_format, input_data_format)
        features = {"pixel_values": list(pixels) if return_tensors is None else pixels}
        if segmentation_maps is not None:
            maps = segmentation.listed_maps(segmentation_maps, len(sizes))

            def labels(number: int) -> Any:
                place, source = maps[number]
                return segmentation.processed_map(segmentation.read_map(source, sizes[number], place), settings, place)

            features["labels"] = in_order(labels, range(len(maps)), [source for _, source in maps])
        return BatchFeature(features, return_tensors)

    def post_process_semantic_segmentation(self, outputs: Any, target_sizes: Any = None) -> list[Any]:
        """For each picture its map: the most likely label of every pixel, (height, width), integers.

        `outputs`: what a model for semantic segmentation gives, in any framework; the maps are in the same one.
        `target_sizes`: (height, width) of every picture, to which the logits are resized first (bilinear), or None for
        the logits' own size. Errors: ValueError.
        """
        return segmentation.segmented(outputs, target_sizes)


class BeitFeatureExtractor(BeitImageProcessor):
    """The older name; see `BeitImageProcessor`."""
