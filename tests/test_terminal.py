"""Every command on a real terminal, where bars and colours are drawn, and what it says when it crashes."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from multimodal import __version__, hub
from multimodal.tasks import reading

GPT2 = Path(__file__).parent / "golden" / "checkpoints" / "ved-vit-gpt2" / "pt-bin"
COMMAND = [sys.executable, "-c", "from multimodal.cli import main; main()"]


def on_a_terminal(*arguments, columns=100):
    """(exit code, what the terminal showed): the command's input, output and errors are one pseudo-terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], **ends, env=environment, start_new_session=True)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            part = b""
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(), shown.decode()


def captured(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    """A file of inputs for the embedded reader."""
    rng = np.random.default_rng(0)
    config = json.loads((reading.EMBEDDED / "config.json").read_text())["encoder"]
    height, width = config["image_size"]
    path = tmp_path_factory.mktemp("inputs") / "in.safetensors"
    images = rng.normal(size=(1, config["num_channels"], height, width)).astype(np.float32)
    save_file({"pixel_values": images, "decoder_input_ids": np.array([[1, 2]])}, path)
    return path


def commands(tmp_path, pixels):
    """{command: (arguments, what it shows)}"""
    picture = reading.EMBEDDED / "images" / "00.png"
    return {
        "inspect": ([GPT2], "VisionEncoderDecoderModel"),
        "convert": ([GPT2, tmp_path / "made", "--to", "tf-h5"], "84 tensors"),
        "verify": ([GPT2, GPT2.parent / "tf-h5"], "the same tensors"),
        "run": ([reading.EMBEDDED, "--backend", "pt", "--inputs", pixels, "--outputs", tmp_path / "o"], "out.logits"),
        "parity": (
            [GPT2, "--backends", "pt", "--checks", "weights", "--report", tmp_path / "r.html"],
            "the only check",
        ),
        "read": ([picture, "--backend", "pt"], reading_of(picture)),
        "classify": ([picture, "--labels", "one two three", "four five six"], "one two three"),
        "segment": ([picture, "--overlay", tmp_path / "overlay.png"], "background"),
        "search": ([lines(tmp_path), "three one four", "--sheet", tmp_path / "sheet.png"], "39.png"),
        "spectrogram": (
            [tone(tmp_path / "tone.flac"), "--out", tmp_path / "tone.png"],
            "1.00 s at 16,000 Hz in 63 frames",
        ),
    }


def lines(folder):
    """A copy of the pictures of the embedded search: the index goes beside it."""
    return shutil.copytree(hub.EMBEDDED / "digit-search" / "images", folder / "lines")


def tone(path, hertz=1000, channels=1):
    """A file of one second."""
    import soundfile

    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(16000) / 16000)
    soundfile.write(path, np.stack([wave] * channels, -1), 16000)
    return path


def reading_of(picture):
    return json.loads((picture.parent / "labels.json").read_text(encoding="utf-8"))[picture.name]


NAMES = ["inspect", "convert", "verify", "run", "parity", "read", "classify", "segment", "search", "spectrogram"]


@pytest.mark.parametrize("name", NAMES)
def test_a_command_works_on_a_terminal(name, tmp_path, pixels):
    arguments, wanted = commands(tmp_path, pixels)[name]
    code, shown = on_a_terminal(name, *arguments)
    assert code == 0, shown
    assert wanted in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("name", ["classify", "segment", "search"])
def test_a_task_that_is_captured_prints_its_result_and_nothing_else(name, tmp_path, pixels):
    arguments, wanted = commands(tmp_path, pixels)[name]
    done = captured(name, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert wanted in done.stdout
    json.loads(done.stdout)


def test_the_embedded_reader_in_tensorflow_prints_the_text_and_nothing_else():
    """TensorFlow's banner comes from its C++ code and stays off stderr."""
    picture = reading.EMBEDDED / "images" / "00.png"
    done = captured("read", picture, "--backend", "tf")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{reading_of(picture)}\n", "")


def test_tensorflow_starts_without_its_banner_and_without_jax():
    code = "from multimodal import banner; banner.start('tf')\nimport sys; print('tensorflow' in sys.modules, 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True False\n", "")


def test_a_check_of_tensorflow_leaves_its_banner_out(tmp_path):
    document = tmp_path / "document.json"
    done = captured("parity", GPT2, "--backends", "tf", "--checks", "semantics", "--json", document)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_banner_hides_is_shown_when_loading_fails():
    code = "import os; from multimodal import banner\nwith banner.held_back():\n    os.write(2, b'before'); 1 / 0"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.startswith("before")
    assert "ZeroDivisionError" in done.stderr


def test_a_crash_ends_with_2_and_its_traceback():
    code = (
        "import multimodal.checkpoints.contents as c, sys\n"
        "def inspect(checkpoint): raise KeyError('a defect')\n"
        "c.inspect = inspect; sys.argv = ['multimodal', 'inspect', 'here']\n"
        "from multimodal.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "KeyError: 'a defect'" in done.stderr


def test_the_version():
    done = captured("--version")
    assert (done.returncode, done.stdout) == (0, f"multimodal {__version__}\n")


@pytest.mark.parametrize(
    ("command", "option", "more"),
    [
        ("parity", "--report", ()),
        ("parity", "--json", ()),
        ("run", "--outputs", ("--backend", "pt", "--inputs", "x")),
        ("spectrogram", "--out", ()),
    ],
)
@pytest.mark.parametrize("target", ["no/such/folder/file", "."])
def test_where_the_result_goes_is_checked_before_the_work(command, option, more, target, tmp_path):
    done = captured(command, tmp_path / "no-checkpoint", *more, option, target)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {option}: expected a file")
    assert target in done.stderr


def test_a_spectrogram_is_drawn_and_its_json_is_a_document(tmp_path):
    done = captured(
        "spectrogram", tone(tmp_path / "tone.wav", channels=2), "--out", tmp_path / "a.webp", "--to-mono", "--json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "path": str(tmp_path / "tone.wav"), "out": str(tmp_path / "a.webp"), "seconds": 1.0, "sampling_rate": 16000, "frames": 63,
    }  # fmt: skip
    assert (tmp_path / "a.webp").read_bytes()[8:12] == b"WEBP"


def test_what_is_no_sound_or_no_picture_is_one_message(tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    for arguments, message in {
        (
            tmp_path / "text.wav",
            "--out",
            tmp_path / "a.png",
        ): f"error: FILE: expected a whole wav, flac or ogg file in {tmp_path}",
        (
            tone(tmp_path / "tone.wav"),
            "--out",
            tmp_path / "a.xyz",
        ): f"error: {tmp_path}/a.xyz: expected a name that ends as",
        (
            tone(tmp_path / "two.wav", channels=2),
            "--out",
            tmp_path / "a.png",
        ): f"error: FILE: {tmp_path}/two.wav: expected mono",
    }.items():
        done = captured("spectrogram", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(message)
        assert done.stderr.count("\n") == 1
        assert not list(tmp_path.glob("a.*"))
