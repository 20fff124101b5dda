"""Losses: pure functions of logits and labels, one scalar mean each."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.pt.layers.resampling import upsampled
from multimodal.specs.problems import REGRESSION, SINGLE


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over the labels that are not negative; logits (..., classes), labels (...)."""
    labels = torch.where(labels < 0, -100, labels)
    return nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-100)


def pixel_cross_entropy(logits: torch.Tensor, labels: torch.Tensor, ignored: int) -> torch.Tensor:
    """Mean over the labels that are not `ignored`; logits (batch, classes, height, width), interpolated to the size of the
    labels (batch, height, width)."""
    logits = upsampled(logits, labels.shape[1:])
    return cross_entropy(logits.movedim(1, -1), torch.where(labels == ignored, -100, labels))


def each_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of every label (...), zero for a negative one; logits (..., classes)."""
    labels = torch.where(labels < 0, -100, labels)
    each = nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-100, reduction="none")
    return each.view(labels.shape)


def each_smooth_l1(predictions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over the last axis of the distance, squared and halved below one: Girshick (2015), section 2.3."""
    distance = (predictions - targets.to(predictions.dtype)).abs()
    return torch.where(distance < 1, distance * distance / 2, distance - 0.5).mean(-1)


def next_token(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each position's logits with the label of the next; (batch, length, vocab), (batch, length)."""
    return cross_entropy(logits[:, :-1], labels[:, 1:])


def shift_right(labels: torch.Tensor, pad: int, start: int) -> torch.Tensor:
    """Decoder inputs from labels (batch, length): one to the right behind the start token, negative ones as pads."""
    shifted = torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], dim=1)
    return torch.where(shifted < 0, pad, shifted)


def mean_squared_error(values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over everything; of one shape, but that one of them may lack a last axis of one."""
    return nn.functional.mse_loss(values, targets.to(values.dtype).reshape(values.shape))


def binary_cross_entropy(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Mean over every label of every row; (batch, labels) both, shares in [0, 1]."""
    return nn.functional.binary_cross_entropy_with_logits(logits, shares.to(logits.dtype))


def by_problem(problem: str, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of a sequence classifier (see `specs.problems`)."""
    if problem == REGRESSION:
        return mean_squared_error(logits, labels)
    return (cross_entropy if problem == SINGLE else binary_cross_entropy)(logits, labels)


def span(starts: torch.Tensor, ends: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Mean of two cross entropies: logits (batch, length) of the first and of the last position, and where they are.

    Positions (batch,) or (batch, 1) outside the sequence are ignored.
    """
    losses = [cross_entropy(logits, inside(at, logits)) for logits, at in ((starts, first), (ends, last))]
    return (losses[0] + losses[1]) / 2


def inside(positions: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Positions as labels (batch,): -100 for those that `logits` (batch, length) do not have."""
    positions = positions.reshape(-1)
    return torch.where(positions >= logits.shape[1], -100, positions)


def contrastive(logits: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Mean of the cross entropies of the rows and of the columns of (n, n), of which row i belongs to column i.

    The share `smoothing` of each right answer is spread over all: Szegedy et al. (2016), section 7.
    """
    own = torch.arange(logits.shape[0], device=logits.device)
    losses = [nn.functional.cross_entropy(scores, own, label_smoothing=smoothing) for scores in (logits, logits.T)]
    return (losses[0] + losses[1]) / 2
