"""ALIGN's processor: an image processor and a tokenizer in one, with one call for pictures and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from multimodal.processors.arrays import is_tensor
from multimodal.processors.batch import BatchEncoding
from multimodal.processors.bert import BertTokenizer, BertTokenizerFast
from multimodal.processors.combined import Combined, merged, options_of
from multimodal.processors.efficientnet import EfficientNetImageProcessor
from multimodal.processors.shown import shown
from multimodal.suggestions import reject_unknown

LENGTH = 64
"""Tokens to which texts are padded."""

_TO_TEXTS = options_of(BertTokenizerFast.__call__, "text")
_TO_IMAGES = options_of(EfficientNetImageProcessor.preprocess, "images")


class AlignProcessor(Combined):
    """`EfficientNetImageProcessor` and `BertTokenizer` (or the fast one) in one, as `image_processor` and `tokenizer`."""

    parts: ClassVar[dict[str, tuple[str, ...]]] = {
        "image_processor": ("EfficientNetImageProcessor",),
        "tokenizer": ("BertTokenizer", "BertTokenizerFast"),
    }

    def __init__(self, image_processor: EfficientNetImageProcessor, tokenizer: BertTokenizer | BertTokenizerFast):
        super().__init__(image_processor=image_processor, tokenizer=tokenizer)

    def __call__(
        self,
        text: Any = None,
        images: Any = None,
        padding: bool | str = "max_length",
        max_length: int | None = None,
        return_tensors: str | None = None,
        *,
        text_kwargs: Mapping[str, Any] | None = None,
        images_kwargs: Mapping[str, Any] | None = None,
        common_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> BatchEncoding:
        """Texts to `input_ids`, `token_type_ids` and `attention_mask`, images to `pixel_values`: either or both.

        `text` is a text or a list of them, `images` what `EfficientNetImageProcessor` takes. Texts are padded to
        `max_length`, 64 tokens unless it is given, and not cut off without `truncation=True`. Where `padding` is another
        one `max_length` is what `truncation=True` cuts to, again 64 unless it is given.

        Options of the tokenizer's and of the image processor's call are keywords, which go to whichever takes them, or
        stand in `text_kwargs`, `images_kwargs` and `common_kwargs`. Where one is given more than once, the dictionary of
        its own kind wins over `common_kwargs`, and that over the keyword. Errors: ValueError; an option that nothing
        takes is one too.
        """
        if text is None and images is None:
            raise ValueError("text: expected a text, images, or both, got neither")
        call = {"padding": padding, "max_length": max_length, "return_tensors": return_tensors, **kwargs}
        common, of_texts, of_images = (
            _mapping(name, given)
            for name, given in (
                ("common_kwargs", common_kwargs), ("text_kwargs", text_kwargs), ("images_kwargs", images_kwargs)
            )
        )  # fmt: skip
        name = type(self).__name__
        reject_unknown(name, call, (*_TO_TEXTS, *_TO_IMAGES, "text_kwargs", "images_kwargs", "common_kwargs"))
        reject_unknown(f"{name}: common_kwargs", common, (*_TO_TEXTS, *_TO_IMAGES))
        reject_unknown(f"{name}: text_kwargs", of_texts, _TO_TEXTS)
        reject_unknown(f"{name}: images_kwargs", of_images, _TO_IMAGES)
        data: BatchEncoding = BatchEncoding()
        if text is not None:
            _expect_texts(text)
            data = self.tokenizer(text, **_with_length(merged(_TO_TEXTS, call, common, of_texts)))
        if images is not None:
            data.update(self.image_processor(images, **merged(_TO_IMAGES, call, common, of_images)))
        return data

    @property
    def model_input_names(self) -> list[str]:
        """What a call may give, texts first."""
        return list(dict.fromkeys([*self.tokenizer.model_input_names, *self.image_processor.model_input_names]))

    def batch_decode(self, *args: Any, **kwargs: Any) -> list[str]:
        """The tokenizer's `batch_decode`."""
        return self.tokenizer.batch_decode(*args, **kwargs)

    def decode(self, *args: Any, **kwargs: Any) -> str:
        """The tokenizer's `decode`."""
        return self.tokenizer.decode(*args, **kwargs)


def _expect_texts(text: Any) -> None:
    """ValueError for pictures where texts belong: the published order of the two is not what many expect."""
    one = text[0] if isinstance(text, list | tuple) and text else text
    if isinstance(one, Image.Image) or is_tensor(one) or (isinstance(one, np.ndarray) and one.dtype.kind in "buif"):
        raise ValueError(f"text: expected a text or a list of texts, got {shown(one)}; pictures go into images=...")


def _mapping(name: str, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if not isinstance(given, Mapping | None):
        raise ValueError(f"{name}: expected a dictionary of options, got {shown(given)}")
    return given or {}


def _with_length(options: dict[str, Any]) -> dict[str, Any]:
    """With `max_length` where something goes by it; by itself it would mean truncation."""
    if options["max_length"] is None and (options["padding"] == "max_length" or options.get("truncation")):
        return {**options, "max_length": LENGTH}
    return options
