"""Mistakes that users make, and the sentence that each is told: what was expected, what came, and often what was meant."""

import numpy as np
import pytest
import torch
import zoo

import multimodal
from multimodal import hub

ONE = hub.EMBEDDED / "digit-lines" / "images" / "00.png"

NAMES = {
    "TFVitModel": "did you mean 'TFViTModel'?",
    "LxmertForVisualQuestionAnswering": "did you mean 'LxmertForQuestionAnswering'?",
    "AutoModelForCasualLM": "did you mean 'AutoModelForCausalLM'?",
    "FlaxData2VecTextForMaskLM": "did you mean 'FlaxData2VecTextForMaskedLM'?",
    "BertTokeniser": "did you mean 'BertTokenizer'?",
}

LOADING = [
    ('BertModel.from_pretrained(there / "BertModl")', "no such folder (did you mean"),
    ('BertModel.from_pretrained("bert base uncased")', "not a hub name (`name` or `owner/name`)"),
    ('BertModel.from_pretrained(there / "text.txt")', "expected a folder or a checkpoint's name, got a file"),
    ('BertModel.from_pretrained(there / "empty")', "found an empty folder"),
    ('BertModel.from_pretrained(there / "bare")', "expected a checkpoint (model.safetensors, pytorch_model.bin, "),
    ('BertModel.from_pretrained(there / "broken")', "config.json: expected a JSON object"),
    ('BertModel.from_pretrained(there / "cut")', "model.safetensors: not a readable safetensors file"),
    ("BertModel.from_pretrained(None)", "expected a checkpoint, or None with config= and state_dict=, got None"),
    ('BertModel.from_pretrained(there / "ViTModel")', "expected model_type 'bert' for BertConfig, got 'vit'"),
    ("bert_(hidden_dim=3)", "BertConfig: unknown argument 'hidden_dim'; did you mean 'hidden_size'?"),
    ("bert_(load_in_8bit=True)", "BertConfig: unknown argument 'load_in_8bit'"),
    ("bert_(hidden_size=32)", "expected shape (99, 32), got (99, 16)"),
    ("bert_(vocab_size=7)", "expected shape (7, 16), got (99, 16)"),
    ('bert_(torch_dtype="float31")', "expected one of float64, float32, bfloat16, float16, got 'float31'"),
    ('bert_(attn_implementation="flash_attention_2")', "expected 'eager' or 'sdpa', got 'flash_attention_2'"),
    ('bert_(device_map="gpu")', "expected a device ('cpu', 'cuda:0', ...), got 'gpu'"),
    ('bert_(subfolder="../x")', "expected a relative path inside the checkpoint, got '../x'"),
    (
        'AutoModelForMaskedLM.from_pretrained(there / "ViTModel")',
        "expected a model_type among data2vec-text, got 'vit'",
    ),
    ("AutoModel()", "use AutoModel.from_pretrained(name_or_path) or AutoModel.from_config(config)"),
    ('AutoTokenizer.from_pretrained(there / "ViTModel")', "is a 'vit', which has no tokenizer"),
    ('AutoImageProcessor.from_pretrained(there / "BertModel")', "is a 'bert', which has no image_processor"),
    ('BertTokenizer.from_pretrained(there / "empty")', "expected one of tokenizer.json, vocab.txt"),
    ("bert.save_pretrained(there / 'text.txt')", "expected a folder, got the file"),
]

CONFIGURATIONS = [
    ('BertModel("bert-base-uncased")', "config: expected a BertConfig, got str"),
    ("BertModel(ViTConfig())", "config: expected a BertConfig, got ViTConfig"),
    ("BertConfig(hidden_siz=8)", "did you mean 'hidden_size'?"),
    ("BertConfig(hidden_size=10, num_attention_heads=3)", "expected a multiple of num_attention_heads (3), got 10"),
    ("BertConfig(num_hidden_layers=0)", "num_hidden_layers: expected a positive integer, got 0"),
    ('BertConfig(hidden_act="geluu")', "hidden_act: expected one of 'gelu', "),
    ("BertConfig(hidden_dropout_prob=1.5)", "hidden_dropout_prob: expected a number in [0, 1), got 1.5"),
    ('BertConfig(problem_type="classification")', "problem_type: expected one of None, 'regression', "),
    ("BertConfig(num_labels=0)", "num_labels: expected a positive integer, got 0"),
    ("VisionEncoderDecoderModel()", "or both encoder and decoder, got neither"),
    ("VisionEncoderDecoderModel(encoder=vit, decoder=bert)", "decoder: expected a BertLMHeadModel, got a BertModel"),
    (
        "VisionEncoderDecoderConfig(encoder={'hidden_size': 3}, decoder={})",
        "encoder: expected a dictionary with model_type",
    ),
    (
        "VisionEncoderDecoderModel.from_encoder_decoder_pretrained(None, 'x')",
        "expected a checkpoint, or encoder_model, got",
    ),
    ("bert.resize_token_embeddings(0)", "new_num_tokens: expected a positive integer, got 0"),
    ("bert.prune_heads({0: [99]})", "expected layers from -2 to 1 and heads from 0 to 3, got {0: [99]}"),
    ("ved.prune_heads({0: [0]})", "expected model.encoder.prune_heads or model.decoder.prune_heads"),
    ("set_seed('x')", "seed: expected an integer from 0 to 4294967295, got 'x'"),
]

