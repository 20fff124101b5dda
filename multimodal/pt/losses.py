"""Losses: pure functions of logits and labels, one scalar mean each."""

from __future__ import annotations

import torch
from torch import nn


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over the labels that are not negative; logits (..., classes), labels (...)."""
    labels = torch.where(labels < 0, -100, labels)
    return nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-100)


def next_token(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each position's logits with the label of the next; (batch, length, vocab), (batch, length)."""
    return cross_entropy(logits[:, :-1], labels[:, 1:])


def shift_right(labels: torch.Tensor, pad: int, start: int) -> torch.Tensor:
    """Decoder inputs from labels (batch, length): one to the right behind the start token, negative ones as pads."""
    shifted = torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], dim=1)
    return torch.where(shifted < 0, pad, shifted)
