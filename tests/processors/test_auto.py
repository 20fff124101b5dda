"""The Auto classes of processors: which class a folder's files, its model's type and `use_fast` mean."""

import json

import pytest

import multimodal
from multimodal import AutoFeatureExtractor, AutoImageProcessor, AutoProcessor, AutoTokenizer, registry

OF_TEXTS = {t: row for t, row in registry.FAMILIES.items() if len(row.tokenizers or ()) == 2 and not row.processor}
KINDS = list(dict.fromkeys(row.tokenizers for row in OF_TEXTS.values()))
CONFIGS = {row.tokenizers: model_type for model_type, row in OF_TEXTS.items()}
PICTURED = [model_type for model_type, row in registry.FAMILIES.items() if row.image_processor]


@pytest.mark.parametrize("named", ["slow", "fast", None])
@pytest.mark.parametrize(("slow", "fast"), KINDS)
def test_the_fast_class_comes_unless_the_slow_one_is_asked_for(slow, fast, make, tmp_path, named):
    make(getattr(multimodal, slow)).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"tokenizer_class": {"slow": slow, "fast": fast}.get(named)}
    path.write_text(json.dumps(settings))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": CONFIGS[slow, fast]}))
    for options, expected in (({}, fast), ({"use_fast": True}, fast), ({"use_fast": False}, slow)):
        assert type(AutoTokenizer.from_pretrained(tmp_path, **options)).__name__ == expected
    assert type(AutoProcessor.from_pretrained(tmp_path, use_fast=False)).__name__ == slow
    with pytest.raises(ValueError, match="use_fast: expected True or False, got str"):
        AutoTokenizer.from_pretrained(tmp_path, use_fast="no")


@pytest.mark.parametrize("model_type", PICTURED)
def test_the_image_processor_is_that_of_the_model_s_type(model_type, tmp_path):
    """Where the file of the settings does not say whose they are."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    (tmp_path / "preprocessor_config.json").write_text('{"resample": 3}')
    row = registry.FAMILIES[model_type]
    for auto in (AutoImageProcessor, AutoFeatureExtractor, *([AutoProcessor] if row.processor is None else [])):
        found = auto.from_pretrained(tmp_path)
        assert type(found).__name__ == row.image_processor
        assert found.resample == 3


@pytest.mark.parametrize("key", ["image_processor_type", "feature_extractor_type"])
@pytest.mark.parametrize(
    "name",
    # TVLT's feature extractor is one of sound, no older name
    [n for n in registry.PROCESSOR_MODULES if n.endswith("ImageProcessor") and n != "TvltImageProcessor"],
)
def test_the_image_processor_is_the_one_that_the_file_names(name, key, tmp_path):
    named = name if key == "image_processor_type" else name.replace("ImageProcessor", "FeatureExtractor")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({key: named, "resample": 3}))
    for auto in (AutoImageProcessor, AutoFeatureExtractor):
        found = auto.from_pretrained(tmp_path)
        assert type(found).__name__ == name
        assert found.resample == 3


def test_a_tokenizer_of_no_family_is_the_plain_fast_one(bert, tmp_path):
    bert.save_pretrained(tmp_path, legacy_format=False)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    for use_fast in (True, False):
        found = AutoTokenizer.from_pretrained(tmp_path, use_fast=use_fast)
        assert type(found) is multimodal.PreTrainedTokenizerFast
        assert found("a cat")["input_ids"] == bert("a cat")["input_ids"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "expected a JSON object, got list"),
        ('{"tokenizer_class": 3}', "tokenizer_class: expected the name of a class, got 3"),
        ('{"tokenizer_class": ' + "[" * 100_000, "expected a JSON object"),
        ('{"a": ' + "9" * 10_000 + "}", "expected a JSON object"),
        ("\udcff", "expected a JSON object"),
    ],
    ids=["list", "number", "deep", "digits", "bytes"],
)
def test_a_damaged_file_is_named(tmp_path, content, message):
    (tmp_path / "tokenizer_config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=rf"tokenizer_config\.json: {message}"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_the_documented_bases_and_tokens_are_public(any_class, make):
    base = multimodal.PreTrainedTokenizerFast if any_class.is_fast else multimodal.PreTrainedTokenizer
    assert issubclass(any_class, base)
    tokenizer = make(any_class)
    assert tokenizer.add_tokens(multimodal.AddedToken("<x>", lstrip=True)) == 1
    assert tokenizer.added_tokens_decoder[len(tokenizer) - 1].lstrip
