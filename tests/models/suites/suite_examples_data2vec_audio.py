"""The Data2Vec-audio examples of the seed (page 001), as printed, with `transformers` replaced by `multimodal`.

They are PyTorch code and run in that backend. `facebook/data2vec-audio-base-960h` is a small checkpoint of CTC with the
published features' strides, and the data set that they load is two short tones.
"""

import json
import math

import examples
import numpy as np
import pytest
import zoo

CHECKPOINT = "facebook/data2vec-audio-base-960h"
SAMPLES = 93_680
"""Of the first clip: what the documented shape of its states, (1, 292, 768), follows from."""

LOAD = """
from datasets import load_dataset
import torch
dataset = load_dataset("hf-internal-testing/librispeech_asr_demo", "clean", split="validation", trust_remote_code=True)
dataset = dataset.sort("id")
sampling_rate = dataset.features["audio"].sampling_rate
"""
CONFIGURATION = """
from transformers import Data2VecAudioConfig, Data2VecAudioModel
configuration = Data2VecAudioConfig()
model = Data2VecAudioModel(configuration)
configuration = model.config
"""
MODEL = """
from transformers import AutoProcessor, Data2VecAudioModel
LOAD
processor = AutoProcessor.from_pretrained("facebook/data2vec-audio-base-960h")
model = Data2VecAudioModel.from_pretrained("facebook/data2vec-audio-base-960h")
inputs = processor(dataset[0]["audio"]["array"], sampling_rate=sampling_rate, return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs)
last_hidden_states = outputs.last_hidden_state
shape = list(last_hidden_states.shape)
"""
FRAMES = """
from transformers import AutoFeatureExtractor, Data2VecAudioForAudioFrameClassification
LOAD
feature_extractor = AutoFeatureExtractor.from_pretrained("facebook/data2vec-audio-base-960h")
model = Data2VecAudioForAudioFrameClassification.from_pretrained("facebook/data2vec-audio-base-960h")
inputs = feature_extractor(dataset[0]["audio"]["array"], return_tensors="pt", sampling_rate=sampling_rate)
with torch.no_grad():
    logits = model(**inputs).logits
probabilities = torch.sigmoid(logits[0])
labels = (probabilities > 0.5).long()
"""
CTC = """
from transformers import AutoProcessor, Data2VecAudioForCTC
LOAD
processor = AutoProcessor.from_pretrained("facebook/data2vec-audio-base-960h")
model = Data2VecAudioForCTC.from_pretrained("facebook/data2vec-audio-base-960h")
inputs = processor(dataset[0]["audio"]["array"], sampling_rate=sampling_rate, return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits
predicted_ids = torch.argmax(logits, dim=-1)
transcription = processor.batch_decode(predicted_ids)
inputs["labels"] = processor(text=dataset[0]["text"], return_tensors="pt").input_ids
loss = model(**inputs).loss
rounded = round(loss.item(), 2)
"""
SEQUENCE = """
from transformers import AutoFeatureExtractor, Data2VecAudioForSequenceClassification
LOAD
feature_extractor = AutoFeatureExtractor.from_pretrained("facebook/data2vec-audio-base-960h")
model = Data2VecAudioForSequenceClassification.from_pretrained("facebook/data2vec-audio-base-960h")
inputs = feature_extractor(dataset[0]["audio"]["array"], sampling_rate=sampling_rate, return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits
predicted_class_ids = torch.argmax(logits, dim=-1).item()
predicted_label = model.config.id2label[predicted_class_ids]
target_label = model.config.id2label[0]
inputs["labels"] = torch.tensor([model.config.label2id[target_label]])
loss = model(**inputs).loss
"""
XVECTOR = """
from transformers import AutoFeatureExtractor, Data2VecAudioForXVector
LOAD
feature_extractor = AutoFeatureExtractor.from_pretrained("facebook/data2vec-audio-base-960h")
model = Data2VecAudioForXVector.from_pretrained("facebook/data2vec-audio-base-960h")
inputs = feature_extractor(
    [d["array"] for d in dataset[:2]["audio"]], sampling_rate=sampling_rate, return_tensors="pt", padding=True
)
with torch.no_grad():
    embeddings = model(**inputs).embeddings
embeddings = torch.nn.functional.normalize(embeddings, dim=-1).cpu()
cosine_sim = torch.nn.CosineSimilarity(dim=-1)
similarity = cosine_sim(embeddings[0], embeddings[1])
threshold = 0.7
if similarity < threshold:
    print("Speakers are not the same!")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`run(example)`: the names that it leaves behind."""
    from multimodal import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Processor

    root = tmp_path_factory.mktemp("hub")
    folder = root / CHECKPOINT
    folder.mkdir(parents=True)
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    strides = {"conv_stride": [5, 2, 2, 2, 2, 2, 2], "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_dim": [8] * 7}
    config = zoo.config("Data2VecAudioForCTC", vocab_size=len(letters), **strides)
    config.num_labels = 2
    zoo.write(folder, "Data2VecAudioForCTC", config)
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(return_attention_mask=True), tokenizer).save_pretrained(folder)

    def run(example):
        names = {}
        program = example.replace("LOAD", LOAD).replace("from transformers import", "from multimodal import")
        with examples.surroundings(root):
            exec(program, names)
        return names

    return run


def test_a_configuration_with_the_documented_defaults_makes_a_model(run):
    names = run(CONFIGURATION)
    assert names["configuration"] is names["model"].config
    assert names["model"].training


def test_states_of_a_clip(run):
    names = run(MODEL)
    assert names["inputs"].input_values.shape == (1, SAMPLES)
    assert names["shape"] == [1, 292, 16]
    assert names["model"].load_report.fresh == []


def test_classes_of_frames(run):
    names = run(FRAMES)
    assert names["labels"].shape == (292, 2)
    assert {name.split(".")[0] for name in names["model"].load_report.fresh} == {"classifier"}


def test_a_transcript_and_its_loss(run):
    names = run(CTC)
    assert names["logits"].shape == (1, 292, 32)
    assert set(names["transcription"][0]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ' ") | set("<s></s><unk>")
    assert names["inputs"]["labels"].shape == (1, len("MISTER QUILTER"))
    assert np.isfinite(names["rounded"])
    assert names["rounded"] > 0


def test_the_class_of_a_clip(run):
    names = run(SEQUENCE)
    assert names["predicted_label"] in ("LABEL_0", "LABEL_1")
    assert float(names["loss"].detach()) == pytest.approx(math.log(2), rel=0.9)


def test_two_voices(run):
    names = run(XVECTOR)
    assert names["embeddings"].shape[0] == 2
    assert -1.0 <= float(names["similarity"]) <= 1.0
    lengths = names["inputs"].attention_mask.sum(-1).tolist()
    assert lengths[0] == SAMPLES > lengths[1]
