"""ALIGN's configurations: what the scaling of EfficientNet makes of them, and what no model can be built from."""

import json

import pytest

from multimodal import AlignConfig, AlignTextConfig, AlignVisionConfig, AutoConfig

SMALL = {
    "width_coefficient": 0.5, "depth_coefficient": 0.3, "in_channels": [32, 16], "out_channels": [16, 24],
    "kernel_sizes": [3, 5], "strides": [1, 2], "num_block_repeats": [1, 4], "expand_ratios": [1, 6],
}  # fmt: skip


def test_channels_and_repeats_are_those_of_efficientnet_b7():
    """Tan and Le (2019): width 2.0, depth 3.1; 55 blocks in stages of 4, 7, 7, 10, 10, 13 and 4."""
    config = AlignVisionConfig()
    assert config.stem_channels == 64
    assert [config.round_repeats(r) for r in config.num_block_repeats] == [4, 7, 7, 10, 10, 13, 4]
    firsts = [block for block in config.blocks if not block.is_repeat]
    assert [block.outputs for block in firsts] == [32, 48, 80, 160, 224, 384, 640]
    assert [block.stride for block in firsts] == [1, 2, 2, 2, 1, 2, 1]
    assert all(block.stride == 1 and block.inputs == block.outputs for block in config.blocks if block.is_repeat)
    assert (len(config.blocks), config.last_channels, config.num_hidden_layers) == (55, 640, 64)


def test_channels_lose_no_more_than_a_tenth_to_rounding():
    config = AlignVisionConfig(**SMALL)
    assert [config.round_filters(channels) for channels in (16, 24, 40, 38, 200)] == [8, 16, 24, 24, 104]


def test_a_strided_convolution_is_padded_behind_unless_the_block_is_listed():
    uneven, even = (AlignVisionConfig(**SMALL, depthwise_padding=listed).blocks for listed in ([], [1]))
    assert [block.padding for block in uneven] == [(1, 1), (1, 2), (2, 2)]
    assert [block.padding for block in even] == [(1, 1), (2, 2), (2, 2)]


def test_later_blocks_are_dropped_more_often():
    rates = [block.drop_rate for block in AlignVisionConfig(**SMALL, drop_connect_rate=0.3).blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize(("pixels", "cells"), [(4, [2, 2, 1, 1]), (7, [3, 3, 1, 1]), (8, [4, 4, 2, 2])])
def test_cells_behind_each_block(pixels, cells):
    config = AlignVisionConfig(**SMALL)
    assert config.grid(pixels) == cells
    assert config.smallest_image == 4
    assert min(config.grid(3)) < 1


def test_towers_are_configurations_or_dictionaries_of_them(tmp_path):
    vision = AlignVisionConfig(**SMALL)
    values = {"vision_config": {**SMALL, "model_type": "align_vision_model"}, "projection_dim": 16}
    made = AlignConfig.from_text_vision_configs(AlignTextConfig(vocab_size=40), vision, projection_dim=16)
    assert made.vision_config is vision
    assert AlignConfig(**values).vision_config == vision
    assert vision.last_channels == 16
    made.save_pretrained(tmp_path)
    again = AutoConfig.from_pretrained(tmp_path)
    assert again == made
    assert again.text_config.vocab_size == 40
    assert AlignVisionConfig.from_pretrained(tmp_path) == vision
    assert AlignTextConfig.from_pretrained(tmp_path).vocab_size == 40


@pytest.mark.parametrize(
    ("cls", "values", "words"),
    [
        (AlignConfig, {"projection_dim": 512}, "projection_dim: expected 640, .* got 512"),
        (AlignConfig, {"text_config": 3}, "text_config: expected an AlignTextConfig or a dictionary of one, got int"),
        (AlignConfig, {"text_config": {"model_type": "bert"}}, "text_config: expected model_type 'align_text_model', got 'bert'"),
        (AlignConfig, {"vision_config": {"strides": [1, 2]}}, r"vision_config: strides: expected a positive integer for each of 7"),
        (AlignConfig, {"vision_config": AlignTextConfig()}, "vision_config: expected an AlignVisionConfig"),
        (AlignConfig, {"temperature_init_value": 0.0}, "temperature_init_value: expected a number above 0, got 0"),
        (AlignTextConfig, {"hidden_size": 100}, "hidden_size: expected a multiple of num_attention_heads"),
        (AlignTextConfig, {"add_cross_attention": True}, "add_cross_attention: expected False"),
        (AlignVisionConfig, {"pooling_type": "median"}, "pooling_type: expected one of 'mean', 'max', got 'median'"),
        (AlignVisionConfig, {"strides": [1, 2, 2, 2, 1, 3, 1]}, "strides: expected 1 or 2 for each stage"),
        (AlignVisionConfig, {"kernel_sizes": [3, 3, 4, 3, 5, 5, 3]}, "kernel_sizes: expected odd numbers from 3 on"),
        (AlignVisionConfig, {"in_channels": [32, 16, 24, 40, 80, 112, 500]}, r"in_channels: expected .*192\], got"),
        (AlignVisionConfig, {"num_block_repeats": [1, 2, 2, 0, 3, 4, 1]}, "num_block_repeats: expected a positive integer"),
        (AlignVisionConfig, {"expand_ratios": []}, "expand_ratios: expected a positive integer for each of 7 stages"),
        (AlignVisionConfig, {"batch_norm_momentum": 1.5}, r"batch_norm_momentum: expected a number in \[0, 1\), got 1.5"),
        (AlignVisionConfig, {"depth_coefficient": 1e300}, "depth_coefficient: expected a number above 0, at most 1024"),
        (AlignVisionConfig, {"width_coefficient": 0}, "width_coefficient: expected a number above 0"),
    ],
)  # fmt: skip
def test_what_no_model_can_be_built_from_is_named(cls, values, words):
    with pytest.raises(ValueError, match=words):
        cls(**values)


def test_the_published_depth_of_a_file_has_to_be_that_of_its_repeats(tmp_path):
    values = {**AlignVisionConfig().to_dict(), "num_hidden_layers": 64}
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert AlignVisionConfig.from_pretrained(tmp_path).num_hidden_layers == 64
    assert AlignVisionConfig.from_pretrained(tmp_path, num_block_repeats=[1] * 7).num_hidden_layers == 28
    (tmp_path / "config.json").write_text(json.dumps({**values, "num_hidden_layers": 12}))
    with pytest.raises(
        ValueError, match=r"num_hidden_layers: expected 64, which follows from num_block_repeats, got 12"
    ):
        AlignVisionConfig.from_pretrained(tmp_path)
