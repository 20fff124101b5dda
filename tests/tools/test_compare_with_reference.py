"""The comparison with the reference notices what differs, and only a reviewed difference passes."""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from differential import composites, review  # noqa: E402
from differential.caller import KINDS, Caller  # noqa: E402
from differential.comparison import Difference, differences  # noqa: E402
from differential.job import Call, Job  # noqa: E402
from differential.models import arrays_of, codes_of, variants  # noqa: E402
from differential.pictures import add_pictures  # noqa: E402
from differential.settings import add_settings  # noqa: E402
from differential.texts import add_texts  # noqa: E402

import multimodal  # noqa: E402
from multimodal import registry, specs  # noqa: E402

CALL = Call("pt", "models", "BertModel", "plain", "model(**inputs)")
VECTOR = np.array([1.0, -2.0, 3.0], np.float32)


def found(ours, reference):
    """What differs between the values of two pieces of code, as the caller describes them."""
    answers, arrays = [], []
    for code in (ours, reference):
        caller = Caller("math", "neutral", ROOT)
        answers.append(caller.answer("key", code, {"np": np, "v": VECTOR}))
        arrays.append(caller.arrays)
    return [(one.what, one.detail) for one in differences(CALL, *answers, tuple(arrays))]


@pytest.mark.parametrize(
    "code",
    [
        "1", "'a'", "None", "[1, 'a', (2.5, None)]", "{'b': v, 'a': {'c': [1]}}", "v", "np.float32(3)", "{3, 1}", "object()",
        "x = 2\nx + 1", "nothing.at.all", "v * np.nan", "np.array(['a'])",
    ],
)  # fmt: skip
def test_the_same_answers_do_not_differ(code):
    assert found(code, code) == []


@pytest.mark.parametrize(
    ("ours", "reference", "expected"),
    [
        ("1", "2", ("value", ": 1 / 2")),
        ("1", "1.0", ("type", ": int 1 / float '1.0'")),
        ("1", "True", ("type", ": int 1 / bool True")),
        ("1.0", "1.001", ("value", ": '1.0' / '1.001'")),
        ("(1,)", "[1]", ("type", ": tuple / list")),
        ("[1, 2]", "[1]", ("length", ": 2 / 1")),
        ("{'a': 1}", "{'b': 1}", ("only ours has", ".a")),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", ("order", ": a, b / b, a")),
        ("{'a': [v]}", "{'a': [v * 1.0001]}", ("values", ".a[*]")),
        ("v", "v[:, None]", ("shape", ": (3,) / (3, 1)")),
        ("v", "v.astype(np.float64)", ("element type", ": float32 / float64")),
        ("v.astype(np.float64)", "v * (1 + np.float64(1e-9))", ("values", "")),
        ("v", "v * np.array([1, 1, np.nan], np.float32)", ("values", "")),
        ("v.astype(int)", "v.astype(int) + 1", ("values", "")),
        ("v", "1", ("type", ": ndarray / int 1")),
        ("int('x')", "1", ("only ours raises", "ValueError: invalid literal for int() with base 10: 'x'")),
        ("1", "{}['x']", ("only the reference raises", "KeyError: 'x'")),
        ("{}['x']", "[][0]", ("another error", "KeyError: 'x' / IndexError: list index out of range")),
    ],
)
def test_what_differs_is_named(ours, reference, expected):
    assert expected in found(ours, reference)


def test_float32_may_differ_by_its_rounding():
    assert found("v", "v * np.float32(1 + 2e-7)") == []


def test_where_both_raise_ours_may_be_a_value_error():
    assert found("int('x')", "[][0]") == []
    assert found("[][0]", "[][0]") == []


ROW = {
    "subjects": ("Bert*",), "calls": ("plain",), "what": "values", "detail": (".a[*]",), "verdict": "open", "reason": "x",
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"subjects": ("Gpt*",)}, {"calls": ("other",)}, {"what": "shape"}, {"detail": (".a*?b",)}, {"detail": (".a*",)},
        {"frameworks": ("tf",)}, {"groups": ("loading",)}, {"detail": (".a[[*]",)},
    ],
)  # fmt: skip
def test_a_row_covers_what_every_one_of_its_patterns_covers(changes):
    one = Difference(CALL, "values", ".a[*]")
    row = review.Reviewed(**{**ROW, **changes})
    covered = changes in ({}, {"detail": (".a*",)})
    assert row.covers(one) is covered
    assert review.unreviewed([one], [row]) == ([] if covered else [one])
    assert review.idle([one], [row]) == ([] if covered else [row])


