"""Short names for the annotations of public calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ParamSpec, Protocol, TypeAlias, TypeVar

import torch

from multimodal.modeling.outputs import ModelOutput

Tensor: TypeAlias = torch.Tensor
Inputs: TypeAlias = Tensor
"""The first argument of a call."""
Past: TypeAlias = tuple[tuple[Tensor, ...], ...]
Encoding: TypeAlias = ModelOutput | tuple[Tensor, ...]
"""An encoder's output."""
ObjectLabels: TypeAlias = Mapping[str, tuple[Tensor, Tensor]]
"""{kind of label: (labels, confidences)}."""

Given = ParamSpec("Given")
Output = TypeVar("Output", covariant=True)


class Call(Protocol[Given, Output]):
    """A model: calling it takes and gives what this does."""

    def forward(self, *args: Given.args, **kwargs: Given.kwargs) -> Output: ...