CALLS = [
    ("bert(np.array([[1, 2]]))", "expected a torch.Tensor, got a NumPy array (torch.from_numpy makes one of it)"),
    ("bert(torch.tensor([1, 2, 3]))", "input_ids: expected shape (batch, length), got (3,)"),
    ("bert(torch.tensor([[1, 400]]))", "input_ids: expected values in [0, 99), got values from 1 to 400"),
    ("bert(torch.tensor([[1.0, 2.0]]))", "input_ids: expected integers, got float32"),
    ("bert()", "input_ids / inputs_embeds: expected exactly one of them, got neither"),
    ("bert(torch.zeros(1, 50).long())", "input_ids: expected at most 20 positions, got 50"),
    (
        "bert(ids, attention_mask=torch.ones(1, 4))",
        "attention_mask: expected (batch, 3) for 3 positions, got (batch, 4)",
    ),
    ("bert(ids, token_type_ids=ids * 0 + 2)", "token_type_ids: expected values in [0, 2)"),
    ("bert(ids, encoder_hidden_states=torch.zeros(1, 4, 16))", "config.add_cross_attention=True"),
    ("gpt2(ids, past_key_values=torch.zeros(1))", "past_key_values: expected 2 layers of 2 tensors"),
    ("vit(torch.rand(1, 32, 32, 3))", "expected shape (batch, channels=3, height, width), got (1, 32, 32, 3)"),
    ("vit(torch.rand(3, 32, 32))", "expected shape (batch, channels=3, height, width), got (3, 32, 32)"),
    ("vit(torch.rand(1, 3, 16, 16))", "expected images of 32 x 32 pixels, got 16 x 16 (interpolate_pos_encoding=True"),
    ("vit(pixels, bool_masked_pos=torch.ones(1, 16).bool())", "use_mask_token=True"),
    ("classifier(ids, labels=torch.tensor([9]))", "labels: expected values in [-100, 4), got values from 9 to 9"),
    ("classifier(ids, labels=torch.tensor([1, 1]))", "labels: expected shape (batch=1,), got (2,)"),
    ("lxmert(ids)", "features of its regions from an object detector"),
    (
        "ved(pixels)",
        "decoder_input_ids / decoder_inputs_embeds: expected exactly one of them (or labels, of which decoder_input_ids "
        "are made), got neither",
    ),
    ("ved(input_ids=ids)", "unknown argument 'input_ids'; did you mean 'decoder_input_ids'?"),
    ("ved(pixels, decoder_token_typ_ids=ids)", "did you mean 'decoder_token_type_ids'?"),
]

GENERATION = [
    ("gpt2.generate(ids, max_new_token=3)", "did you mean 'max_new_tokens'?"),
    ("ved.generate(pixels, max_lenght=3)", "did you mean 'max_length'?"),
    ("gpt2.generate(ids, max_length=2)", "max_length: expected more than the prompt's 3 tokens, got 2"),
    ("gpt2.generate(ids, max_length=500)", "max_length: expected at most 21, the decoder's positions, got 500"),
    ("gpt2.generate(ids, num_beams=0)", "num_beams: expected a positive integer, got 0"),
    ("gpt2.generate(ids, num_return_sequences=3)", "expected at most num_beams (1), got 3"),
    ("gpt2.generate(pixel_values=pixels)", "unknown argument 'pixel_values'; it takes input_ids, attention_mask, "),
    ("ved.generate(ids)", "pixel_values: expected shape (batch, channels=3, height, width), got (1, 3)"),
]

