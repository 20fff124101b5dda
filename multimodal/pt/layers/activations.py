"""Activations by their published names. No default of a framework is used: the kind of gelu is always said."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": partial(nn.functional.gelu, approximate="none"),
    "gelu_new": partial(nn.functional.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(nn.functional.gelu, approximate="tanh"),
    "mish": nn.functional.mish,
    "relu": nn.functional.relu,
    "selu": nn.functional.selu,
    "sigmoid": torch.sigmoid,
    "silu": nn.functional.silu,
    "swish": nn.functional.silu,
    "tanh": torch.tanh,
}
