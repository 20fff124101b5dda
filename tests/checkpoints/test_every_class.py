"""A checkpoint of any class goes through every format, one after the other, and comes back the same."""

import goldens
import numpy as np
import pytest
from safetensors.numpy import save_file

from multimodal import specs
from multimodal.checkpoints import names
from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.folder import open_folder
from multimodal.parity import draw
from multimodal.parity.cases import cases_of


@pytest.mark.parametrize("name", sorted(specs.all_specifications()))
def test_a_checkpoint_goes_through_every_format_and_comes_back(name, tmp_path):
    case = cases_of(name)[0]
    config = case.configuration()
    config.architectures = [case.class_name]
    tensors = {
        name: array.astype(np.float32) if array.dtype.kind == "f" else array
        for name, array in draw.weights(case.rows(), 3).items()
    }
    assert set(tensors) == {row.published for row in names.rows(config, case.spec)}
    here = tmp_path / "first"
    config.save_pretrained(here)
    save_file(tensors, here / "model.safetensors", metadata={"format": "pt"})
    for format in (*goldens.FORMATS, "safetensors"):
        convert(here, tmp_path / format, format, overwrite=True)
        here = tmp_path / format
        found = open_folder(here)
        assert set(found.shapes()) == set(tensors), format
        changed = [name for name, array in tensors.items() if not np.array_equal(found.read(name), array)]
        assert not changed, format
