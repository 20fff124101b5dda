"""ALIGN's processor: published answers, which of several options counts, files, bad input."""

import itertools
import json

import combined as calls
import numpy as np
import pytest
from PIL import Image

import multimodal
from multimodal import (
    AlignProcessor,
    AutoImageProcessor,
    AutoProcessor,
    AutoTokenizer,
    BertTokenizer,
    BertTokenizerFast,
    EfficientNetImageProcessor,
    ViTImageProcessor,
)

PICTURE = calls.picture()
SIZE = {"height": 5, "width": 6}


@pytest.fixture(params=[BertTokenizerFast, BertTokenizer], ids=lambda cls: cls.__name__)
def processor(request, make):
    return AlignProcessor(EfficientNetImageProcessor(size=8), make(request.param))


@pytest.mark.parametrize("name", calls.ALIGN)
def test_published_answers_are_met(processor, combined_answers, name):
    found, published = calls.align_call(processor, calls.ALIGN[name]), combined_answers["align"][name]
    assert sorted(found) == sorted(published)
    for field, answer in published.items():
        if field == "pixel_values":
            assert found[field][0] == answer[0]
            np.testing.assert_allclose(found[field][1], answer[1], rtol=1e-5)
        else:
            assert found[field] == answer


def test_the_documented_call(processor, tmp_path, monkeypatch):
    """As in the documentation: options of each kind in a dictionary of their own."""
    processor.save_pretrained(tmp_path / "kakaobrain" / "align-base")
    monkeypatch.setenv("MULTIMODAL_CHECKPOINTS", str(tmp_path))
    inputs = AlignProcessor.from_pretrained("kakaobrain/align-base")(
        images=Image.fromarray(PICTURE),
        text=["What is that?"],
        images_kwargs={"crop_size": {"height": 224, "width": 224}},
        text_kwargs={"padding": "do_not_pad"},
        common_kwargs={"return_tensors": "pt"},
    )
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {
        "input_ids": (1, 11), "token_type_ids": (1, 11), "attention_mask": (1, 11), "pixel_values": (1, 3, 8, 8),
    }  # fmt: skip
    assert type(inputs.pixel_values).__module__ == "torch"


@pytest.mark.parametrize("kind", ["np", "pt", "tf", "jax"])
def test_both_kinds_become_tensors_of_one_framework(processor, kind):
    inputs = processor(text=["a cat", "two dogs"], images=[PICTURE] * 3, return_tensors=kind)
    shapes = {name: tuple(value.shape) for name, value in inputs.items()}
    assert shapes["input_ids"] == (2, 64)
    assert shapes["pixel_values"] == (3, 3, 8, 8)
    assert len({type(value).__module__ for value in inputs.values()}) == 1


def test_the_own_kind_wins_over_common_over_the_keyword(processor):
    """Every pair of places in which one option may stand."""
    places = ("text_kwargs", "common_kwargs", None)
    lengths = dict(zip(places, (5, 6, 7)))
    for first, second in itertools.combinations(places, 2):
        given = {}
        for place in (second, first):
            given |= {place: {"max_length": lengths[place]}} if place else {"max_length": lengths[place]}
        assert len(processor("a cat", **given)["input_ids"]) == lengths[first]
    sizes = {"images_kwargs": 5, "common_kwargs": 6, None: 7}
    for first, second in itertools.combinations(sizes, 2):
        given = {}
        for place in (second, first):
            given |= {place: {"size": sizes[place]}} if place else {"size": sizes[place]}
        assert processor(images=PICTURE, **given)["pixel_values"][0].shape == (3, sizes[first], sizes[first])


def test_an_option_of_both_kinds_can_differ(processor):
    inputs = processor("a cat", PICTURE, return_tensors="np", text_kwargs={"return_tensors": "pt"})
    assert type(inputs.input_ids).__module__ == "torch"
    assert isinstance(inputs.pixel_values, np.ndarray)


def test_sixty_four_tokens_unless_another_number_is_given(processor):
    long = "a cat " * 50
    lengths = {
        64: [{}, {"padding": "max_length"}],
        4: [{"padding": True}, {"padding": False}, {"padding": "longest"}],
        30: [{"max_length": 30}],
    }
    for length, several in lengths.items():
        for options in several:
            assert len(processor("a cat", **options)["input_ids"]) == length
    assert len(processor(long)["input_ids"]) == len(processor(long, padding=False)["input_ids"]) == 102
    assert len(processor(long, truncation=True)["input_ids"]) == 64
    assert len(processor(long, padding=True, truncation=True)["input_ids"]) == 64


def test_what_a_call_gives_and_its_way_back(processor):
    inputs = processor("a cat", PICTURE)
    assert list(inputs) == processor.model_input_names
    ids = inputs["input_ids"]
    assert processor.decode(ids, skip_special_tokens=True) == "a cat"
    assert processor.batch_decode([ids, ids], skip_special_tokens=True) == ["a cat", "a cat"]


@pytest.mark.parametrize("use_fast", [True, False])
def test_saving_and_loading_is_the_identity(processor, tmp_path, use_fast):
    files = processor.save_pretrained(tmp_path / "made")
    assert all(path.startswith(str(tmp_path)) for path in files)
    for file in ("preprocessor_config.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / "made" / file).read_text())["processor_class"] == "AlignProcessor"
    for cls in (AlignProcessor, AutoProcessor):  # there is no config.json
        again = cls.from_pretrained(tmp_path / "made", use_fast=use_fast, resample=2)
        assert type(again) is AlignProcessor
        assert again.tokenizer.is_fast is use_fast
        assert again.image_processor.to_dict() == {**processor.image_processor.to_dict(), "resample": 2}
        assert again("a cat")["input_ids"] == processor("a cat")["input_ids"]
    assert type(AutoImageProcessor.from_pretrained(tmp_path / "made")) is EfficientNetImageProcessor
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "made", use_fast=use_fast)
    assert type(tokenizer) is (BertTokenizerFast if use_fast else BertTokenizer)


