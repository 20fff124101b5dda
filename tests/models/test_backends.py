"""The suites of this folder in every backend, one process each, and what the processes left behind.

The three frameworks must never meet in one process: they fight over threads, and one could lean on another.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BACKENDS = ("pt", "tf", "flax")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{backend: (finished process, folder of what it saved)}; each is run when it is first asked for."""
    done = {}

    def run(backend):
        if backend not in done:
            folder = tmp_path_factory.mktemp(backend)
            environment = {
                **os.environ,
                "MULTIMODAL_TEST_BACKEND": backend,
                "MULTIMODAL_TEST_ARTIFACTS": str(folder),
                "TF_CPP_MIN_LOG_LEVEL": "2",
            }
            command = [
                sys.executable,
                "-m",
                "pytest",
                str(Path(__file__).parent),
                "-o",
                "python_files=suite_*.py",
                "-q",
            ]
            command += [
                "-p",
                "no:cacheprovider",
                "--basetemp",
                str(tmp_path_factory.mktemp(f"{backend}_pytest") / "tmp"),
            ]
            process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
            done[backend] = process, folder
        return done[backend]

    return run


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_suite_passes_in(runs, backend):
    process, _ = runs(backend)
    assert process.returncode == 0, f"{process.stdout[-20000:]}\n{process.stderr[-2000:]}"
    assert " passed" in process.stdout
    assert "skipped" not in process.stdout


@pytest.mark.parametrize("backend", BACKENDS[1:])
@pytest.mark.parametrize("what", ["loaded", "shards", "fresh"])
def test_saved_files_are_byte_identical_to_pytorch_s(runs, backend, what):
    saved = [
        {path.relative_to(folder): path.read_bytes() for path in (folder / what).rglob("*") if path.is_file()}
        for _, folder in (runs("pt"), runs(backend))
    ]
    assert saved[0].keys() == saved[1].keys()
    assert len(saved[0]) >= 18  # three files for each of six classes
    assert [str(name) for name in saved[0] if saved[0][name] != saved[1][name]] == []


FROM_PYTORCH = """
import sys
from pathlib import Path

import examples
import numpy as np
import published

checkpoints = published.vision_encoder_decoder(Path(sys.argv[1]))
[path] = examples.of("vision_encoder_decoder", "pt_tf")
left = examples.run(path, checkpoints)
rng = np.random.default_rng(0)
given = {"pixel_values": rng.normal(size=(2, 3, 32, 32)).astype(np.float32), "decoder_input_ids": np.array([[5, 7], [8, 9]])}
import torch
expected = left["_model"](**{k: torch.from_numpy(v) for k, v in given.items()}).logits.detach().numpy()
found = left["model"](**given).logits.numpy()
print(np.abs(found - expected).max() / np.abs(expected).max())
"""


def test_the_example_from_pytorch_to_tensorflow_runs_and_agrees(tmp_path):
    """The one example that names two frameworks, in a process of its own."""
    support = str(Path(__file__).parent / "support")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), support])}
    command = [sys.executable, "-c", FROM_PYTORCH, str(tmp_path)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-4000:]
    assert float(process.stdout.split()[-1]) < 1e-5
