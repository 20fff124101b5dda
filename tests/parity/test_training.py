"""The update rules of training steps, held to values computed by hand."""

import numpy as np
import pytest

from multimodal.parity.training import train


class Held:
    """A model of one number."""

    def __init__(self):
        self.tensors = {"w": np.array([1.0])}

    def _fetch(self):
        return dict(self.tensors)

    def _load(self, pairs):
        self.tensors.update(pairs)


def after(steps, gradients, optimizer):
    """The number after some steps whose gradients are given."""
    model, waiting = Held(), iter(gradients)
    train(model, lambda: {"w": np.array([next(waiting)])}, steps, optimizer)
    return float(model.tensors["w"][0])


def test_gradient_descent_keeps_its_momentum():
    settings = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.5}
    assert after(1, [2.0], settings) == pytest.approx(1 - 0.1 * 2)
    assert after(2, [2.0, 4.0], settings) == pytest.approx(1 - 0.1 * 2 - 0.1 * (0.5 * 2 + 4))


def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient():
    for gradient in (1e-3, 7.0):
        assert after(1, [gradient], {"name": "adam", "learning_rate": 0.1, "epsilon": 0.0}) == pytest.approx(0.9)


def test_adam_is_kingma_and_ba_s_algorithm():
    settings = {"name": "adam", "learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.0}
    first, second = (0.5 * 0.5 * 2 + 0.5 * 4) / (1 - 0.25), (0.75 * 0.25 * 4 + 0.25 * 16) / (1 - 0.5625)
    assert after(2, [2.0, 4.0], settings) == pytest.approx(0.9 - 0.1 * first / np.sqrt(second))
