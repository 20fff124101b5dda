"""docs/examples/visual_question_answering.py: trained in PyTorch, it answers the same in every framework."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from multimodal.registry import BACKENDS

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "visual_question_answering.py"


def run(*arguments):
    command = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, cwd=EXAMPLE.parents[2], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vqa")
    return folder, run("train", folder)


def test_training_learns(trained):
    losses = [float(line.split()[-1]) for line in trained[1] if "loss" in line]
    assert losses[0] > 1
    assert losses[-1] < 0.2


@pytest.fixture(scope="module")
def answers(trained):
    return {backend: run("answer", trained[0], "--backend", backend) for backend in BACKENDS}


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_framework_gives_the_same_answers_to_new_images(answers, backend):
    assert answers[backend] == answers["pt"]
    assert float(answers[backend][-1].split()[1].rstrip("%")) > 90
