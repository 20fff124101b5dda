"""The documented examples of LXMERT: as printed they get an error that helps; as corrected in our docs they run."""

import os
import re
from pathlib import Path

import examples
import numpy as np
import published
import pytest
import zoo

BACKEND = os.environ["MULTIMODAL_TEST_BACKEND"]
PAGE = Path(__file__).parents[2] / "docs" / "lxmert.md"
CORRECTED = {
    {"PyTorch": "pt", "TensorFlow": "tf"}[title]: code
    for title, code in re.findall(r"```python\n# (\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
}
PRINTED = sorted((examples.EXAMPLES / "lxmert").glob(f"{BACKEND}-*.txt"))
ABSENT = {"pt": "start_logits", "tf": "last_hidden_state"}
"""The field that the printed example reads and LXMERT does not have."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A pre-training checkpoint under its published name, with a tokenizer."""
    root = tmp_path_factory.mktemp("hub")
    ids = published.vocabulary(root / "unc-nlp/lxmert-base-uncased", "bert")
    config = zoo.config("LxmertForPreTraining", vocab_size=len(ids), max_position_embeddings=64)
    zoo.write(root / "unc-nlp/lxmert-base-uncased", "LxmertForPreTraining", config, seed=6)
    return root


def run(code, hub):
    """The names that a program leaves behind."""
    names = {}
    with examples.surroundings(hub):
        exec(code, names)
    return names


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.stem)
def test_a_printed_example_gets_an_error_that_says_what_is_missing(path, hub):
    with pytest.raises(ValueError, match=r"visual_feats: expected an array .*, got None \(.*regions.*visual_pos"):
        run(examples.source(path), hub)
    image = "dict(inputs, visual_feats=FEATS, visual_pos=BOXES)"
    code = (
        examples.source(path)
        .replace("model(**inputs)", f"model(**{image})")
        .replace("model(inputs)", f"model({image})")
    )
    made = {"pt": "import torch as f", "tf": "import tensorflow as f"}[BACKEND]
    seen = f"{made}\nFEATS, BOXES = f.ones((1, 3, 10)), f.ones((1, 3, 4)) / 2\n"
    with pytest.raises(AttributeError, match=rf"has no field '{ABSENT[BACKEND]}'; it has \w+"):
        run(seen + code, hub)


@pytest.mark.parametrize("framework", [framework for framework in CORRECTED if framework == BACKEND])
def test_an_example_corrected_in_our_docs_runs(framework, hub, kit):
    left = run(CORRECTED[framework], hub)
    of = left["model"].config
    if framework == "pt":
        assert left["answer"].shape == (1,)
        assert 0 < float(left["loss"]) < 50 * np.log(of.num_qa_labels)
        assert {name.split(".")[0] for name in left["model"].load_report.unused} == {"cls", "obj_predict_head"}
    else:
        assert left["language"].shape == (1, left["inputs"]["input_ids"].shape[1], of.hidden_size)
        assert left["vision"].shape == (1, 36, of.hidden_size)


def test_the_page_corrects_both_examples():
    assert set(CORRECTED) == {"pt", "tf"}
    assert [path.stem.split("-")[0] for path in sorted((examples.EXAMPLES / "lxmert").iterdir())] == ["pt", "tf"]
