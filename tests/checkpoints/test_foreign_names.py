"""What is written for TensorFlow and for Flax has the names and shapes that the reference's own files have.

`tests/golden/neutral/foreign_names.json` has those of a segmenter's `tf_model.h5`, whose lists of layers are written with
points, of a composite's `flax_model.msgpack`, and of DistilBERT's and RoBERTa's files; `foreign_names_swin.json` those of a
composite's `tf_model.h5`.
"""

import json
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.formats import registry
from multimodal.checkpoints.proof import verify
from multimodal.parity import draw
from multimodal.parity.cases import Case

NEUTRAL = Path(__file__).parents[1] / "golden" / "neutral"
FILES = {
    name: file
    for path in sorted(NEUTRAL.glob("foreign_names*.json"))
    for name, file in json.loads(path.read_text()).items()
}
NAMES = {"tf-h5": "tf_model.h5", "flax-msgpack": "flax_model.msgpack"}


@pytest.mark.parametrize("name", FILES)
def test_a_converted_checkpoint_has_the_reference_s_names_and_keeps_every_bit(name, tmp_path):
    config, format = FILES[name]["config"], FILES[name]["format"]
    rows = Case(name, config["architectures"][0], config, ()).rows()
    start = tmp_path / "start"
    start.mkdir()
    (start / "config.json").write_text(json.dumps(config))
    tensors = {key: array.astype("float32") for key, array in draw.weights(rows, seed=1).items()}
    save_file(tensors, start / "model.safetensors", metadata={"format": "pt"})
    convert(start, tmp_path / "made", format)
    _, made = registry.open_file(tmp_path / "made" / NAMES[format])
    assert {key: list(shape) for key, shape in made.shapes().items()} == FILES[name]["names"]
    assert verify(start, tmp_path / "made").equal
