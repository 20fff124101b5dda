"""TrOCR's processor: an image processor and a tokenizer in one, of whichever kinds the checkpoint has."""

from __future__ import annotations

from typing import Any, ClassVar

from multimodal import hub
from multimodal.auto import AutoImageProcessor, AutoTokenizer
from multimodal.processors.batch import BatchEncoding, BatchFeature
from multimodal.processors.combined import Combined, merged, options_of
from multimodal.processors.image.processor import ImageProcessor
from multimodal.processors.text.tokenization import PreTrainedTokenizerBase
from multimodal.suggestions import reject_unknown

_KINDS: dict[str, tuple[Any, Any]] = {
    "image_processor": (ImageProcessor, AutoImageProcessor),
    "tokenizer": (PreTrainedTokenizerBase, AutoTokenizer),
}


class TrOCRProcessor(Combined):
    """An image processor and a tokenizer in one, as `image_processor` and `tokenizer`."""

    parts: ClassVar[dict[str, tuple[str, ...]]] = {
        "image_processor": ("an image processor",),
        "tokenizer": ("a tokenizer",),
    }

    def __init__(self, image_processor: ImageProcessor | None = None, tokenizer: PreTrainedTokenizerBase | None = None):
        """Both are needed, as published by keyword or by place. Errors: ValueError."""
        super().__init__(image_processor=image_processor, tokenizer=tokenizer)

    @classmethod
    def _classes_of(cls, name: str) -> tuple[Any, ...]:
        return _KINDS[name][:1]

    @classmethod
    def _class_for(cls, name: str, name_or_path: hub.Name, use_fast: bool, hub_options: dict[str, Any]) -> Any:
        return _KINDS[name][1].class_for(name_or_path, use_fast, **hub_options)

    def __call__(
        self, images: Any = None, text: Any = None, return_tensors: str | None = None, **kwargs: Any
    ) -> BatchFeature | BatchEncoding:
        """Images to `pixel_values`; texts to `input_ids` and `attention_mask`; both to `pixel_values` and `labels`.

        Labels are the texts' `input_ids`, padding included, as published. Keywords are options of the calls of the image
        processor and of the tokenizer, and go to whichever takes them. Errors: ValueError; an option that nothing takes
        is one too.
        """
        if images is None and text is None:
            raise ValueError("images: expected images, text, or both, got neither")
        of_images = options_of(type(self.image_processor).preprocess, "images")
        of_texts = options_of(type(self.tokenizer).__call__, "text")
        given = {"return_tensors": return_tensors, **kwargs}
        reject_unknown(type(self).__name__, given, (*of_images, *of_texts))
        if images is None:
            return self.tokenizer(text, **merged(of_texts, given))
        data = self.image_processor(images, **merged(of_images, given))
        if text is not None:
            data["labels"] = self.tokenizer(text, **merged(of_texts, given))["input_ids"]
        return data

    @property
    def model_input_names(self) -> list[str]:
        """What a model takes of a call: the images."""
        return self.image_processor.model_input_names

    def batch_decode(self, *args: Any, **kwargs: Any) -> list[str]:
        """The tokenizer's `batch_decode`."""
        return self.tokenizer.batch_decode(*args, **kwargs)

    def decode(self, *args: Any, **kwargs: Any) -> str:
        """The tokenizer's `decode`."""
        return self.tokenizer.decode(*args, **kwargs)
