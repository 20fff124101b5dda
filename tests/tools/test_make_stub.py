"""What type checkers and editors see from outside: the stubs are the registry's, and the names in them are classes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from multimodal import registry

ROOT = Path(__file__).parents[2]
RIGHT = """
from multimodal import AutoTokenizer, BertConfig, FlaxViTModel, LxmertModel, TFBertModel
from multimodal.tf import TFGPT2Model
names = (AutoTokenizer, BertConfig, FlaxViTModel, LxmertModel, TFBertModel, TFGPT2Model)
reveal_type(names)
reveal_type(TFBertModel.from_pretrained("folder"))
reveal_type(LxmertModel.from_pretrained("folder")(input_ids=None))
reveal_type(FlaxViTModel.from_pretrained("folder")(pixel_values=None))
reveal_type(TFBertModel.from_pretrained("folder")({"input_ids": 1}, training=True))
reveal_type(TFBertModel.call)
"""
WRONG = """
import multimodal
multimodal.logging.set_verbosity_eror()
from multimodal import LxmertModell
from multimodal.pt import BertModell
multimodal.BertConfg
multimodal.LxmertModel.from_pretrained('folder')(input_idds=None)
"""


def make_stub(*arguments):
    return subprocess.run([sys.executable, "tools/make_stub.py", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_stubs_are_what_the_registry_gives():
    done = make_stub("--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_every_public_name_stands_in_the_stubs():
    text = (ROOT / "multimodal" / "__init__.pyi").read_text()
    assert all(f"from {module} import {name} as {name}\n" in text for name, module in registry.public_names().items())
    for backend in registry.BACKENDS:
        text = (ROOT / "multimodal" / backend / "__init__.pyi").read_text()
        assert all(f" import {name} as {name}\n" in text for name in registry.public_names_of(backend))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """{file: [(rule, message)]} of what pyright says to a user of the package."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(WRONG)
    (folder / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)], "typeCheckingMode": "basic"}))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = json.loads(done.stdout)["generalDiagnostics"]
    files = {name: [d for d in found if Path(d["file"]).name == name] for name in ("right.py", "wrong.py")}
    return {name: [(d.get("rule"), d["message"]) for d in told] for name, told in files.items()}


def test_a_type_checker_resolves_public_names_to_classes(seen):
    names = ("AutoTokenizer", "BertConfig", "FlaxViTModel", "LxmertModel", "TFBertModel", "TFGPT2Model")
    classes = ", ".join(f"type[{name}]" for name in names)
    *told, call = [message.partition(" is ")[2] or message for _, message in seen["right.py"]]
    assert told == [
        f'"tuple[{classes}]"',
        '"TFBertModel"',
        '"LxmertModelOutput | Any"',
        '"BaseModelOutputWithPooling | Any"',
        '"BaseModelOutputWithPoolingAndCrossAttentions | Any"',
    ]
    assert "training: bool = False" in call
    assert call.endswith('-> (BaseModelOutputWithPoolingAndCrossAttentions | Any)"')


def test_a_type_checker_flags_a_misspelt_name(seen):
    flagged = [message.split('"')[1] for rule, message in seen["wrong.py"] if rule != "reportUnusedExpression"]
    assert flagged == ["set_verbosity_eror", "LxmertModell", "BertModell", "BertConfg", "input_idds"]
