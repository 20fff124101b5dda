"""The three backends mirror each other, and the tool that says so notices when they stop to."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BROKEN = {
    "a parameter of a block": (
        "tf/layers/mlp.py",
        "self, hidden_size: int, *, inner_size: int, activation: str, dropout_rate",
        "self, hidden_size: int, *, activation: str, dropout_rate",
        "MLP(hidden_size, activation, dropout_rate)",
    ),
    "a field of a linen module": (
        "flax/layers/mlp.py",
        "    inner_size: int\n",
        "",
        "MLP(hidden_size, activation, dropout_rate)",
    ),
    "a parameter of a call": (
        "flax/layers/encoder.py",
        "cache=None, position=0, weights=False",
        "cache=None, weights=False",
        "PreNormBlock.call(",
    ),
    "a submodule": (
        "tf/layers/heads.py",
        '        self.norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="norm")\n',
        "",
        "TransformedLanguageHead.norm: a submodule",
    ),
    "a function": ("pt/losses.py", "def next_token(", "def following(", "next_token(logits, labels)"),
    "an argument of a public class": (
        "flax/models/vit.py",
        "        bool_masked_pos: Tensor | None = None,\n        head_mask",
        "        head_mask",
        "its specification says",
    ),
    "the order of a public class": (
        "pt/models/gpt2.py",
        "        past_key_values: Past | None = None,\n        attention_mask: Tensor | None = None,",
        "        attention_mask: Tensor | None = None,\n        past_key_values: Past | None = None,",
        "its specification says",
    ),
    "an argument that a call does not hand on": (
        "tf/models/bert.py",
        '            "token_type_ids": token_type_ids,\n',
        "",
        "BertModel: `inputs` has no token_type_ids",
    ),
    "an argument that a shared call does not hand on": (
        "flax/models/data2vec_text.py",
        '            "head_mask": head_mask,\n            "inputs_embeds": inputs_embeds,\n        }\n'
        '        self._check({**inputs, "labels": labels})\n        options',
        '            "inputs_embeds": inputs_embeds,\n        }\n'
        '        self._check({**inputs, "labels": labels})\n        options',
        "Data2VecTextForTokenClassification: `inputs` has no head_mask",
    ),
    "labels that are handed on": (
        "pt/models/lxmert.py",
        '            "inputs_embeds": inputs_embeds,\n        }\n        wanted',
        '            "inputs_embeds": inputs_embeds,\n            "ans": ans,\n        }\n        wanted',
        "LxmertForPreTraining: `inputs` has ans, which is no array argument",
    ),
    "an argument that is handed on as another": (
        "pt/models/gpt2.py",
        '"position_ids": position_ids',
        '"position_ids": token_type_ids',
        "GPT2Model: `inputs` has token_type_ids as position_ids",
    ),
    "inputs of another name": ("pt/models/vit.py", "        inputs = {", "        given = {", "no dictionary `inputs`"),
}


def check(package: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "tools/check_mirror.py"), str(package)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def package(tmp_path):
    """A copy of the package, to break."""
    for backend in ("pt", "tf", "flax"):
        shutil.copytree(ROOT / "multimodal" / backend, tmp_path / backend, ignore=shutil.ignore_patterns("*.pyc"))
    return tmp_path


def test_the_backends_mirror_each_other():
    checked = check(ROOT / "multimodal")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("what", BROKEN)
def test_dropping_a_part_of_one_backend_is_noticed(package, what):
    file, old, new, expected = BROKEN[what]
    source = (package / file).read_text()
    assert old in source
    (package / file).write_text(source.replace(old, new, 1))
    checked = check(package)
    assert checked.returncode == 1
    assert expected in checked.stdout


def test_a_missing_file_is_noticed(package):
    (package / "flax/layers/mlp.py").unlink()
    checked = check(package)
    assert checked.returncode == 1
    assert "flax/layers/mlp.py: - the file" in checked.stdout


def test_a_documented_difference_that_is_gone_is_noticed(package):
    path = package / "tf/layers/heads.py"
    path.write_text(path.read_text().replace("def scores(", "def _products("))
    for other in ("flax/layers/heads.py",):
        (package / other).write_text((package / other).read_text().replace("def scores(", "def _products("))
    checked = check(package)
    assert checked.returncode == 1
    assert "no longer applies" in checked.stdout
