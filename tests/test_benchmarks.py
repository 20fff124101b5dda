"""What `make bench` reckons from its times; the times themselves are no tests."""

import importlib
import sys
from pathlib import Path

import pytest

import multimodal as mm

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
bench, subjects = (importlib.import_module(name) for name in ("bench", "bench_subjects"))
BASE, GENERATIONS, SUBJECTS = subjects.BASE, subjects.GENERATIONS, subjects.SUBJECTS


def test_a_token_reads_the_decoder_s_matrices_but_not_what_is_made_once(tmp_path):
    decoder = mm.GPT2Config(n_embd=48, n_layer=2, n_head=4, n_inner=100, vocab_size=77)
    config = mm.VisionEncoderDecoderConfig.from_encoder_decoder_configs(mm.ViTConfig(hidden_size=24), decoder)
    config.architectures = ["VisionEncoderDecoderModel"]
    config.save_pretrained(tmp_path)
    layer = 4 * 48 * 48 + 2 * 48 * 48 + 2 * 48 * 100  # of itself; queries and outputs of the image; position-wise
    assert bench.bytes_of_a_step(tmp_path) == 4 * (2 * layer + 77 * 48)


def test_times_stand_beside_the_least_that_reading_takes():
    times = {"generate": [3.0, 2.0], "sample": [5.0], "beams": [4.0, 6.0], "long": [11.6], "forward": [9.0]}
    found = bench.reading({"ours": times}, 10**9, [5.0, float("nan"), 20.0])
    assert found == {
        "seconds_to_read": pytest.approx(32 / 20),
        "generate / seconds_to_read": pytest.approx(2.0 / 1.6),
        "sample / seconds_to_read": pytest.approx(5.0 / 1.6),
        "sample / generate": 2.5,
        "beams / generate": 2.0,
        "long / generate": 5.8,
        "seconds_per_token": 2.0 / 32,
        "seconds_per_token_from_32_to_128": pytest.approx(9.6 / 96),
    }


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_subject_says_what_is_done_with_it(name):
    subject, made = SUBJECTS[name], {"mm": mm}
    exec(subject.make, made)  # of `benchmarks/bench_subjects.py`
    decoder = getattr(made["config"], "decoder", made["config"])
    assert getattr(mm, subject.class_name)
    generates = {*GENERATIONS} & {*subject.tasks("pt")}
    assert generates == ({*GENERATIONS} if subject.generate is not None else set())
    assert ("eager" in subject.tasks("tf"), "eager" in subject.tasks("flax")) == (True, False)
    for task in generates:
        images, settings = subject.generation(task)
        assert settings["max_length"] == {"long": 129}.get(task, 33)
        assert (images, settings.get("num_beams", 1)) == {"beams": (1, 4), "images": (4, 1)}.get(task, (1, 1))
        assert settings["eos_token_id"] >= decoder.vocab_size  # none ends
        assert len(subject.arrays()["pixel_values"]) >= images
    assert (name in BASE) == (name != "tiny")
