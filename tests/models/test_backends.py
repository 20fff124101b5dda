"""The suites in every backend, one process each, and what the processes left behind.

The three frameworks must never meet in one process: they fight over threads, and one could lean on another. The
processes (`suites`) run beside the other tests.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from multimodal.registry import BACKENDS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_suite_passes_in(suites, backend, subtests, spent):
    """Each failure of the process is a failure here, under its own name and with its own words."""
    process, scratch, folder = suites[backend]
    status, results = process.wait(), scratch / "results.xml"
    assert results.is_file(), (scratch / "printed.txt").read_text()[-20000:]
    cases = list(ElementTree.parse(results).iter("testcase"))
    for case in cases:
        for problem in (*case.iter("failure"), *case.iter("error"), *case.iter("skipped")):
            with subtests.test(f"{backend}: {case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"):
                pytest.fail(f"{problem.tag}\n{problem.text}", pytrace=False)
    for name, seconds in json.loads((folder / "cpu.json").read_text()).items():
        spent[name, backend] += seconds
    assert len(cases) > 100
    assert status == 0


@pytest.mark.parametrize("backend", BACKENDS[1:])
@pytest.mark.parametrize("what", ["loaded", "shards", "fresh"])
def test_saved_files_are_byte_identical_to_pytorch_s(suites, backend, what):
    saved = [
        {path.relative_to(folder): path.read_bytes() for path in (folder / what).rglob("*") if path.is_file()}
        for folder in (saved_by(suites["pt"]), saved_by(suites[backend]))
    ]
    assert saved[0].keys() == saved[1].keys()
    assert len(saved[0]) >= 34  # two files for each of seventeen classes
    assert [str(name) for name in saved[0] if saved[0][name] != saved[1][name]] == []


def saved_by(run):
    """The folder of a run that has ended."""
    process, _, folder = run
    process.wait()
    return folder


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


PICTURES_OF_PYTORCH = """
import sys
from pathlib import Path

import examples
import published

[path] = examples.of("data2vec_vision", "pt_tf")
print(*examples.run(path, published.data2vec_vision(Path(sys.argv[1])))["logits"].shape)
"""


def test_the_example_with_pytorch_s_pictures_and_tensorflow_s_model_runs(tmp_path):
    """As documented, in a process of its own."""
    assert in_a_process(PICTURES_OF_PYTORCH, tmp_path).split()[-4:] == ["1", "4", "56", "56"]


def test_the_example_from_pytorch_to_tensorflow_runs_and_agrees(tmp_path):
    """The one example that names two frameworks, in a process of its own."""
    assert float(in_a_process(FROM_PYTORCH, tmp_path).split()[-1]) < 1e-5


def in_a_process(program, folder):
    """What a program of two frameworks prints."""
    support = str(Path(__file__).parent / "support")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), support])}
    command = [sys.executable, "-c", program, str(folder)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-4000:]
    return process.stdout
