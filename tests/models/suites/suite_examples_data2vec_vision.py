"""The documented examples of Data2Vec-vision (seed page 001) run as printed, on tiny checkpoints of the documented names.

There are none in Flax: `flax-model.txt` is TensorFlow's in that framework.
"""

import examples
import published
import pytest
import zoo

EXAMPLES = examples.of("data2vec_vision", zoo.BACKEND)


@pytest.fixture(scope="module")
def checkpoints_by_name(tmp_path_factory):
    return published.data2vec_vision(tmp_path_factory.mktemp("hub"))


def configured(left, kit):
    assert left["configuration"].hidden_size == 768
    assert left["model"].num_parameters() > 80_000_000


def encoded(left, kit):
    assert kit.numpy(left["last_hidden_states"]).shape == (1, 197, 16)


def classified(left, kit):
    assert left["printed"] == "remote control, remote\n"
    assert left["model"].load_report.fresh == []


def segmented(left, kit):
    """The head is not in the checkpoint: drawn fresh, and reported."""
    assert kit.numpy(left["logits"]).shape == (1, 4, 56, 56)
    assert any(name.startswith("decode_head.") for name in left["model"].load_report.fresh)


PROPERTIES = {
    "configuration": configured,
    "model": encoded,
    "image-classification": classified,
    "segmentation": segmented,
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_documented_example_of_pictures_runs(path, checkpoints_by_name, kit):
    left = examples.run(path, checkpoints_by_name)
    PROPERTIES[path.stem.split("-", 1)[1]](left, kit)
