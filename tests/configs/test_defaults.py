"""Every default of every configuration is the published one.

`tests/golden/neutral/defaults.json` has the signature lines of the documentation, as they are printed there.
"""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest

import multimodal
from multimodal import registry
from multimodal.configs.base import PretrainedConfig
from multimodal.generation.config import GenerationConfig

SIGNATURES = json.loads((Path(__file__).parents[1] / "golden" / "neutral" / "defaults.json").read_text())
SETTING = re.compile(r"(\w+)(?:: \w+)? = ('[^']*'|\([^)]*\)|\[[^\]]*\]|\S+)")
COMPOSITE = "VisionEncoderDecoderConfig"

# What the documentation says of the keywords that all configurations share.
COMMON = {
    "return_dict": True, "output_hidden_states": False, "output_attentions": False, "torch_dtype": None,
    "pruned_heads": {}, "tie_word_embeddings": True, "chunk_size_feed_forward": 0, "is_encoder_decoder": False,
    "is_decoder": False, "add_cross_attention": False, "cross_attention_hidden_size": None, "architectures": None,
    "id2label": {0: "LABEL_0", 1: "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "problem_type": None,
    "bos_token_id": None, "pad_token_id": None, "eos_token_id": None, "sep_token_id": None,
    "decoder_start_token_id": None, "name_or_path": "",
}  # fmt: skip

GENERATION = {
    "max_length": 20, "max_new_tokens": None, "min_length": 0, "do_sample": False, "num_beams": 1,
    "num_return_sequences": 1, "length_penalty": 1.0, "early_stopping": False, "no_repeat_ngram_size": 0,
    "repetition_penalty": 1.0, "use_cache": True, "return_dict_in_generate": False, "output_scores": False,
    "bos_token_id": None, "pad_token_id": None, "eos_token_id": None, "decoder_start_token_id": None,
    "forced_bos_token_id": None, "forced_eos_token_id": None,
    # asked of the reference (4.40.2); it says None for output_logits, and has neither min_p nor stop_strings
    "min_new_tokens": None, "max_time": None, "stop_strings": None, "num_beam_groups": 1, "diversity_penalty": 0.0,
    "penalty_alpha": None, "num_assistant_tokens": 5, "temperature": 1.0, "top_k": 50, "top_p": 1.0, "min_p": None,
    "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0, "bad_words_ids": None, "sequence_bias": None, "suppress_tokens": None,
    "begin_suppress_tokens": None, "exponential_decay_length_penalty": None, "remove_invalid_values": False,
    "renormalize_logits": False, "output_logits": False, "output_attentions": False, "output_hidden_states": False,
}  # fmt: skip


def documented(name: str) -> dict:
    """{argument: default} of a signature line, in its order."""
    return {key: ast.literal_eval(value) for key, value in SETTING.findall(SIGNATURES[name])}


def test_every_configuration_has_a_signature_line():
    assert {family.config for family in registry.FAMILIES.values()} == {*SIGNATURES, COMPOSITE}


@pytest.mark.parametrize("name", SIGNATURES)
def test_names_order_and_defaults_are_those_of_the_signature_line(name):
    parameters = inspect.signature(getattr(multimodal, name)).parameters.values()
    found = {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}
    assert list(found.items()) == list(documented(name).items())
    assert [type(value) for value in found.values()] == [type(value) for value in documented(name).values()]


@pytest.mark.parametrize("name", [name for name in SIGNATURES if name != "AlignConfig"])
def test_a_configuration_of_nothing_has_the_documented_values_and_the_common_ones(name):
    config = getattr(multimodal, name)()
    expected = COMMON | documented(name)
    if name == "Data2VecAudioConfig":
        assert expected["output_hidden_size"] is None
        expected["output_hidden_size"] = expected["hidden_size"]  # "if not defined, this defaults to *hidden-size*"
    if name == "BartConfig":  # num_labels = 3 in its signature line
        expected |= {"id2label": {i: f"LABEL_{i}" for i in range(3)}, "label2id": {f"LABEL_{i}": i for i in range(3)}}
    assert {key: getattr(config, key) for key in expected} == expected
    assert vars(config).keys() == expected.keys()


def test_the_common_keywords_are_all_of_them():
    assert vars(PretrainedConfig()) == COMMON


def test_a_composite_is_an_encoder_and_a_decoder_that_share_no_embeddings():
    config = multimodal.VisionEncoderDecoderConfig(encoder=multimodal.ViTConfig(), decoder=multimodal.GPT2Config())
    changed = {"is_encoder_decoder": True, "tie_word_embeddings": False}
    expected = COMMON | changed | {"encoder": multimodal.ViTConfig(), "decoder": multimodal.GPT2Config()}
    assert vars(config) == expected


def test_two_towers_of_nothing_are_those_of_the_documented_defaults():
    config = multimodal.AlignConfig()
    towers = {"text_config": multimodal.AlignTextConfig(), "vision_config": multimodal.AlignVisionConfig()}
    assert vars(config) == COMMON | documented("AlignConfig") | towers


def test_generation_without_settings_is_the_documented_one():
    found = {key: value for key, value in vars(GenerationConfig()).items() if key in GENERATION}
    assert found == GENERATION
    assert vars(GenerationConfig()).keys() - GENERATION.keys() == {"extras", "from_model_config", "_made"}


def test_two_labels_are_the_default():
    assert PretrainedConfig().num_labels == 2
