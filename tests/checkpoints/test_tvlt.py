"""TVLT's checkpoints, which are published in PyTorch's formats alone, go into every format and come back the same."""

import goldens
import numpy as np
import pytest
from safetensors.numpy import save_file

from multimodal import specs
from multimodal.checkpoints import names
from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.folder import open_folder
from multimodal.parity import draw
from multimodal.parity.cases import case_named


@pytest.mark.parametrize("format", goldens.FORMATS)
@pytest.mark.parametrize("case", ["tvlt-pretraining", "tvlt-matching", "tvlt-classification"])
def test_a_checkpoint_goes_into_every_format_and_back(case, format, tmp_path):
    case = case_named(case)
    config = case.configuration()
    config.architectures = [case.class_name]
    tensors = {name: array.astype(np.float32) for name, array in draw.weights(case.rows(), 3).items()}
    config.save_pretrained(tmp_path / "first")
    save_file(tensors, tmp_path / "first" / "model.safetensors", metadata={"format": "pt"})
    convert(tmp_path / "first", tmp_path / "other", format)
    convert(tmp_path / "other", tmp_path / "last", "safetensors")
    last = open_folder(tmp_path / "last")
    assert (
        set(last.shapes()) == set(tensors) == {row.published for row in names.rows(config, specs.of(case.class_name))}
    )
    assert all(np.array_equal(last.read(name), array) for name, array in tensors.items())
