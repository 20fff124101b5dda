"""Wav2Vec2's feature extractor and processor: published answers, laws of padding and normalising, files, examples."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import multimodal
from multimodal import (
    AutoFeatureExtractor,
    AutoProcessor,
    AutoTokenizer,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

GOLDEN = Path(__file__).parents[1] / "golden"
VOCABULARY = str(GOLDEN / "processors" / "vocab" / "ctc" / "vocab.json")
_spec = importlib.util.spec_from_file_location("byname", GOLDEN / "byname.py")
byname = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(byname)

_T = np.arange(44100) / 44100
WAVE = np.sin(2 * np.pi * 440 * _T) * 0.3 + np.sin(2 * np.pi * (200 + 900 * _T) * _T) * 0.2
WAVE = (WAVE + 0.01 * byname.uniform(0, "hiss", _T.shape)).astype(np.float32)
CLIPS = [WAVE[:16000], WAVE[:9000]]


def make(**options):
    return Wav2Vec2Processor(Wav2Vec2FeatureExtractor(**options), Wav2Vec2CTCTokenizer(VOCABULARY))


def call(extractor, clips, **options):
    return extractor(clips, sampling_rate=16000, **options)


def test_published_answers_are_met():
    with safe_open(GOLDEN / "processors" / "sound" / "wav2vec2.safetensors", "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        cases = {name: json.loads(text) for name, text in file.metadata().items()}
    assert len(cases) == 9
    for name, case in cases.items():
        extractor = Wav2Vec2FeatureExtractor(**case["setting"])
        found = call(extractor, CLIPS, return_tensors="np", **case["call"])
        assert sorted(found) == sorted(k.split(".")[-1] for k in tensors if k.startswith(f"{name}.out"))
        for field, values in found.items():
            # Every 40th sample of the answers is kept.
            np.testing.assert_allclose(values[:, ::40], tensors[f"{name}.out.{field}"], atol=2e-6, err_msg=name)


@pytest.mark.parametrize("side", ["right", "left"])
def test_with_a_mask_a_padded_clip_is_the_clip_alone_and_padding(side):
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True, padding_side=side, padding_value=0.25)
    batch = call(extractor, CLIPS, padding=True)
    for i, clip in enumerate(CLIPS):
        alone = call(extractor, clip)
        mask = batch.attention_mask[i].astype(bool)
        assert mask.sum() == len(clip)
        assert mask[0 if side == "right" else -1]
        np.testing.assert_array_equal(batch.input_values[i][mask], alone.input_values[0])
        assert (batch.input_values[i][~mask] == 0.25).all()
    assert alone.input_values[0].mean() == pytest.approx(0, abs=1e-6)
    assert alone.input_values[0].var() == pytest.approx(1, abs=1e-4)
    assert (alone.attention_mask[0] == 1).all()


def test_without_a_mask_padding_counts_as_sound():
    extractor = Wav2Vec2FeatureExtractor()
    batch = call(extractor, CLIPS, padding=True, return_tensors="np")
    assert list(batch) == ["input_values"]
    padded = np.concatenate([CLIPS[1], np.zeros(7000)])
    np.testing.assert_allclose(batch.input_values[1], (padded - padded.mean()) / padded.std(), atol=1e-4)
    assert batch.input_values[1].var() == pytest.approx(1, abs=1e-4)


def test_silence_stays_silence_and_loudness_does_not_matter():
    extractor = Wav2Vec2FeatureExtractor()
    assert (call(extractor, np.zeros(500)).input_values[0] == 0).all()
    quiet, loud = (call(extractor, scale * WAVE).input_values[0] for scale in (1.0, 2.0))
    np.testing.assert_allclose(quiet, loud, atol=1e-5)
    raw = Wav2Vec2FeatureExtractor(do_normalize=False)
    np.testing.assert_array_equal(call(raw, WAVE).input_values[0], WAVE)


@pytest.mark.parametrize(
    ("options", "lengths"),
    [
        ({}, [16000, 9000]),
        ({"padding": False}, [16000, 9000]),
        ({"padding": "do_not_pad"}, [16000, 9000]),
        ({"padding": True}, [16000, 16000]),
        ({"padding": "longest", "pad_to_multiple_of": 1000}, [16000, 16000]),
        ({"padding": "longest", "pad_to_multiple_of": 7000}, [21000, 21000]),
        ({"padding": "longest", "max_length": 100}, [16000, 16000]),
        ({"padding": "max_length", "max_length": 12000}, [16000, 12000]),
        ({"padding": "max_length", "max_length": 12000, "truncation": True}, [12000, 12000]),
        ({"truncation": True, "max_length": 8000}, [8000, 8000]),
        ({"truncation": True, "max_length": 10000, "pad_to_multiple_of": 3000}, [12000, 9000]),
        ({"padding": True, "truncation": True, "max_length": 10000, "pad_to_multiple_of": 3000}, [12000, 12000]),
    ],
)
def test_lengths(options, lengths):
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    found = call(extractor, CLIPS, **options)
    assert [len(row) for row in found.input_values] == [len(row) for row in found.attention_mask] == lengths
    assert [int(row.sum()) for row in found.attention_mask] == [min(n, m) for n, m in zip(lengths, (16000, 9000))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "max_length"}, r"max_length: expected a number of samples with padding='max_length', got None"),
        ({"truncation": True}, "max_length: expected a number of samples with truncation=True, got None"),
        ({"truncation": "longest_first"}, "truncation: expected True or False, got 'longest_first'"),
        ({"padding": "some"}, "padding: expected True, False, 'longest'"),
        ({"padding": True, "pad_to_multiple_of": 0}, "pad_to_multiple_of: expected a positive integer, got 0"),
        ({"padding": "max_length", "max_length": 2**40}, "max_length: expected less than"),
        ({"return_attention_mask": 1}, "return_attention_mask: expected True or False, got 1"),
        (
            {"return_tensors": "pt"},
            "input_values: expected rows of one length to make a tensor of, got .16000,., .9000,.*sound padding=True",
        ),
        ({"return_tensors": "mx"}, "return_tensors: expected one of 'np', 'pt', 'tf', 'jax'"),
    ],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        call(Wav2Vec2FeatureExtractor(), CLIPS, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature_size": 80}, "feature_size: expected 1"),
        ({"feature_size": 0}, "feature_size: expected an integer in 1.."),
        ({"sampling_rate": 0}, "sampling_rate: expected samples a second"),
        ({"padding_value": float("nan")}, "padding_value: expected a finite number, got nan"),
        ({"padding_value": 1e300}, "padding_value: expected a finite number"),
        ({"do_normalize": "yes"}, "do_normalize: expected True or False, got 'yes'"),
        ({"padding_side": "top"}, "padding_side: expected 'left' or 'right', got 'top'"),
    ],
)
def test_settings_that_are_none_are_refused_in_code_and_named_in_files(options, message, tmp_path):
    with pytest.raises(ValueError, match=f"^{message}"):
        Wav2Vec2FeatureExtractor(**options)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(options))
    with pytest.raises(ValueError, match=rf"preprocessor_config\.json: {message}"):
        Wav2Vec2FeatureExtractor.from_pretrained(tmp_path)


# Collating


def test_clips_processed_one_by_one_are_padded_to_the_batch():
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    whole = call(extractor, CLIPS, padding=True, return_tensors="np")
    singles = [{k: v[0] for k, v in call(extractor, clip).items()} for clip in CLIPS]
    for given in (singles, {k: [one[k] for one in singles] for k in singles[0]}, call(extractor, CLIPS)):
        found = extractor.pad(given, return_tensors="np")
        for name, values in whole.items():
            np.testing.assert_array_equal(found[name], values)
    batches_of_one = [dict(call(extractor, clip, return_tensors="np")) for clip in CLIPS]
    np.testing.assert_array_equal(extractor.pad(batches_of_one, return_tensors="np").input_values, whole.input_values)
    plain = Wav2Vec2FeatureExtractor()
    found = plain.pad([{"input_values": [0.5, 0.25], "id": 3}, {"input_values": [1.0], "id": 4}], padding=True)
    assert [row.tolist() for row in found.input_values] == [[0.5, 0.25], [1.0, 0.0]]
    assert (found["id"], "attention_mask" in found) == ([3, 4], False)
    masked = plain.pad({"input_values": [[0.5, 0.25], [1.0]]}, return_attention_mask=True)
    assert [row.tolist() for row in masked.attention_mask] == [[1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"input_values": [[0.5, 1.0]], "attention_mask": [[1]]}, r"attention_mask: expected rows as long as .*, \[2\], got \[1\]"),
        ({"input_values": [[0.5, 1.0]], "attention_mask": [[1, 1], [1, 1]]}, r"as input_values, \[2\], got \[2, 2\]"),
        ({"input_ids": [[1]]}, r"processed_features: expected input_values, .* got the fields \['input_ids'\]"),
        ([{"input_values": [0.5]}, {"labels": 3}], r"processed_features\[1\]: expected the fields \['input_values'\]"),
        ([], "processed_features: expected input_values"),
        ({"input_values": [["a"]]}, r"input_values\[0\]: expected numbers"),
        ({"input_values": [[[0.5], [0.5]]]}, r"input_values\[0\]: expected numbers \(samples,\), got shape \(2, 1\)"),
        ({"input_values": []}, "input_values: expected rows of numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_padded_is_refused(features, message):
    with pytest.raises(ValueError, match=message):
        Wav2Vec2FeatureExtractor().pad(features)


# The processor


def test_audio_and_text_in_one_call_and_in_one_batch():
    processor = make()
    both = processor(CLIPS, text=["HELLO", "A B C"], sampling_rate=16000, padding=True, return_tensors="np")
    assert list(both) == ["input_values", "labels"]
    assert both.labels.tolist() == [[11, 5, 15, 15, 8], [7, 4, 24, 4, 19]]
    texts = processor(text="HELLO")
    assert texts.input_ids == [11, 5, 15, 15, 8]
    assert processor(text=["HI", "A"], return_length=True, padding=True).length == [2, 2]
    alone = processor(WAVE, sampling_rate=44100, resample=True)
    np.testing.assert_array_equal(
        alone.input_values[0], processor.feature_extractor(WAVE, sampling_rate=44100, resample=True).input_values[0]
    )
    assert processor.model_input_names == ["input_values", "attention_mask", "input_ids"]
    features = [{"input_values": row} for row in processor(CLIPS, sampling_rate=16000).input_values]
    labels = [{"input_ids": ids} for ids in processor(text=["HELLO", "A B C D"]).input_ids]
    batch = processor.pad(input_features=features, labels=labels, padding=True, return_tensors="np")
    assert batch.input_values.shape == (2, 16000)
    assert batch.labels[0].tolist() == [11, 5, 15, 15, 8, 0, 0]
    assert processor.pad(labels=labels, return_tensors="np").attention_mask[0].tolist() == [1] * 5 + [0] * 2
    assert list(processor.pad(features, return_tensors="np")) == ["input_values"]


def test_the_older_ways_to_encode_texts_still_work():
    processor = make()
    with pytest.warns(DeprecationWarning, match="raw_speech: audio is the name"):
        processor(raw_speech=WAVE, sampling_rate=16000)
    with pytest.warns(DeprecationWarning, match="as_target_processor"), processor.as_target_processor():
        assert processor("HELLO").input_ids == [11, 5, 15, 15, 8]
    assert "input_values" in processor(WAVE, sampling_rate=16000)


def test_a_processor_s_mistakes_are_named():
    processor = make()
    with pytest.raises(ValueError, match="audio: expected audio or text, got neither"):
        processor()
    with pytest.raises(ValueError, match="input_features: expected input_features or labels, got neither"):
        processor.pad()
    with pytest.raises(ValueError, match="Wav2Vec2Processor: unknown argument 'paddin'; did you mean 'padding'"):
        processor(WAVE, sampling_rate=16000, paddin=True)
    with pytest.raises(ValueError, match="pad: unknown argument 'paddin'; did you mean 'padding'"):
        processor.pad([{"input_values": [0.5]}], paddin=True)
    with pytest.raises(ValueError, match="tokenizer: expected Wav2Vec2CTCTokenizer, got str"):
        Wav2Vec2Processor(processor.feature_extractor, "vocab.json")
    with pytest.raises(ValueError, match="feature_extractor: expected Wav2Vec2FeatureExtractor, got Wav2Vec2CTC"):
        Wav2Vec2Processor(processor.tokenizer, processor.feature_extractor)


# Files


@pytest.mark.parametrize("named", ["class", "model_type"])
def test_a_folder_gives_back_what_was_saved(named, tmp_path):
    processor = make(sampling_rate=8000, padding_side="left", return_attention_mask=True)
    processor.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert (settings["processor_class"], settings["feature_extractor_type"]) == (
        "Wav2Vec2Processor",
        "Wav2Vec2FeatureExtractor",
    )
    if named == "model_type":
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "data2vec-audio"}))
        for file, keys in (("preprocessor_config.json", ("processor_class", "feature_extractor_type")),
                           ("tokenizer_config.json", ("processor_class", "tokenizer_class"))):  # fmt: skip
            values = json.loads((tmp_path / file).read_text())
            (tmp_path / file).write_text(json.dumps({k: v for k, v in values.items() if k not in keys}))
    for again in (AutoProcessor.from_pretrained(tmp_path, use_fast=True), Wav2Vec2Processor.from_pretrained(tmp_path)):
        assert type(again) is Wav2Vec2Processor
        assert again.feature_extractor.to_dict() == processor.feature_extractor.to_dict()
        assert again.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
        assert again.tokenizer.init_kwargs == processor.tokenizer.init_kwargs
    alone = AutoFeatureExtractor.from_pretrained(tmp_path).to_dict()
    assert alone.pop("processor_class", None) == (None if named == "model_type" else "Wav2Vec2Processor")
    assert alone == processor.feature_extractor.to_dict()
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is Wav2Vec2CTCTokenizer
    changed = Wav2Vec2Processor.from_pretrained(tmp_path, sampling_rate=9000, do_lower_case=True)
    assert (changed.feature_extractor.sampling_rate, changed.tokenizer.do_lower_case) == (9000, True)
    with pytest.raises(ValueError, match="unknown argument 'sample_rate'; did you mean 'sampling_rate'"):
        Wav2Vec2Processor.from_pretrained(tmp_path, sample_rate=9000)
    again.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "preprocessor_config.json").read_text() == json.dumps(
        settings, indent=2, sort_keys=True
    ) + "\n"  # fmt: skip


def test_files_as_they_are_published(tmp_path):
    """Of data2vec-audio-base-960h: keys that no constructor takes are kept."""
    (tmp_path / "config.json").write_text('{"model_type": "data2vec-audio"}')
    (tmp_path / "preprocessor_config.json").write_text(
        '{"do_normalize": true, "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "padding_side":'
        ' "right", "padding_value": 0.0, "return_attention_mask": false, "sampling_rate": 16000, "my_key": [1]}'
    )
    (tmp_path / "tokenizer_config.json").write_text(
        '{"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "do_lower_case": false,'
        ' "return_attention_mask": false, "do_normalize": true, "word_delimiter_token": "|", "tokenizer_class": '
        '"Wav2Vec2CTCTokenizer", "replace_word_delimiter_char": " "}'
    )
    (tmp_path / "vocab.json").write_text(Path(VOCABULARY).read_text())
    processor = AutoProcessor.from_pretrained(tmp_path)
    processor.save_pretrained(tmp_path / "new")
    assert json.loads((tmp_path / "new" / "preprocessor_config.json").read_text())["my_key"] == [1]
    assert json.loads((tmp_path / "new" / "tokenizer_config.json").read_text())["do_normalize"] is True


def test_a_processor_without_its_parts_files_says_what_is_missing(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text('{"processor_class": "Wav2Vec2Processor"}')
    with pytest.raises(ValueError, match=r"vocab\.json"):
        AutoProcessor.from_pretrained(tmp_path)


def test_what_is_missing_or_unknown_is_said(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "data2vec-audio"}')
    with pytest.raises(ValueError, match="is a 'data2vec-audio', which has no image_processor"):
        multimodal.AutoImageProcessor.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec9"}')
    for auto in (AutoProcessor, AutoFeatureExtractor, AutoTokenizer):
        with pytest.raises(ValueError, match=r"config\.json: model_type: expected one of .*, got 'wav2vec9'"):
            auto.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"no": "type"}')
    with pytest.raises(ValueError, match="expected a model_type, got the keys"):
        AutoProcessor.from_pretrained(tmp_path)


# The documented examples, as far as they are the processors'


def test_the_documented_examples_run(tmp_path):
    make().save_pretrained(tmp_path)
    dataset = [{"audio": {"array": clip.astype(np.float64)}, "text": text} for clip, text in zip(CLIPS, ("A MAN", "B"))]
    processor = AutoProcessor.from_pretrained(tmp_path)
    inputs = processor(dataset[0]["audio"]["array"], sampling_rate=16000, return_tensors="pt")
    assert inputs["input_values"].shape == (1, 16000)
    assert str(inputs["input_values"].dtype) == "torch.float32"
    import torch

    logits = torch.nn.functional.one_hot(torch.tensor([[7, 7, 0, 4, 17, 7, 7, 9, 0]]), 32).float()
    predicted_ids = torch.argmax(logits, dim=-1)
    assert processor.batch_decode(predicted_ids)[0] == processor.decode(predicted_ids[0]) == "A MAN"
    inputs["labels"] = processor(text=dataset[0]["text"], return_tensors="pt").input_ids
    assert inputs["labels"].tolist() == [[7, 4, 17, 7, 9]]
    feature_extractor = AutoFeatureExtractor.from_pretrained(tmp_path)
    inputs = feature_extractor(
        [d["audio"]["array"] for d in dataset[:2]], sampling_rate=16000, return_tensors="pt", padding=True
    )
    assert inputs["input_values"].shape == (2, 16000)
