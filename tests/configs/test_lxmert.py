"""LXMERT counts its layers in three fields; `num_hidden_layers` repeats them and can say nothing else."""

import pytest

from multimodal import LxmertConfig

PUBLISHED = {"vision": 5, "cross_encoder": 5, "language": 9}


def test_a_published_file_that_repeats_the_counts_is_read():
    assert LxmertConfig.from_dict({"num_hidden_layers": PUBLISHED}).num_hidden_layers == PUBLISHED
    fewer = LxmertConfig.from_dict({"l_layers": 9, "num_hidden_layers": PUBLISHED}, r_layers=2)
    assert fewer.num_hidden_layers == PUBLISHED | {"vision": 2}


@pytest.mark.parametrize("value", [12, PUBLISHED | {"language": 8}, {"language": 9}])
def test_a_count_that_contradicts_the_fields_is_refused(value):
    message = r"num_hidden_layers: expected \{'vision': 5, .*'language': 9\}, which follows from .*l_layers, got "
    config = LxmertConfig()
    with pytest.raises(ValueError, match=message):
        config.num_hidden_layers = value
    with pytest.raises(ValueError, match=message):
        LxmertConfig.from_dict({"num_hidden_layers": value})
    assert config.num_hidden_layers == PUBLISHED
