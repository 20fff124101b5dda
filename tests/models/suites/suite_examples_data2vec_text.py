"""The Data2Vec-text examples of the seed (page 001), as printed, with `transformers` replaced by `multimodal`.

They are PyTorch code and run in that backend. `facebook/data2vec-text-base` is a small checkpoint with a language head.
"""

import math

import pytest
import zoo
from tokenizers import ByteLevelBPETokenizer

from multimodal import RobertaTokenizerFast

NAME = "facebook/data2vec-text-base"
TEXTS = [
    "Hello, my dog is cute", "The capital of France is Paris.", "Who was Jim Henson? Jim Henson was a nice",
    "HuggingFace is a company based in Paris and New York",
]  # fmt: skip
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]

CONFIGURATION = """
from transformers import Data2VecTextConfig, Data2VecTextModel
configuration = Data2VecTextConfig()
model = Data2VecTextModel(configuration)
configuration = model.config
"""
MODEL = """
from transformers import AutoTokenizer, Data2VecTextModel
import torch
tokenizer = AutoTokenizer.from_pretrained("facebook/data2vec-text-base")
model = Data2VecTextModel.from_pretrained("facebook/data2vec-text-base")
inputs = tokenizer("Hello, my dog is cute", return_tensors="pt")
outputs = model(**inputs)
last_hidden_states = outputs.last_hidden_state
"""
CAUSAL = """
from transformers import AutoTokenizer, Data2VecTextForCausalLM, Data2VecTextConfig
import torch
tokenizer = AutoTokenizer.from_pretrained("facebook/data2vec-text-base")
config = Data2VecTextConfig.from_pretrained("facebook/data2vec-text-base")
config.is_decoder = True
model = Data2VecTextForCausalLM.from_pretrained("facebook/data2vec-text-base", config=config)
inputs = tokenizer("Hello, my dog is cute", return_tensors="pt")
outputs = model(**inputs)
prediction_logits = outputs.logits
"""
MASKED = """
from transformers import AutoTokenizer, Data2VecTextForMaskedLM
import torch
tokenizer = AutoTokenizer.from_pretrained("facebook/data2vec-text-base")
model = Data2VecTextForMaskedLM.from_pretrained("facebook/data2vec-text-base")
inputs = tokenizer("The capital of France is <mask>.", return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits
mask_token_index = (inputs.input_ids == tokenizer.mask_token_id)[0].nonzero(as_tuple=True)[0]
predicted_token_id = logits[0, mask_token_index].argmax(axis=-1)
labels = tokenizer("The capital of France is Paris.", return_tensors="pt")["input_ids"]
labels = torch.where(inputs.input_ids == tokenizer.mask_token_id, labels, -100)
outputs = model(**inputs, labels=labels)
loss = outputs.loss
"""
SINGLE = """
import torch
from transformers import AutoTokenizer, Data2VecTextForSequenceClassification
tokenizer = AutoTokenizer.from_pretrained("facebook/data2vec-text-base")
model = Data2VecTextForSequenceClassification.from_pretrained("facebook/data2vec-text-base")
inputs = tokenizer("Hello, my dog is cute", return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits
predicted_class_id = logits.argmax().item()
num_labels = len(model.config.id2label)
model = Data2VecTextForSequenceClassification.from_pretrained("facebook/data2vec-text-base", num_labels=num_labels)
labels = torch.tensor([1])
loss = model(**inputs, labels=labels).loss
"""
MULTI = """
import torch
from transformers import AutoTokenizer, Data2VecTextForSequenceClassification
tokenizer = AutoTokenizer.from_pretrained("facebook/data2vec-text-base")
model = Data2VecTextForSequenceClassification.from_pretrained(
    "facebook/data2vec-text-base", problem_type="multi_label_classification"
)
inputs = tokenizer("Hello, my dog is cute", return_tensors="pt")
with torch.no_grad():
    logits = model(**inputs).logits
predicted_class_ids = torch.arange(0, logits.shape[-1])[torch.sigmoid(logits).squeeze(dim=0) > 0.5]
num_labels = len(model.config.id2label)
model = Data2VecTextForSequenceClassification.from_pretrained(
    "facebook/data2vec-text-base", num_labels=num_labels, problem_type="multi_label_classification"
)
labels = torch.sum(
    torch.nn.functional.one_hot(predicted_class_ids[None, :].clone(), num_classes=num_labels), dim=1
).to(torch.float)
loss = model(**inputs, labels=labels).loss
"""
CHOICE = """
from transformers import AutoTokenizer, Data2VecTextForMultipleChoice
import torch
tokenizer = AutoTokenizer.from_pretrained("facebook/data2vec-text-base")
model = Data2VecTextForMultipleChoice.from_pretrained("facebook/data2vec-text-base")
prompt = "In Italy, pizza served in formal settings, such as at a restaurant, is presented unsliced."
choice0 = "It is eaten with a fork and a knife."
choice1 = "It is eaten while held in the hand."
labels = torch.tensor(0).unsqueeze(0)
encoding = tokenizer([prompt, prompt], [choice0, choice1], return_tensors="pt", padding=True)
outputs = model(**{k: v.unsqueeze(0) for k, v in encoding.items()}, labels=labels)
loss = outputs.loss
logits = outputs.logits
"""
TOKENS = """
from transformers import AutoTokenizer, Data2VecTextForTokenClassification
import torch
tokenizer = AutoTokenizer.from_pretrained("facebook/data2vec-text-base")
model = Data2VecTextForTokenClassification.from_pretrained("facebook/data2vec-text-base")
inputs = tokenizer(
    "HuggingFace is a company based in Paris and New York", add_special_tokens=False, return_tensors="pt"
)
with torch.no_grad():
    logits = model(**inputs).logits
predicted_token_class_ids = logits.argmax(-1)
predicted_tokens_classes = [model.config.id2label[t.item()] for t in predicted_token_class_ids[0]]
labels = predicted_token_class_ids
loss = model(**inputs, labels=labels).loss
"""
ANSWER = """
from transformers import AutoTokenizer, Data2VecTextForQuestionAnswering
import torch
tokenizer = AutoTokenizer.from_pretrained("facebook/data2vec-text-base")
model = Data2VecTextForQuestionAnswering.from_pretrained("facebook/data2vec-text-base")
question, text = "Who was Jim Henson?", "Jim Henson was a nice puppet"
inputs = tokenizer(question, text, return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs)
answer_start_index = outputs.start_logits.argmax()
answer_end_index = outputs.end_logits.argmax()
predict_answer_tokens = inputs.input_ids[0, answer_start_index : answer_end_index + 1]
target_start_index = torch.tensor([14])
target_end_index = torch.tensor([15])
outputs = model(**inputs, start_positions=target_start_index, end_positions=target_end_index)
loss = outputs.loss
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A function: the names that an example leaves, run beside the checkpoint that it names."""
    root = tmp_path_factory.mktemp("hub")
    folder = root / NAME
    engine = ByteLevelBPETokenizer()
    engine.train_from_iterator(TEXTS, vocab_size=600, min_frequency=1, special_tokens=SPECIAL, show_progress=False)
    folder.mkdir(parents=True)
    engine.save_model(str(folder))
    RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    config = zoo.config("Data2VecTextForMaskedLM", vocab_size=engine.get_vocab_size(), max_position_embeddings=130)
    config.num_labels = 2
    zoo.write(folder, "Data2VecTextForMaskedLM", config)

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
    assert names["model"].num_parameters() == 109_482_240


