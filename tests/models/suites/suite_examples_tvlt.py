"""The TVLT examples of the seed (page 004), as printed, with `transformers` replaced by `multimodal`.

They are PyTorch code and run in that backend. `ZinengTang/tvlt-base` is a narrow checkpoint of the published pre-training
model, with frames and spectrograms of the published size. The pictures of the examples are random numbers, which the
processor takes as they are and warns of; without labels there is no loss to read.
"""

import pytest
import zoo

from multimodal import TvltConfig, TvltFeatureExtractor, TvltImageProcessor, TvltProcessor

NAME = "ZinengTang/tvlt-base"
CONFIGURATION = """
from transformers import TvltConfig, TvltModel
configuration = TvltConfig()
model = TvltModel(configuration)
configuration = model.config
"""
MODEL = """
from transformers import TvltProcessor, TvltModel
import numpy as np
import torch
num_frames = 8
images = list(np.random.randn(num_frames, 3, 224, 224))
audio = list(np.random.randn(10000))
processor = TvltProcessor.from_pretrained("ZinengTang/tvlt-base")
model = TvltModel.from_pretrained("ZinengTang/tvlt-base")
input_dict = processor(images, audio, sampling_rate=44100, return_tensors="pt")
outputs = model(**input_dict)
loss = outputs.loss
"""
PRETRAINING = """
from transformers import TvltProcessor, TvltForPreTraining
import numpy as np
import torch
num_frames = 8
images = list(np.random.randn(num_frames, 3, 224, 224))
images_mixed = list(np.random.randn(num_frames, 3, 224, 224))
audio = list(np.random.randn(10000))
processor = TvltProcessor.from_pretrained("ZinengTang/tvlt-base")
model = TvltForPreTraining.from_pretrained("ZinengTang/tvlt-base")
input_dict = processor(
    images, audio, images_mixed, sampling_rate=44100, mask_pixel=True, mask_audio=True, return_tensors="pt"
)
outputs = model(**input_dict)
loss = outputs.loss
"""
CLASSIFICATION = """
from transformers import TvltProcessor, TvltForAudioVisualClassification
import numpy as np
import torch
num_frames = 8
images = list(np.random.randn(num_frames, 3, 224, 224))
audio = list(np.random.randn(10000))
processor = TvltProcessor.from_pretrained("ZinengTang/tvlt-base")
model = TvltForAudioVisualClassification.from_pretrained("ZinengTang/tvlt-base")
input_dict = processor(images, audio, sampling_rate=44100, return_tensors="pt")
outputs = model(**input_dict)
loss = outputs.loss
"""
PIXELS, SOUND = 8 * 14 * 14, 2 * 8
"""Patches of 8 frames, and of 10,000 samples: 20 steps in time, padded to two patches of 16, of 8 bands each."""
NARROW = {
    "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "decoder_hidden_size": 8,
    "decoder_num_attention_heads": 2, "decoder_num_hidden_layers": 1, "decoder_intermediate_size": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`run(example)`: the names that it leaves behind."""
    root = tmp_path_factory.mktemp("hub")
    zoo.write(root / NAME, "TvltForPreTraining", TvltConfig(**NARROW))
    TvltProcessor(TvltImageProcessor(), TvltFeatureExtractor()).save_pretrained(root / NAME)

    def run(example):
        names = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MULTIMODAL_CHECKPOINTS", str(root))
            exec(example.replace("from transformers import", "from multimodal import"), names)
        return names

    return run


def test_a_configuration_with_the_documented_defaults_makes_a_model(run):
    names = run(CONFIGURATION)
    assert names["configuration"] is names["model"].config
    assert names["model"].num_parameters() == 86_107_392


@pytest.mark.filterwarnings("ignore:videos. values are neither")
class TestClips:
    def test_states_of_a_clip(self, run):
        names = run(MODEL)
        out = names["outputs"]
        assert out.last_pixel_hidden_state.shape == (1, PIXELS, 8)
        assert out.last_audio_hidden_state.shape == (1, SOUND, 8)
        assert names["loss"] is None
        assert names["model"].load_report.fresh == []

    def test_matching_of_a_clip_and_other_pictures(self, run):
        names = run(PRETRAINING)
        assert names["outputs"].matching_logits.shape == (1, 1)
        assert names["loss"] is None
        assert names["model"].load_report.lines() == []

    def test_the_documented_call_in_training_has_a_loss(self, run):
        names = run(PRETRAINING)
        model, given = names["model"].train(), names["input_dict"]
        out = model(**given, labels=names["torch"].tensor([[1.0]]))
        out.loss.backward()
        assert out.pixel_logits.shape == (1, PIXELS, 3 * 16 * 16)
        assert out.audio_logits.shape == (1, SOUND, 16 * 16)
        assert all(tensor.grad is not None for tensor in model.parameters())

    def test_scores_of_a_clip(self, run):
        names = run(CLASSIFICATION)
        assert names["outputs"].logits.shape == (1, 2)
        assert names["loss"] is None
        assert {name.split(".")[0] for name in names["model"].load_report.fresh} == {"classifier"}