def test_a_part_that_is_saved_alone_is_no_processor(processor, tmp_path):
    processor.save_pretrained(tmp_path / "both")
    assert "processor_class" not in processor.image_processor.to_dict()
    AlignProcessor.from_pretrained(tmp_path / "both").image_processor.save_pretrained(tmp_path / "one")
    written = json.loads((tmp_path / "one" / "preprocessor_config.json").read_text())
    assert "processor_class" not in written


def test_the_published_settings_of_align(make, tmp_path):
    """The file that is published: -1..1 by an offset, no normalisation, and keys that say what belongs to what."""
    published = {
        "crop_size": {"height": 289, "width": 289}, "do_center_crop": True, "do_normalize": False, "do_rescale": True,
        "do_resize": True, "image_processor_type": "EfficientNetImageProcessor", "include_top": False,
        "processor_class": "AlignProcessor", "resample": 2, "rescale_factor": 1 / 127.5, "rescale_offset": True,
        "size": {"height": 346, "width": 346},
    }  # fmt: skip
    make(BertTokenizerFast).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published))
    pixels = AutoProcessor.from_pretrained(tmp_path)(images=PICTURE, return_tensors="np").pixel_values
    resized = Image.fromarray(PICTURE).resize((346, 346), Image.Resampling.BILINEAR)
    expected = np.asarray(resized, np.float64)[28:317, 28:317].transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(pixels[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "text: expected a text, images, or both, got neither"),
        (
            {"text": PICTURE},
            r"text: expected a text .*got <array of shape \(12, 16, 3\), uint8>; pictures go into images=",
        ),
        ({"text": [Image.fromarray(PICTURE)]}, r"text: expected a text .*pictures go into images="),
        ({"text": 3}, "text"),
        ({"images": "no.png"}, r"images: expected a whole picture in no\.png"),
        ({"text": "a", "pading": True}, "AlignProcessor: unknown argument 'pading'; did you mean 'padding'"),
        ({"text": "a", "text_kwarg": {}}, "AlignProcessor: unknown argument 'text_kwarg'; did you mean 'text_kwargs'"),
        ({"text": "a", "text_kwargs": {"size": 3}}, "text_kwargs: unknown argument 'size'; it takes"),
        ({"text": "a", "images_kwargs": {"padding": 3}}, "images_kwargs: unknown argument 'padding'; it takes"),
        ({"text": "a", "images_kwargs": {"do_resise": 3}}, "did you mean 'do_resize'"),
        ({"text": "a", "common_kwargs": {"retun_tensors": 3}}, "common_kwargs: .*did you mean 'return_tensors'"),
        ({"text": "a", "common_kwargs": "np"}, "common_kwargs: expected a dictionary of options, got 'np'"),
        ({"images": PICTURE, "text_kwargs": ["padding"]}, "text_kwargs: expected a dictionary of options"),
        ({"text": "a", "padding": "nonsense"}, "padding: expected"),
        ({"text": "a", "return_tensors": "nonsense"}, "return_tensors: expected"),
    ],
    ids=str,
)
def test_a_bad_call_is_named(processor, arguments, message):
    with pytest.raises(ValueError, match=message):
        processor(**arguments)


def test_parts_of_another_kind_are_named(processor, make, tmp_path):
    with pytest.raises(ValueError, match="image_processor: expected EfficientNetImageProcessor, got ViTImageProcessor"):
        AlignProcessor(ViTImageProcessor(), processor.tokenizer)
    with pytest.raises(ValueError, match="tokenizer: expected BertTokenizer or BertTokenizerFast, got int"):
        AlignProcessor(processor.image_processor, 3)
    processor.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="did you mean 'do_lower_case'"):
        AlignProcessor.from_pretrained(tmp_path, do_lower_cas=True)
    with pytest.raises(ValueError, match="use_fast: expected True or False, got 'no'"):
        AlignProcessor.from_pretrained(tmp_path, use_fast="no")
    with pytest.raises(ValueError, match=r"preprocessor_config\.json"):
        AlignProcessor.from_pretrained(make(BertTokenizer).save_pretrained(tmp_path / "texts") and tmp_path / "texts")


@pytest.mark.parametrize("name", ["BatchFeature", "BertTokenizer", "__import__", "NoSuchProcessor", "multimodal"])
def test_a_class_that_is_no_processor_is_not_made(processor, tmp_path, name):
    """What a file may name is looked for among the processors alone; then the model's type counts."""
    processor.save_pretrained(tmp_path)
    for file in ("preprocessor_config.json", "tokenizer_config.json"):
        values = json.loads((tmp_path / file).read_text())
        (tmp_path / file).write_text(json.dumps({**values, "processor_class": name, "image_processor_type": name}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    assert type(AutoProcessor.from_pretrained(tmp_path)) is ViTImageProcessor
    assert type(AutoImageProcessor.from_pretrained(tmp_path)) is ViTImageProcessor
    (tmp_path / "processor_config.json").write_text('{"processor_class": "AlignProcessor"}')
    assert type(AutoProcessor.from_pretrained(tmp_path)) is AlignProcessor
    (tmp_path / "processor_config.json").write_text('{"processor_class": 3}')
    with pytest.raises(
        ValueError, match=r"processor_config\.json: processor_class: expected the name of a class, got 3"
    ):
        multimodal.AutoProcessor.from_pretrained(tmp_path)