def test_the_page_counts_what_was_seen():
    one = Difference(CALL, "values", ".a[*]")
    page = review.page([one, one], [review.Reviewed(**ROW)], {("pt", "models"): 7})
    assert "| 2 | pt: BertModel: plain | values | x |" in page
    assert "| models | 7 | 7 |" in page


def test_every_reviewed_row_has_a_verdict_and_a_reason(tmp_path):
    rows = review.read(ROOT / "tools" / "differences.toml")
    assert rows
    assert len(set(rows)) == len(rows)
    bad = tmp_path / "bad.toml"
    bad.write_text('[[difference]]\nsubjects="*"\ncalls="*"\nwhat="x"\ndetail="*"\nverdict="fine"\nreason="x"\n')
    with pytest.raises(ValueError, match="with a verdict and a reason"):
        review.read(bad)


@pytest.mark.parametrize("name", specs.all_specifications())
def test_every_class_is_asked_with_what_it_needs(name):
    spec = specs.of(name)
    subjects = dict(variants(name))
    assert subjects
    for config in subjects.values():
        assert config.model_type == spec.model_type
        given = arrays_of(spec, config).keys()
        assert all(given & set(choice) for choice in spec.exactly_one)


def test_a_composite_of_two_towers_is_asked_for_its_loss_and_features_and_one_of_any_two_for_its_halves():
    asked = {}
    for name in ("AlignModel", "VisionEncoderDecoderModel"):
        _, config = next(iter(variants(name)))
        tops = [key for key in arrays_of(specs.of(name), config) if "." not in key]
        subject = {
            "plain": [key for key in tops if key in ("input_ids", "decoder_input_ids", "pixel_values")],
            "more": tops,
        }
        asked[name] = dict(codes_of(specs.of(name), config, subject, "pt"))
    towers, halves = (set(codes) for codes in (composites.TOWERS, composites.OF_ANY))
    assert towers < asked["AlignModel"].keys()
    assert not towers & asked["VisionEncoderDecoderModel"].keys()
    assert halves < asked["VisionEncoderDecoderModel"].keys()
    assert not halves & asked["AlignModel"].keys()
    assert "return_loss=True" in asked["AlignModel"]["loss"]
    both = asked["AlignModel"].keys() & asked["VisionEncoderDecoderModel"].keys()
    assert {"another size", "beyond the positions", "in training mode"} <= both


def test_every_configuration_is_asked_and_that_of_two_towers_for_both_of_them():
    job = Job()
    add_settings(job)
    assert {call.subject for call in job.calls} == {row.config for row in registry.FAMILIES.values()}
    codes = {call.name: call.code for call in job.calls if call.subject == "AlignConfig"}
    assert "'vocab_size'" in codes["default of the towers"]
    assert "'depth_divisor'" in codes["default of the towers"]
    assert "text_config" not in codes["default"]


def test_what_hears_is_asked_for_clips_and_what_it_is_combined_with_by_its_parts():
    job = Job()
    add_pictures(job)
    groups = {call.subject: call.group for call in job.calls}
    assert {"Wav2Vec2FeatureExtractor", "TvltFeatureExtractor"} == {s for s, g in groups.items() if g == "sound"}
    assert job.subjects["TvltProcessor"]["parts"] == {
        "image_processor": "TvltImageProcessor",
        "feature_extractor": "TvltFeatureExtractor",
    }
    _, config = next(iter(variants("Data2VecAudioForCTC")))
    subject = {"plain": ["input_values"], "more": [*arrays_of(specs.of("Data2VecAudioForCTC"), config)]}
    asked = dict(codes_of(specs.of("Data2VecAudioForCTC"), config, subject, "pt"))
    assert {"half of a clip", "mean loss", "gradients of labels", "attention_mask of bools"} <= asked.keys()
    assert "beyond the positions" not in asked


def test_every_tokenizer_and_processor_can_be_made_of_what_it_is_said_to_be_of():
    job = Job()
    add_texts(job)
    add_pictures(job)
    made = {name: subject for name, subject in job.subjects.items() if subject["kind"] in ("tokenizer", "processor")}
    assert {"BartTokenizer", "DistilBertTokenizerFast", "TrOCRProcessor", "TvltProcessor"} <= made.keys()
    for name, subject in made.items():
        names = KINDS[subject["kind"]](Caller("multimodal", "neutral", ROOT), subject)
        assert type(names.get("tok") or names["p"]) is getattr(multimodal, name)


def test_a_composite_starts_with_a_token_that_is_no_padding_of_its_decoder():
    for subject, config in variants("VisionEncoderDecoderModel"):
        assert config.decoder_start_token_id != config.decoder.pad_token_id, subject
