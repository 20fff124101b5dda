"""A message never prints a whole array, list or text; and what is wrong is a ValueError whatever the value."""

import inspect
import warnings

import numpy as np
import pytest

import multimodal
from multimodal import registry
from multimodal.processors.shown import reason, shown

LONG = {
    "text": "x" * 100_000,
    "list": [0.5] * 100_000,
    "nested": [[[["deep"] * 100] * 100]],
    "texts": ["y" * 5_000] * 20,
    "array": np.linspace(0, 1, 2_000),
    "arrays": [np.linspace(0, 1, 999)] * 9,
    "dict": {"key" * 1_000: "value" * 1_000},
    "bytes": b"z" * 100_000,
    "number": 10**5_000,
}
TOKENIZER_CALLS = (
    *("__call__", "encode_plus", "batch_encode_plus", "tokenize", "decode", "batch_decode", "prepare_for_model"),
    *("truncate_sequences", "pad", "apply_chat_template", "convert_tokens_to_ids", "convert_ids_to_tokens"),
    *("add_tokens", "add_special_tokens", "prepare_seq2seq_batch", "get_special_tokens_mask"),
)
FIRST = {
    "text": "a", "batch_text_or_text_pairs": ["a"], "token_ids": [5], "sequences": [[5]], "ids": [5],
    "encoded_inputs": {"input_ids": [5]}, "conversation": [{"role": "a", "content": "b"}], "tokens": ["a"],
    "new_tokens": "<q>", "special_tokens_dict": {}, "src_texts": ["a"], "token_ids_0": [5],
}  # fmt: skip
SOUND = {name for row in registry.PROCESSORS.values() for name in row.values()}
IMAGE_PROCESSORS = [
    n for n in registry.PROCESSOR_MODULES if n.endswith(("ImageProcessor", "FeatureExtractor")) and n not in SOUND
]
IMAGE_CALLS = {
    "preprocess": {"images": np.zeros((4, 5, 3), np.uint8)},
    "resize": {"image": np.zeros((4, 5, 3), np.uint8), "size": {"height": 2, "width": 2}},
    "rescale": {"image": np.zeros((4, 5, 3), np.uint8), "scale": 0.5},
    "normalize": {"image": np.zeros((4, 5, 3), np.uint8), "mean": 0.5, "std": 0.5},
    "center_crop": {"image": np.zeros((4, 5, 3), np.uint8), "size": 2},
}


def _held(call, arguments, name, value):
    """Whether the call was refused, with a short ValueError."""
    message = ""
    try:
        call(**{**arguments, name: value})
    except ValueError as error:
        message = str(error)
    assert len(message) < 900, (name, message[:300])
    return bool(message)


@pytest.mark.parametrize("method", TOKENIZER_CALLS)
def test_a_tokenizer_s_messages_are_short(any_class, make, method):
    for value in LONG:
        _tokenizer_held(make(any_class, chat_template="{{ messages }}"), method, value)


def _tokenizer_held(tokenizer, method, value):
    call = getattr(tokenizer, method)
    signature = inspect.signature(call).parameters.values()
    parameters = [p.name for p in signature if p.kind is not p.VAR_KEYWORD]
    arguments = {parameters[0]: FIRST[parameters[0]]}
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in parameters:
            refused += _held(call, arguments, name, LONG[value])
        if any(p.kind is p.VAR_KEYWORD for p in signature) and method != "apply_chat_template":
            refused += _held(call, arguments, "unknown" * 1_000, 1)
            assert refused


@pytest.mark.parametrize("value", LONG)
@pytest.mark.parametrize(
    "name", ["pad_token", "pad_token_id", "additional_special_tokens_ids", "padding_side", "chat_template"]
)
def test_an_attribute_s_messages_are_short(any_class, make, name, value):
    tokenizer = make(any_class)

    def put(new):
        setattr(tokenizer, name, new)
        tokenizer(["a", "b c"], padding=True)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        _held(put, {}, "new", LONG[value])
    assert all(len(str(warning.message)) < 700 for warning in told)


@pytest.mark.parametrize("method", IMAGE_CALLS)
@pytest.mark.parametrize("cls", IMAGE_PROCESSORS)
def test_an_image_processor_s_messages_are_short(cls, method):
    made = getattr(multimodal, cls)
    call = getattr(made(), method)
    for value in LONG:
        for name in inspect.signature(call).parameters:
            _held(call, IMAGE_CALLS[method], name, LONG[value])
        for name in made.arguments() if method == "preprocess" else ():
            _held(made, {}, name, LONG[value])


SOUND_CALLS = {
    "Wav2Vec2FeatureExtractor.__call__": {"raw_speech": np.zeros(600, np.float32), "sampling_rate": 16000},
    "Wav2Vec2FeatureExtractor.pad": {"processed_features": {"input_values": [[0.5], [0.5, 1.0]]}},
    "TvltFeatureExtractor.__call__": {"raw_speech": np.zeros(600, np.float32), "sampling_rate": 44100},
    "TvltImageProcessor.preprocess": {"videos": np.zeros((2, 4, 5, 3), np.uint8), "size": 8, "crop_size": 8},
}


@pytest.mark.parametrize("value", LONG)
@pytest.mark.parametrize("name", SOUND_CALLS)
def test_messages_about_sound_and_videos_are_short(name, value):
    cls, _, method = name.partition(".")
    made = getattr(multimodal, cls)
    call = getattr(made(), method)
    refused = 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for argument in inspect.signature(call).parameters:
            refused += _held(call, SOUND_CALLS[name], argument, LONG[value])
        for argument in made.arguments():
            refused += _held(made, {}, argument, LONG[value])
        if method != "pad":
            refused += _held(call, SOUND_CALLS[name], "unknown" * 1_000, 1)
    assert refused > 3
    assert all(len(str(warning.message)) < 700 for warning in told)


def test_values_are_shown_by_what_tells_them_apart():
    assert shown("left") == "'left'"
    assert shown(np.zeros((2, 3), np.uint8)) == "<array of shape (2, 3), uint8>"
    assert shown(10**5_000).startswith("<integer of ")
    assert shown(True) == "True"
    assert shown(np.float32(0.5)) == repr(np.float32(0.5))
    assert len(shown(["x" * 500] * 500)) <= 120
    assert shown({"a": [1, 2]}) == "{'a': [1, 2]}"
    assert reason(ValueError("short")) == "short"
    assert len(reason(ValueError("long" * 1_000))) < 310
