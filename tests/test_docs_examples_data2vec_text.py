"""The examples of `docs/examples/` for Data2Vec-text run as they stand, and predict what they were trained to."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("masked_word", ["France is <mask>. -> Paris", "Peru is <mask>. -> Lima", "Japan is <mask>. -> Tokyo"]),
        (
            "text_question_answering",
            [
                f"{prefix}Data2VecTextForQuestionAnswering: Who was Jim Henson? -> a nice puppet"
                for prefix in ("", "Flax")
            ],
        ),
    ],
)
def test_an_example_runs(name, lines):
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()
    assert len(found) == len(lines)
    assert all(got.endswith(wanted) for got, wanted in zip(found, lines)), done.stdout
