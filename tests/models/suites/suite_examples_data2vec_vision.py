"""The documented examples of Data2Vec-vision (seed page 001) run as printed, on tiny checkpoints of the documented names.

There are examples in PyTorch and TensorFlow; the backend that has none is called in the same way here.
"""

import json

import examples
import numpy as np
import pytest
import zoo

from multimodal import BeitImageProcessor
from multimodal.registry import PREFIXES

BASE, TUNED = "facebook/data2vec-vision-base", "facebook/data2vec-vision-base-ft1k"
SIZES = {"hidden_size": 16, "num_attention_heads": 4, "intermediate_size": 24, "auxiliary_channels": 8}
BELONGS = "remote control, remote"

IN_FLAX = """
from multimodal import AutoImageProcessor, FlaxData2VecVisionModel
from datasets import load_dataset
dataset = load_dataset("huggingface/cats-image", trust_remote_code=True)
image = dataset["test"]["image"][0]
image_processor = AutoImageProcessor.from_pretrained("facebook/data2vec-vision-base")
model = FlaxData2VecVisionModel.from_pretrained("facebook/data2vec-vision-base")
inputs = image_processor(image, return_tensors="jax")
last_hidden_states = model(**inputs).last_hidden_state
"""


@pytest.fixture(scope="module")
def checkpoints_by_name(tmp_path_factory):
    """Small networks for pictures of the documented size, twelve layers deep: the four maps are of layers up to the last."""
    root = tmp_path_factory.mktemp("hub")
    for name, class_name in ((BASE, "Data2VecVisionModel"), (TUNED, "Data2VecVisionForImageClassification")):
        config = zoo.half("data2vec-vision", image_size=224, patch_size=16, num_hidden_layers=12, **SIZES)
        config.out_indices, config.id2label = [3, 5, 7, 11], dict.fromkeys(range(4), BELONGS)
        zoo.write(root / name, class_name, config)
        BeitImageProcessor(crop_size=224, size=224).save_pretrained(root / name)
    return root


def configured(left, kit):
    assert left["configuration"].hidden_size == 768
    assert left["model"].num_parameters() > 80_000_000


def encoded(left, kit):
    assert kit.numpy(left["last_hidden_states"]).shape == (1, 197, 16)


def classified(left, kit):
    assert left["printed"].strip() == BELONGS
    assert left["model"].load_report.fresh == []


def segmented(left, kit):
    """The head is not in the checkpoint: drawn fresh, and reported."""
    assert kit.numpy(left["outputs"].logits if "outputs" in left else left["logits"]).shape == (1, 4, 56, 56)
    assert any(name.startswith("decode_head.") for name in left["model"].load_report.fresh)


PROPERTIES = {
    "configuration": configured,
    "model": encoded,
    "image-classification": classified,
    "segmentation": segmented,
}
PRINTED = [] if zoo.BACKEND == "flax" else examples.of("data2vec_vision", zoo.BACKEND or "pt")


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.stem)
def test_a_documented_example_of_pictures_runs(path, checkpoints_by_name, kit):
    left = examples.run(path, checkpoints_by_name)
    PROPERTIES[path.stem.split("-", 1)[1]](left, kit)


def test_what_is_documented_elsewhere_runs_in_every_backend(checkpoints_by_name, kit, public):
    """One picture through the processor that the checkpoint names, and each class."""
    assert set(PREFIXES.values()) == {"", "TF", "Flax"}
    with examples.surroundings(checkpoints_by_name):
        names = {}
        exec(
            IN_FLAX.replace("FlaxData2VecVisionModel", f"{kit.PREFIX}Data2VecVisionModel").replace(
                '"jax"', repr({"pt": "pt", "tf": "tf", "flax": "jax"}[kit.NAME])
            ),
            names,
        )
        encoded(names, kit)
        model = public("Data2VecVisionForImageClassification").from_pretrained(TUNED)
        label = int(np.argmax(kit.numpy(model(**names["inputs"]).logits)))
        assert model.config.id2label[label] == BELONGS
        saved = json.loads((checkpoints_by_name / TUNED / "config.json").read_text())
        assert saved["model_type"] == "data2vec-vision"
