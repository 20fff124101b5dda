"""BatchFeature and BatchEncoding: mappings that become any framework's tensors."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from multimodal.processors.arrays import to_numpy
from multimodal.processors.batch import BatchEncoding, BatchFeature, CharSpan, TokenSpan

MODULES = {"np": "numpy", "pt": "torch", "tf": "tensorflow", "jax": "jaxlib"}


@pytest.mark.parametrize("kind", MODULES)
def test_lists_become_tensors_of_each_framework(kind):
    batch = BatchFeature({"ids": [[1, 2], [3, 4]], "mask": [[1.0, 0.0], [0.5, 1.0]]}, kind)
    assert type(batch.ids).__module__.split(".")[0] in (MODULES[kind], "jax")
    assert to_numpy(batch["ids"]).tolist() == [[1, 2], [3, 4]]
    assert to_numpy(batch["ids"]).dtype == (np.int64 if kind in ("np", "pt") else np.int32)
    assert to_numpy(batch["mask"]).dtype == (np.float64 if kind == "np" else np.float32)


@pytest.mark.parametrize("kind", MODULES)
def test_lists_of_arrays_keep_their_dtype(kind):
    batch = BatchFeature({"pixels": [np.zeros((3, 2, 2), np.float32), np.ones((3, 2, 2), np.float32)]}, kind)
    assert tuple(batch.pixels.shape) == (2, 3, 2, 2)
    assert to_numpy(batch.pixels).dtype == np.float32


def test_attributes_are_fields():
    batch = BatchFeature({"ids": [1]})
    assert batch.ids == batch["ids"] == [1]
    assert dict(**batch) == {"ids": [1]}
    assert not isinstance(batch, dict)
    with pytest.raises(AttributeError, match=r"no field 'pixels'; it has ids"):
        _ = batch.pixels


def test_ragged_rows_say_what_to_do():
    with pytest.raises(ValueError, match=r"ids: expected rows of one length.*got 2, 1; texts need padding=True"):
        BatchFeature({"ids": [[1, 2], [3]]}, "np")


@pytest.mark.parametrize("value", [["text"], [None], [[1], None]])
def test_what_is_no_number_makes_no_tensor(value):
    with pytest.raises(ValueError, match="field: expected"):
        BatchFeature({"field": value}, "np")


@pytest.mark.parametrize("kind", ["torch", "", 3, True])
def test_an_unknown_framework_lists_the_accepted_ones(kind):
    with pytest.raises(ValueError, match="return_tensors: expected one of 'np', 'pt', 'tf', 'jax'"):
        BatchFeature({"ids": [[1]]}, kind)


@pytest.mark.parametrize(
    ("kind", "module", "extra"), [("pt", "torch", "pt"), ("tf", "tensorflow", "tf"), ("jax", "jax", "flax")]
)
def test_a_missing_framework_names_the_extra(monkeypatch, kind, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.numpy", None)
    with pytest.raises(ValueError, match=rf'pip install "multimodal-parity\[{extra}\]"'):
        BatchFeature({"ids": [[1]]}, kind)


def test_processors_import_no_framework():
    code = (
        "import sys\n"
        "import multimodal.processors.vit, multimodal.processors.lxmert, multimodal.processors.roberta\n"
        "loaded = {'torch', 'tensorflow', 'jax', 'keras', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_moving_casts_floating_tensors_only():
    import torch

    batch = BatchFeature({"ids": [[1]], "pixels": [[0.5]]}, "pt")
    assert batch.to("cpu", torch.float16) is batch
    assert batch.ids.dtype == torch.int64
    assert batch.pixels.dtype == torch.float16
    assert batch.to(torch.float64).pixels.dtype == torch.float64
    assert batch.to(device=torch.device("meta")).ids.device.type == "meta"


def test_moving_needs_torch_tensors():
    with pytest.raises(ValueError, match="to: expected PyTorch tensors"):
        BatchFeature({"ids": [[1]]}, "np").to("cpu")


def test_bfloat16_of_each_framework_reads_as_float32():
    import jax.numpy as jnp
    import torch

    for array in (torch.ones(2, dtype=torch.bfloat16, requires_grad=True), jnp.ones(2, jnp.bfloat16)):
        assert to_numpy(array).dtype == np.float32


def test_a_batch_can_be_copied_and_pickled(bert):
    batch = bert(["a cat", "a"], padding=True)
    for other in (pickle.loads(pickle.dumps(batch)), copy.deepcopy(batch)):
        assert other.data == batch.data
        assert other.tokens(1) == batch.tokens(1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_encodings_are_padded_as_their_rows_are(make, side):
    from multimodal.processors.bert import BertTokenizerFast

    tokenizer = make(BertTokenizerFast, padding_side=side)
    batch = tokenizer(["a photo of a cat", "a"], padding=True, return_offsets_mapping=True)
    for row in range(2):
        assert batch[row].ids == batch["input_ids"][row]
        assert batch[row].attention_mask == batch["attention_mask"][row]
        assert batch[row].offsets == batch["offset_mapping"][row]
        assert len(batch.word_ids(row)) == len(batch["input_ids"][row])
    assert batch.sequence_ids(1).count(0) == 1


def test_tokens_words_and_characters_point_at_each_other(roberta):
    text = "Who was Jim Henson?"
    batch = roberta(text)
    for position, char in enumerate(text):
        if char == " ":
            continue
        token = batch.char_to_token(position)
        span = batch.token_to_chars(token)
        assert isinstance(span, CharSpan)
        assert span.start <= position < span.end
        assert batch.token_to_word(0, token) == batch.char_to_word(position)
    words = batch.word_to_tokens(1)
    assert isinstance(words, TokenSpan)
    assert [batch.word_ids()[i] for i in range(*words)] == [1] * (words.end - words.start)
    assert text[slice(*batch.word_to_chars(1))].strip() == "was"
    assert batch.token_to_sequence(1) == 0
    assert batch.token_to_chars(0) is None
    assert batch.token_to_word(-2) == batch.token_to_word(len(batch.tokens()) - 2)
    assert batch.n_sequences == 1
    assert batch.is_fast


def test_slices_and_rows(bert):
    batch = bert(["a", "b", "c"])
    assert batch[1:]["input_ids"] == batch["input_ids"][1:]
    assert batch[0].tokens == batch.tokens(0)


def test_a_batch_made_by_hand_knows_no_tokens():
    with pytest.raises(ValueError, match="not made from texts"):
        BatchEncoding({"input_ids": [[1]]}).tokens()


def test_a_batch_axis_can_be_prepended():
    assert BatchEncoding({"input_ids": [1, 2]}, tensor_type="np", prepend_batch_axis=True).input_ids.shape == (1, 2)