def test_states_of_a_text(run):
    names = run(MODEL)
    assert names["last_hidden_states"].shape == (1, names["inputs"].input_ids.shape[1], 16)
    assert {name.split(".")[0] for name in names["model"].load_report.fresh} == {"pooler"}


def test_a_causal_language_model(run):
    names = run(CAUSAL)
    assert names["prediction_logits"].shape[2] == names["model"].config.vocab_size
    assert len(names["outputs"].past_key_values) == 2
    assert names["model"].load_report.lines() == []


def test_a_word_behind_a_mask(run):
    names = run(MASKED)
    assert names["predicted_token_id"].shape == (1,)
    assert (names["labels"] >= 0).sum() == 1
    assert names["tokenizer"].decode(names["labels"].max()) == " Paris"
    assert float(names["loss"].detach()) > 0


@pytest.mark.parametrize("example", [SINGLE, MULTI], ids=["single", "multi"])
def test_a_classifier_of_texts(run, example):
    names = run(example)
    assert names["logits"].shape == (1, 2)
    assert float(names["loss"].detach()) == pytest.approx(math.log(2), rel=0.5)  # a fresh head
    assert {name.split(".")[0] for name in names["model"].load_report.fresh} == {"classifier"}


def test_a_classifier_of_choices(run):
    names = run(CHOICE)
    assert names["logits"].shape == (1, 2)
    assert float(names["loss"].detach()) == pytest.approx(math.log(2), rel=0.5)


def test_a_classifier_of_tokens(run):
    names = run(TOKENS)
    assert len(names["predicted_tokens_classes"]) == names["inputs"].input_ids.shape[1]
    assert set(names["predicted_tokens_classes"]) <= {"LABEL_0", "LABEL_1"}
    assert float(names["loss"].detach()) <= math.log(2)  # the labels are its own predictions


def test_an_answer_in_a_text(run):
    names = run(ANSWER)
    length = names["inputs"].input_ids.shape[1]
    assert names["outputs"].start_logits.shape == (1, length)
    assert float(names["loss"].detach()) == pytest.approx(math.log(length), rel=0.5)
