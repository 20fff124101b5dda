"""`multimodal transcribe` and `speakers`: what they print, and what they say of files that cannot be used."""

import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from multimodal import tasks
from multimodal.cli import app


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def transcribe(transcriber):
    return lambda *arguments: run("transcribe", *arguments, "--checkpoint", transcriber, "--backend", "pt")


@pytest.fixture
def transcripts(transcriber, sounds):
    return tasks.transcription(transcriber, sounds, backend="pt", offsets=True)


def test_one_file_is_its_text_and_nothing_else(transcribe, sounds, transcripts):
    done = transcribe(sounds[0])
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{transcripts[0].text}\n", "")


def test_several_files_are_named(transcribe, sounds, transcripts):
    done = transcribe(*sounds)
    assert done.stdout.splitlines() == [f"{path}\t{found.text}" for path, found in zip(sounds, transcripts)]


def test_times_are_a_line_for_each_word(transcribe, sounds, transcripts):
    done = transcribe(sounds[4], "--times")
    words = transcripts[4].words
    assert len(words) >= 2
    assert done.stdout.splitlines() == [f"{word.start:.2f}\t{word.end:.2f}\t{word.text}" for word in words]


def test_json_has_the_words_with_their_times_and_what_failed(transcribe, sounds, transcripts, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound")
    done = transcribe(sounds[2], tmp_path / "notes.txt", sounds[0], "--json")
    assert done.exit_code == 2
    first, second, third = json.loads(done.stdout)
    assert list(first) == ["path", "text", "words"]
    assert (first["path"], first["text"]) == (str(sounds[2]), transcripts[2].text)
    assert [(w["word"], w["start"], w["end"]) for w in first["words"]] == [
        (word.text, pytest.approx(word.start), pytest.approx(word.end)) for word in transcripts[2].words
    ]
    assert list(second) == ["path", "error"]
    assert "notes.txt" in second["error"]
    assert third["text"] == transcripts[0].text
    assert done.stderr.startswith("error: clips[1]: expected a whole wav, flac or ogg file in ")


def test_good_files_are_written_down_beside_bad_ones(transcribe, sounds, transcripts, tmp_path):
    done = transcribe(tmp_path / "missing.wav", sounds[0], tmp_path)
    assert done.exit_code == 2
    assert done.stdout == f"{sounds[0]}\t{transcripts[0].text}\n"
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [" clips[0]", " clips[2]"]
    assert "missing.wav, but the file does not exist" in done.stderr
    assert "but that is a folder" in done.stderr


def test_words_may_be_several_and_options_may_stand_behind_them(transcriber, sounds):
    (wanted,) = tasks.transcription(transcriber, sounds[:1], backend="pt", words=["ab", "cd"])
    done = run("transcribe", sounds[0], "--words", "ab", "cd", "--backend", "pt", "--checkpoint", transcriber)
    assert done.stdout == f"{wanted.text}\n"
    assert set(wanted.text.split()) <= {"ab", "cd"}
    assert wanted.text


def test_beams_are_handed_on(transcribe, sounds):
    done = transcribe(sounds[4], "--beams", 0)
    assert (done.exit_code, done.stderr) == (2, "error: beams: expected a positive integer, got 0\n")
    assert transcribe(sounds[4], "--beams", 20).exit_code == 0


def test_another_rate_and_more_channels_are_errors_until_they_are_asked_for(transcribe, clips, tmp_path):
    two = tmp_path / "two.wav"
    soundfile.write(two, np.stack([clips[0]] * 2, -1), 200, subtype="FLOAT")
    done = transcribe(two)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{two}: expected mono, got 2 channels" in done.stderr
    assert "expected a sampling rate of 100 Hz, got 200 Hz" in transcribe(two, "--to-mono").stderr
    assert transcribe(two, "--to-mono", "--resample").exit_code == 0


def test_voices_are_compared_and_it_is_said_by_what(voices, transcriber, sounds):
    for checkpoint, kind in ((voices, "x-vectors"), (transcriber, "mean hidden states")):
        (wanted,) = tasks.speaker_similarity(checkpoint, [sounds[:2]], backend="pt")
        done = run("speakers", *sounds[:2], "--checkpoint", checkpoint, "--backend", "pt")
        assert (done.exit_code, done.stdout, done.stderr) == (0, f"{wanted.score:.4f}\t{kind}\n", "")
        printed = json.loads(
            run("speakers", *sounds[:2], "--checkpoint", checkpoint, "--backend", "pt", "--json").stdout
        )
        assert printed == {
            "a": str(sounds[0]), "b": str(sounds[1]), "score": pytest.approx(wanted.score), "compared": kind,
        }  # fmt: skip


def test_a_voice_that_cannot_be_heard_is_an_error_with_its_name(voices, sounds, tmp_path):
    done = run("speakers", sounds[0], tmp_path / "b.wav", "--checkpoint", voices, "--backend", "pt")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: pairs[0][1]: expected a whole wav, flac or ogg file in ")
    assert "b.wav, but the file does not exist" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--backend", "mxnet"), "backend: expected one of pt, tf, flax, got 'mxnet'"),
        (("--checkpoint", "digit-lines"), "for transcription, a model_type among data2vec-audio"),
        (("--checkpoint", "no/such/folder"), "no/such/folder"),
    ],
)
def test_bad_options_are_errors_without_a_traceback(sounds, options, message):
    done = run("transcribe", sounds[0], *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
