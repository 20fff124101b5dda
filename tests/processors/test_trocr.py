"""TrOCR's processor against what the reference answers to the same calls, and with parts of any kind."""

import json

import numpy as np
import pytest

from multimodal import AutoProcessor, DeiTImageProcessor, TrOCRProcessor, ViTImageProcessor
from multimodal.processors.bert import BertTokenizer
from multimodal.processors.roberta import RobertaTokenizer, RobertaTokenizerFast

PICTURE = np.zeros((20, 30, 3), np.uint8)


@pytest.fixture
def made(make):
    return TrOCRProcessor(ViTImageProcessor(size={"height": 8, "width": 8}), make(RobertaTokenizerFast))


def test_pictures_and_texts_give_pixels_and_labels(made):
    found = made(PICTURE, text=["ab", "a b c"], padding=True, return_tensors="np")
    assert list(found) == ["pixel_values", "labels"]
    assert found["pixel_values"].shape == (1, 3, 8, 8)
    assert found["labels"].tolist() == [[0, 70, 71, 2, 1], [0, 70, 413, 277, 2]]  # the reference's


def test_options_go_to_the_part_that_takes_them(made):
    found = made(PICTURE, "ab", do_normalize=False, padding="max_length", max_length=7, return_tensors="np")
    assert found["labels"].tolist() == [[0, 70, 71, 2, 1, 1, 1]]
    assert (found["pixel_values"] == 0).all()
    with pytest.raises(ValueError, match=r"TrOCRProcessor: unknown argument 'do_normalise'.*do_normalize"):
        made(PICTURE, do_normalise=False)


def test_either_alone_is_what_the_part_gives(made):
    assert list(made(images=PICTURE, return_tensors="np")) == ["pixel_values"]
    assert made(text="ab").data == made.tokenizer("ab").data
    assert made.model_input_names == ["pixel_values"]
    with pytest.raises(ValueError, match="images: expected images, text, or both, got neither"):
        made()


def test_what_was_generated_is_decoded_by_the_tokenizer(made):
    ids = made.tokenizer("a b c").input_ids
    assert made.decode(ids, skip_special_tokens=True) == "a b c"
    assert made.batch_decode([ids], skip_special_tokens=True) == ["a b c"]


@pytest.mark.parametrize("tokenizer_class", [RobertaTokenizerFast, BertTokenizer], ids=lambda c: c.__name__)
@pytest.mark.parametrize("image_processor_class", [ViTImageProcessor, DeiTImageProcessor], ids=lambda c: c.__name__)
def test_parts_of_any_kind_are_saved_and_found_again(make, tmp_path, image_processor_class, tokenizer_class):
    saved = TrOCRProcessor(image_processor_class(), make(tokenizer_class))
    saved.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "preprocessor_config.json").read_text())["processor_class"] == "TrOCRProcessor"
    found = AutoProcessor.from_pretrained(tmp_path, use_fast=tokenizer_class.__name__.endswith("Fast"))
    assert type(found) is TrOCRProcessor
    assert type(found.image_processor) is image_processor_class
    assert type(found.tokenizer) is tokenizer_class
    assert found(PICTURE, "a b").data.keys() == {"pixel_values", "labels"}


def test_a_slow_tokenizer_is_loaded_where_that_is_asked_for(made, tmp_path):
    made.save_pretrained(tmp_path)
    assert type(TrOCRProcessor.from_pretrained(tmp_path, use_fast=False).tokenizer) is RobertaTokenizer


def test_parts_that_are_none_are_refused(make):
    with pytest.raises(ValueError, match="image_processor: expected an image processor, got RobertaTokenizer"):
        TrOCRProcessor(make(RobertaTokenizer), ViTImageProcessor())
    with pytest.raises(ValueError, match="tokenizer: expected a tokenizer, got NoneType"):
        TrOCRProcessor(ViTImageProcessor())
