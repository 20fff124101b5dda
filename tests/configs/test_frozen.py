"""A frozen copy of a configuration: hashable, and made anew only where the configuration has changed since."""

import copy
import pickle

import pytest

from multimodal import GPT2Config, VisionEncoderDecoderConfig, ViTConfig
from multimodal.configs.frozen import FrozenConfig

CHANGES = {
    "a field": lambda config: setattr(config, "output_attentions", True),
    "a new attribute": lambda config: setattr(config, "of_my_own", 1),
    "an attribute that goes": lambda config: delattr(config, "kept"),
    "the type of a value": lambda config: setattr(config, "kept", 3.0),
    "an item of a dictionary": lambda config: config.id2label.update({0: "cat"}),
    "a list in a dictionary": lambda config: config.decoder.pruned_heads[1].append(3),
    "a field inside": lambda config: setattr(config.encoder, "hidden_act", "relu"),
    "a field inside by its other name": lambda config: setattr(config.decoder, "num_hidden_layers", 1),
    "another configuration inside": lambda config: setattr(config, "encoder", ViTConfig(image_size=32)),
}


@pytest.fixture
def config():
    decoder = GPT2Config(n_layer=2, is_decoder=True, add_cross_attention=True, pruned_heads={1: [0]})
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(), decoder)
    config.kept = 3
    return config


def test_a_copy_is_one_as_long_as_nothing_changes(config):
    frozen = FrozenConfig(config)
    assert frozen.is_copy_of(config)
    assert frozen.is_copy_of(copy.deepcopy(config))
    config.kept = int("3")
    config.name_or_path = "".join(list(config.name_or_path))
    assert frozen.is_copy_of(config)


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_noticed(config, what):
    frozen = FrozenConfig(config)
    CHANGES[what](config)
    assert not frozen.is_copy_of(config)
    assert FrozenConfig(config).is_copy_of(config)
    assert frozen != FrozenConfig(config)


def test_a_configuration_inside_is_frozen_once(config):
    frozen = FrozenConfig(config)
    assert frozen.encoder is frozen.encoder
    assert frozen.encoder == FrozenConfig(config.encoder)
    with pytest.raises(AttributeError, match="frozen"):
        frozen.encoder.hidden_size = 1


def test_a_frozen_copy_can_be_pickled_and_copied(config):
    frozen = FrozenConfig(config)
    again = pickle.loads(pickle.dumps(frozen))
    assert again == frozen == copy.deepcopy(frozen)
    assert hash(again) == hash(frozen)
    assert again.encoder.hidden_size == config.encoder.hidden_size
