"""Tiny checkpoints of the kinds that the tasks need, with fresh weights, and pictures of all sizes."""

import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from multimodal import (
    AlignConfig,
    AlignModel,
    BeitImageProcessor,
    BertTokenizerFast,
    Data2VecAudioConfig,
    Data2VecAudioForCTC,
    Data2VecAudioForXVector,
    Data2VecVisionConfig,
    Data2VecVisionForImageClassification,
    Data2VecVisionForSemanticSegmentation,
    EfficientNetImageProcessor,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
)

NAMES = ("sky", "grass", "background", "water")
LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", "a", "b", "c", "d")
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


@pytest.fixture(scope="session")
def audio_config():
    """Of clips at 100 Hz: 4 samples make a frame, each further frame takes 5."""
    return Data2VecAudioConfig(
        vocab_size=len(LETTERS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
        conv_dim=(4, 6), conv_kernel=(2, 3), conv_stride=(1, 5), num_conv_pos_embedding_groups=2,
        conv_pos_kernel_size=5, num_conv_pos_embeddings=2, initializer_range=0.8, num_labels=3, tdnn_dim=(6, 5),
        tdnn_kernel=(3, 1), tdnn_dilation=(1, 1), xvector_output_dim=7,
    )  # fmt: skip


def save_sound(model, folder):
    """A model of sound with its processors."""
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(LETTERS)}), encoding="utf-8")
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=100, return_attention_mask=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def transcriber(audio_config, tmp_path_factory):
    """The folder of a Data2Vec-audio that writes down letters."""
    return save_sound(Data2VecAudioForCTC(audio_config, seed=1), tmp_path_factory.mktemp("transcriber"))


@pytest.fixture(scope="session")
def voices(audio_config, tmp_path_factory):
    """The folder of a Data2Vec-audio that tells voices apart."""
    return save_sound(Data2VecAudioForXVector(audio_config, seed=4), tmp_path_factory.mktemp("voices"))


@pytest.fixture(scope="session")
def clips():
    """Of several lengths, at 100 Hz."""
    rng = np.random.default_rng(0)
    return [rng.uniform(-0.9, 0.9, length).astype(np.float32) for length in (123, 60, 247, 31, 200)]


@pytest.fixture
def sounds(tmp_path, clips):
    """The clips in files."""
    paths = [tmp_path / f"{number}.wav" for number in range(len(clips))]
    for path, clip in zip(paths, clips):
        soundfile.write(path, clip, 100, subtype="FLOAT")
    return paths
