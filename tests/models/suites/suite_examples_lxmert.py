"""The documented examples of LXMERT: as printed they get an error that helps; as corrected in our docs they run."""

import re
from pathlib import Path

import examples
import numpy as np
import published
import pytest
import zoo

PAGE = Path(__file__).parents[3] / "docs" / "lxmert.md"
FRAMEWORKS = {"PyTorch": "pt", "TensorFlow": "tf", "Flax": "flax"}
CORRECTED = {
    FRAMEWORKS[title]: code
    for title, code in re.findall(r"```python\n# (\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
}
PRINTED = {"pt": "pt-question-answering.txt", "tf": "tf-model.txt", "flax": "tf-model.txt"}
IN_FLAX = (
    ("TFLxmert", "FlaxLxmert"),
    ("import tensorflow as tf", "import jax"),
    ('"tf"', '"np"'),
    ("model(inputs)", "model(**inputs)"),
)
"""The example that is printed for TensorFlow, said in Flax, which has none of its own."""
ABSENT = {"pt": "start_logits", "tf": "last_hidden_state", "flax": "last_hidden_state"}
"""The field that the printed example reads and LXMERT does not have."""


def printed():
    """The program of the documented example."""
    code = examples.source(examples.EXAMPLES / "lxmert" / PRINTED[zoo.BACKEND])
    for old, new in IN_FLAX if zoo.BACKEND == "flax" else ():
        assert old in code
        code = code.replace(old, new)
    return code


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


def test_the_printed_example_gets_errors_that_say_what_is_missing(hub):
    with pytest.raises(ValueError, match=r"visual_feats: expected an array .*, got None \(.*regions.*visual_pos"):
        run(printed(), hub)
    image = "model(**inputs, visual_feats=FEATS, visual_pos=BOXES)"
    code = printed().replace("model(**inputs)", image).replace("model(inputs)", image)
    framework = {"pt": "torch", "tf": "tensorflow", "flax": "numpy"}[zoo.BACKEND]
    seen = (
        f"import {framework} as framework\nFEATS, BOXES = framework.ones((1, 3, 10)), framework.ones((1, 3, 4)) / 2\n"
    )
    with pytest.raises(AttributeError, match=rf"has no field '{ABSENT[zoo.BACKEND]}'; it has \w+"):
        run(seen + code, hub)


def test_the_example_corrected_in_our_docs_runs(hub, kit):
    left = run(CORRECTED[zoo.BACKEND], hub)
    of = left["model"].config
    if zoo.BACKEND == "pt":
        assert left["answer"].shape == (1,)
        assert 0 < float(kit.numpy(left["loss"])) < 50 * np.log(of.num_qa_labels)
        assert {name.split(".")[0] for name in left["model"].load_report.unused} == {"cls", "obj_predict_head"}
    else:
        assert left["language"].shape == (1, left["inputs"]["input_ids"].shape[1], of.hidden_size)
        assert left["vision"].shape == (1, 36, of.hidden_size)


def test_every_printed_example_of_the_family_is_there():
    assert {path.name for path in (examples.EXAMPLES / "lxmert").iterdir()} == set(PRINTED.values())
    assert set(CORRECTED) == set(FRAMEWORKS.values())
