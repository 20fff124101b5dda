"""Configurations of BART's decoder and of TrOCR's: whose numbers count, and what no decoder can be made of."""

import pytest

from multimodal import BartConfig, TrOCRConfig

SMALL = {"d_model": 8, "decoder_layers": 3, "decoder_attention_heads": 4, "vocab_size": 20}


def test_the_decoder_s_layers_and_heads_are_counted_whatever_the_encoder_has():
    config = BartConfig(**SMALL, encoder_layers=1, encoder_attention_heads=2)
    assert (config.num_hidden_layers, config.num_attention_heads) == (1, 2)  # as published
    assert (config.layers_and_heads, config.layer_counts()) == ((3, 4), {"decoder_layers": 3})
    pruned = BartConfig(**SMALL, encoder_layers=1, encoder_attention_heads=2, pruned_heads={2: [3]})
    assert pruned.pruned_heads == {2: [3]}
    with pytest.raises(ValueError, match="pruned_heads: expected layers from -3 to 2 and heads from 0 to 3"):
        BartConfig(**SMALL, pruned_heads={3: [0]})


@pytest.mark.parametrize("config_class", [BartConfig, TrOCRConfig])
def test_a_decoder_attends_and_caches_whatever_the_flags_say(config_class):
    config = config_class(**SMALL, is_decoder=False, add_cross_attention=False, is_encoder_decoder=False)
    assert config.decodes
    assert config.attends


def test_published_spellings_of_the_decoder_s_sizes():
    config = TrOCRConfig(hidden_size=8, num_hidden_layers=3, num_attention_heads=4, initializer_range=0.5)
    assert (config.d_model, config.decoder_layers, config.decoder_attention_heads, config.init_std) == (8, 3, 4, 0.5)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_labels_come_back_from_a_file_as_many_as_they_were(count):
    config = BartConfig(**SMALL, num_labels=count)
    assert BartConfig().num_labels == 3
    assert BartConfig.from_dict(config.to_dict()).num_labels == count


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_learned_position_embeddings": False, "d_model": 3, "decoder_attention_heads": 1}, "d_model: expected at least 4"),
        ({"use_learned_position_embeddings": False, "pad_token_id": None}, "pad_token_id: expected an integer"),
        ({"decoder_attention_heads": 3}, "d_model: expected a multiple of decoder_attention_heads"),
        ({"decoder_layerdrop": 1.0}, "decoder_layerdrop: expected a number in"),
        ({"pad_token_id": 20}, "pad_token_id: expected None or an integer in"),
        ({"activation_function": "gelo"}, "activation_function: expected one of"),
        ({"decoder_ffn_dim": 0}, "decoder_ffn_dim: expected a positive integer"),
    ],
)  # fmt: skip
def test_what_no_decoder_can_be_made_of_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        TrOCRConfig(**{**SMALL, **changes})


def test_only_sinusoidal_positions_skip_padding():
    assert not TrOCRConfig().skips_padding
    assert not BartConfig().skips_padding
    assert TrOCRConfig(use_learned_position_embeddings=False).skips_padding
