"""Names beside the models' that scripts import: base classes, seeds, logging."""

import logging as standard
import random
import subprocess
import sys

import numpy as np
import pytest

import multimodal
from multimodal import logging, set_seed

PREFIXES = {"pt": "", "tf": "TF", "flax": "Flax"}


def test_parts_of_the_library_are_there_by_their_names():
    """`import multimodal` alone, in a process that has imported nothing of it."""
    program = (
        "import multimodal; multimodal.logging.set_verbosity_error(); multimodal.hub.find_folder('digit-lines'); "
        "print(multimodal.parity.run.__name__, {'hub', 'logging', 'parity'} <= {*dir(multimodal)})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("run True\n", "")


@pytest.mark.parametrize("backend", PREFIXES)
def test_every_model_is_of_the_published_base_class(backend):
    prefix = PREFIXES[backend]
    base = getattr(multimodal, f"{prefix}PreTrainedModel")
    for name in ("BertModel", "LxmertForPreTraining", "VisionEncoderDecoderModel"):
        assert issubclass(getattr(multimodal, prefix + name), base)
    assert not issubclass(getattr(multimodal, f"{prefix}AutoModel"), base)


def test_one_seed_is_for_everything_that_draws_by_itself():
    import keras
    import torch

    def drawn():
        return [random.random(), np.random.rand(), torch.rand(2).tolist(), keras.random.normal((2,)).numpy().tolist()]

    set_seed(5)
    first = drawn()
    assert all(a != b for a, b in zip(first, drawn()))
    set_seed(5)
    assert drawn() == first


def test_without_a_framework_python_and_numpy_are_seeded(monkeypatch):
    for name in ("keras", "torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    set_seed(5)
    first = random.random(), np.random.rand()
    set_seed(5)
    assert (random.random(), np.random.rand()) == first


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "five"])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match="seed: expected an integer from 0 to 4294967295"):
        set_seed(seed)


def test_verbosity_is_that_of_the_library_s_own_logger(caplog):
    logger, before = logging.get_logger(), standard.getLogger("multimodal").level
    try:
        for name in ("debug", "info", "warning", "error"):
            getattr(logging, f"set_verbosity_{name}")()
            assert logging.get_verbosity() == logger.level == getattr(logging, name.upper())
        with pytest.raises(ValueError, match="level: expected DEBUG"):
            logging.set_verbosity(17)
    finally:
        logger.setLevel(before)
