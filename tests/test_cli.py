"""The command line: what it prints, its exit codes, and that it needs no framework."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from multimodal.cli import app

GOLDEN = Path(__file__).parent / "golden" / "checkpoints"
GPT2 = GOLDEN / "ved-vit-gpt2"
FRAMEWORKS = ("torch", "tensorflow", "keras", "jax", "flax", "transformers")
WITHOUT_FRAMEWORKS = f"""
import sys
sys.modules.update(dict.fromkeys({FRAMEWORKS!r}))
from multimodal.cli import main
sys.argv[0] = "multimodal"
main()
"""


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def without_frameworks(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", WITHOUT_FRAMEWORKS, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])


def test_convert_inspect_and_verify_work_without_any_framework(tmp_path):
    made = tmp_path / "made"
    done = without_frameworks("convert", GPT2 / "tf-h5", made, "--to", "flax-msgpack")
    assert done.returncode == 0, done.stderr
    assert "84 tensors" in done.stdout
    done = without_frameworks("verify", made, GPT2 / "pt-bin", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["equal"] is True
    done = without_frameworks("inspect", made, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["class_name"] == "VisionEncoderDecoderModel"


def test_an_error_is_one_message_without_a_traceback_and_exit_code_2(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    for arguments in (
        ("inspect", tmp_path),
        ("verify", tmp_path, GPT2 / "pt-bin"),
        ("convert", tmp_path, tmp_path / "a", "--to", "tf-h5"),
    ):
        done = without_frameworks(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert str(tmp_path / "model.safetensors") in done.stderr
        assert "Traceback" not in done.stderr


def test_a_difference_is_exit_code_1_and_names_the_tensors(tmp_path):
    done = invoke("verify", GPT2 / "pt-float16", GPT2 / "pt-safetensors")
    assert done.exit_code == 1
    assert "retyped      decoder.transformer.wte.weight" in done.stdout
    assert "different tensors: 84 retyped" in done.stdout
    assert invoke("verify", GPT2 / "tf-h5", GPT2 / "pt-safetensors").exit_code == 0


def test_a_difference_is_exit_code_1_in_json_too():
    for pair, code in (((GPT2 / "pt-float16", GPT2 / "pt-bin"), 1), ((GPT2 / "tf-h5", GPT2 / "pt-bin"), 0)):
        for order in (pair, pair[::-1]):
            done = invoke("verify", *order, "--json")
            assert done.exit_code == code
            assert json.loads(done.stdout)["equal"] is (code == 0)
            assert invoke("verify", *order).exit_code == code


def test_every_command_is_listed_once():
    assert sorted(command.name for command in app.registered_commands) == [
        "classify", "convert", "inspect", "parity", "read", "run", "search", "segment", "serve", "speakers",
        "spectrogram", "transcribe", "verify",
    ]  # fmt: skip


def test_convert_says_what_it_left_out_and_refuses_a_full_folder(tmp_path):
    done = invoke("convert", GPT2 / "pt-bin", tmp_path / "a", "--to", "tf-h5")
    assert done.exit_code == 0
    assert "left out: decoder.lm_head.weight (tied to decoder.transformer.wte.weight)" in done.stdout
    done = invoke("convert", GPT2 / "pt-bin", tmp_path / "a", "--to", "pt-bin")
    assert done.exit_code == 2
    assert "overwrite" in done.stderr
    done = invoke("convert", GPT2 / "pt-bin", tmp_path / "a", "--to", "pt-bin", "--overwrite", "--json")
    assert json.loads(done.stdout)["files"] == ["pytorch_model.bin"]


def test_inspect_draws_the_tree():
    done = invoke("inspect", GPT2 / "flax-msgpack")
    assert done.exit_code == 0
    for text in ("VisionEncoderDecoderModel (vision-encoder-decoder)", "63,456 parameters", "(96,) float32  bias",
                 "decoder.lm_head.weight -> decoder.transformer.wte.weight"):  # fmt: skip
        assert text in done.stdout


@pytest.mark.parametrize(
    "arguments", [("convert", "a"), ("convert", "a", "b"), ("verify", "a"), ("nothing",), ("run", "a")]
)
def test_wrong_usage_is_exit_code_2(arguments):
    assert invoke(*arguments).exit_code == 2


def test_run_writes_the_outputs_of_a_model(tmp_path):
    expected = load_file(GPT2 / "expected.safetensors")
    save_file({k[3:]: v for k, v in expected.items() if k.startswith("in.")}, tmp_path / "in.safetensors")
    arguments = ("--backend", "pt", "--inputs", tmp_path / "in.safetensors", "--outputs", tmp_path / "out.safetensors")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        "from multimodal.cli import main; main()",
        "run",
        GPT2 / "tf-h5",
        *arguments,
        "--json",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    outputs = load_file(tmp_path / "out.safetensors")
    assert json.loads(done.stdout)["out.logits"]["shape"] == list(outputs["out.logits"].shape)
    np.testing.assert_allclose(outputs["out.logits"], expected["pt.logits"], rtol=0, atol=1e-5)


def test_run_says_what_is_wrong_with_its_input(tmp_path):
    files = ("--inputs", tmp_path / "in.safetensors", "--outputs", tmp_path / "out.safetensors")
    done = invoke("run", GPT2 / "tf-h5", "--backend", "pt", *files)
    assert done.exit_code == 2
    assert "in.safetensors" in done.stderr
    save_file({"a": np.ones(3)}, tmp_path / "in.safetensors")
    done = invoke("run", GPT2 / "tf-h5", "--backend", "mxnet", *files)
    assert done.exit_code == 2
    assert "backend: expected one of" in done.stderr
