"""Tiny checkpoints of the kinds that the tasks need, with fresh weights, and pictures of all sizes."""

import numpy as np
import pytest
from PIL import Image

from multimodal import (
    AlignConfig,
    AlignModel,
    BeitImageProcessor,
    BertTokenizerFast,
    Data2VecVisionConfig,
    Data2VecVisionForImageClassification,
    Data2VecVisionForSemanticSegmentation,
    EfficientNetImageProcessor,
)

NAMES = ("sky", "grass", "background", "water")
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "green", "blue", "an", "image", "of")


@pytest.fixture(scope="session")
def vision_config():
    """Of the heads of Data2Vec-vision."""
    return Data2VecVisionConfig(
        hidden_size=8, num_hidden_layers=4, num_attention_heads=2, intermediate_size=8, image_size=(16, 24),
        patch_size=8, out_indices=[0, 1, 2, 3], pool_scales=[1], use_auxiliary_head=False, initializer_range=0.5,
        drop_path_rate=0.5, id2label=dict(enumerate(NAMES)), label2id={name: i for i, name in enumerate(NAMES)},
    )  # fmt: skip


def processor(**options):
    return BeitImageProcessor(**{"size": {"height": 16, "width": 24}, "do_center_crop": False, **options})


@pytest.fixture(scope="session")
def classifier(vision_config, tmp_path_factory):
    """The folder of an image classifier."""
    folder = tmp_path_factory.mktemp("classifier")
    Data2VecVisionForImageClassification(vision_config, seed=1).save_pretrained(folder)
    processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def segmenter(vision_config, tmp_path_factory):
    """The folder of a segmenter."""
    folder = tmp_path_factory.mktemp("segmenter")
    Data2VecVisionForSemanticSegmentation(vision_config, seed=1).save_pretrained(folder)
    processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def align(tmp_path_factory):
    """The folder of an ALIGN."""
    folder = tmp_path_factory.mktemp("align")
    vision = {
        "width_coefficient": 0.25, "depth_coefficient": 1.0, "in_channels": [32, 32], "out_channels": [32, 64],
        "kernel_sizes": [3, 3], "strides": [1, 2], "num_block_repeats": [1, 1], "expand_ratios": [1, 2],
    }  # fmt: skip
    text = {
        "vocab_size": len(WORDS), "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 8, "max_position_embeddings": 12,
    }  # fmt: skip
    sizes = {"projection_dim": 16, "initializer_range": 0.5, "temperature_init_value": 0.2}
    AlignModel(AlignConfig(text_config=text, vision_config=vision, **sizes), seed=1).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=12).save_pretrained(folder)
    EfficientNetImageProcessor(size={"height": 12, "width": 16}, resample=2).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pictures():
    """Of four sizes, each with its own colours in patches."""
    found = []
    for seed, size in enumerate([(30, 20), (7, 9), (16, 24), (50, 11)]):
        values = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
        found.append(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))
    return found


@pytest.fixture
def folder(tmp_path, pictures):
    """A folder with the pictures in files."""
    place = tmp_path / "photos"
    place.mkdir()
    for number, picture in enumerate(pictures):
        picture.save(place / f"{number}.png")
    return place