PROCESSORS = [
    ("tokenizer('a', pad_to_max_lenght=True)", "did you mean 'pad_to_max_length'?"),
    ("tokenizer('a', padding='longst')", "padding: expected True, False, 'longest', 'max_length' or 'do_not_pad'"),
    ("tokenizer('a', return_tensors='torch')", "return_tensors: expected one of 'np', 'pt', 'tf', 'jax'"),
    ("tokenizer(None)", "text: expected a string or a list of strings, got None"),
    ("tokenizer(['a', 'b c'], return_tensors='pt')", "texts need padding=True and truncation=True for it"),
    ("tokenizer('a', max_length=-1, truncation=True)", "max_length: expected a positive integer, got -1"),
    ("tokenizer.decode('abc')", "token_ids: expected integers, got str"),
    ("pictures('no/such/picture.png')", "no/such/picture.png, but the file does not exist"),
    ("pictures(there)", "but that is a folder"),
    ("pictures(there / 'text.txt')", "got no format that Pillow reads"),
    ("pictures(np.zeros((8, 8, 5)))", "expected 1 or 3 channels as the first or the last axis, got shape (8, 8, 5)"),
    ("pictures([])", "expected at least one image, got an empty list"),
    ("pictures(ONE, size={'hight': 3})", 'size: expected {"height": ..., "width": ...}'),
    ("pictures(ONE, resample='bicubic')", "BICUBIC=3"),
    ("pictures(ONE, do_resise=False)", "did you mean 'do_resize'?"),
    ("ViTImageProcessor(size=-1)", "size: expected positive integers, got"),
]

TABLE = [*LOADING, *CONFIGURATIONS, *CALLS, *GENERATION, *PROCESSORS]


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    """What the expressions of the table speak of."""
    there = tmp_path_factory.mktemp("mistakes")
    classes = ("BertModel", "GPT2LMHeadModel", "ViTModel", "LxmertModel", "Data2VecTextForSequenceClassification")
    for name in (*classes, zoo.COMPOSITE):
        changes = zoo.ENCODER if name == "BertModel" else {"add_cross_attention": False} if "GPT2" in name else {}
        zoo.write(there / name, name, zoo.config(name, **changes))
    whole = {file.name: file.read_bytes() for file in (there / "BertModel").iterdir()}
    files = {
        "broken": {"config.json": b'{"model_type": "bert",'},
        "cut": {"config.json": whole["config.json"], "model.safetensors": whole["model.safetensors"][:5000]},
        "bare": {"config.json": whole["config.json"]},
        "empty": {},
    }
    for folder, contents in files.items():
        (there / folder).mkdir()
        for name, content in contents.items():
            (there / folder / name).write_bytes(content)
    (there / "text.txt").write_text("no picture")

    def loaded(name, **options):
        return getattr(multimodal, name).from_pretrained(there / name, **options)

    named = {"bert": "BertModel", "gpt2": "GPT2LMHeadModel", "vit": "ViTModel", "lxmert": "LxmertModel"}
    models = {key: loaded(name) for key, name in named.items()}
    return models | {
        "classifier": loaded("Data2VecTextForSequenceClassification"),
        "ved": loaded(zoo.COMPOSITE),
        "bert_": lambda **options: loaded("BertModel", **options),
        "ids": torch.tensor([[5, 6, 7]]),
        "pixels": torch.rand(1, 3, 32, 32),
        "tokenizer": multimodal.AutoTokenizer.from_pretrained("digit-lines"),
        "pictures": multimodal.AutoImageProcessor.from_pretrained("digit-lines"),
        **{"there": there, "ONE": ONE, "np": np, "torch": torch},
    }


class Public(dict):
    """Names of an expression: those around it, else the library's."""

    def __missing__(self, name):
        return getattr(multimodal, name)


@pytest.mark.parametrize(("mistake", "sentence"), TABLE, ids=[mistake for mistake, _ in TABLE])
def test_a_mistake_is_told_what_it_is(around, mistake, sentence):
    with pytest.raises(ValueError, match=r".") as caught:
        eval(mistake, {"__builtins__": {}}, Public(around))
    assert sentence in str(caught.value)
    assert str(caught.value).count("\n") < 60
    assert len(str(caught.value).splitlines()[0]) < 500


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_a_slip_is_told_which_one_was_meant(name):
    with pytest.raises(AttributeError) as caught:
        getattr(multimodal, name)
    assert NAMES[name] in str(caught.value)


def test_the_table_is_long():
    assert len(TABLE) + len(NAMES) >= 60
