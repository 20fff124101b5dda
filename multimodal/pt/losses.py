"""Losses: pure functions of logits and labels, one scalar mean each."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.pt.layers.resampling import upsampled
from multimodal.specs.data2vec_audio import MARGIN, SCALE
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


def reconstruction(predictions: torch.Tensor, values: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """Mean squared error of each position (batch, positions, numbers), mean over those that are hidden (batch, positions)."""
    each = (predictions - values.to(predictions.dtype)).square().mean(-1)
    return (each * hidden.to(each.dtype)).sum() / hidden.sum().clamp(min=1)


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


def of_frames(logits: torch.Tensor, labels: torch.Tensor, counted: torch.Tensor | None = None) -> torch.Tensor:
    """Loss of frames (batch, frames, classes): cross entropy with ids (batch, frames), or with the largest of one-hot labels;
    of one class the mean squared error. `counted` (batch, frames), where it is given, is false for frames that do not count.
    """
    if logits.shape[-1] == 1:
        errors = (logits - labels.to(logits.dtype).reshape(logits.shape))[..., 0] ** 2
        return errors.mean() if counted is None else torch.where(counted, errors, 0.0).sum() / counted.sum()
    ids = labels.argmax(-1) if labels.ndim == logits.ndim else labels
    return cross_entropy(logits, ids if counted is None else torch.where(counted, ids, -100))


def additive_margin(cosines: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """AM-softmax of cosines (batch, classes) and ids (batch,): Wang et al. (2018), equation 5."""
    chosen = torch.arange(cosines.shape[-1], device=cosines.device) == labels[:, None]
    return cross_entropy(SCALE * torch.where(chosen, cosines - MARGIN, cosines), labels)


def ctc(logits: torch.Tensor, lengths: torch.Tensor | None, labels: torch.Tensor, *, blank: int, reduction: str,
        zero_infinity: bool) -> torch.Tensor:  # fmt: skip
    """Connectionist temporal classification, in at least float32: Graves et al. (2006), section 4.

    `logits` (batch, frames, characters), of which the first `lengths` (batch,) frames count, or all; `labels` (batch, most)
    without the negative ones. "sum", or "mean" of each clip's loss by its number of labels (at least one). Where no alignment
    is possible the loss is infinite, or with `zero_infinity` zero.
    """
    counted = labels >= 0
    order = torch.argsort((~counted).to(torch.uint8), dim=1, stable=True)
    targets = torch.where(counted, labels, 0).gather(1, order)
    counts = counted.sum(1)
    scores = torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), -1)
    if lengths is None:
        lengths = torch.full_like(counts, logits.shape[1])
    each = -alignments(scores, lengths, targets, counts, blank)
    each = torch.where(each < -NEVER / 2, each, 0.0 if zero_infinity else float("inf"))
    return each.sum() if reduction == "sum" else (each / counts.clamp(min=1)).mean()


NEVER = -1e30
"""The logarithm of the probability of what cannot be: finite, so that differences of two have a value."""


def alignments(
    scores: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor, counts: torch.Tensor, blank: int
) -> torch.Tensor:
    """(batch,) logarithm of the probability of all alignments of the first `counts` (batch,) of `targets` (batch, most) with
    the first `lengths` frames: the forward variables of Graves et al., section 4.1, as logarithms."""
    states = torch.stack([torch.full_like(targets, blank), targets], -1).flatten(1)
    states = nn.functional.pad(states, (0, 1), value=blank)  # b states
    emitted = scores.gather(2, states[:, None].expand(-1, scores.shape[1], -1)).transpose(0, 1)  # s b states
    skips = states != nn.functional.pad(states, (2, 0), value=blank)[:, :-2]
    place = torch.arange(states.shape[1], device=states.device)

    def later(x, by):
        return nn.functional.pad(x, (by, 0), value=NEVER)[:, : x.shape[1]]

    final = torch.where(place < 2, emitted[0], NEVER)
    for at in range(1, emitted.shape[0]):
        ways = torch.stack([final, later(final, 1), torch.where(skips, later(final, 2), NEVER)])
        final = torch.where((at < lengths)[:, None], torch.logsumexp(ways, 0) + emitted[at], final)
    last = final.gather(1, 2 * counts[:, None])[:, 0]
    label = final.gather(1, (2 * counts - 1).clamp(min=0)[:, None])[:, 0]
    return torch.logsumexp(torch.stack([last, torch.where(counts > 0, label, NEVER)]), 0)
