"""The rules of `generation.warping` in this backend: what is drawn from, by scores (rows, vocabulary) alone."""

from __future__ import annotations

import torch

from multimodal.generation import warping


def temperature(scores, value, least):
    return scores / value


def top_k(scores, value, least):
    return torch.where(scores >= kth_largest(scores, int(max(value, least))), scores, float("-inf"))


def top_p(scores, value, least):
    return fewest(scores, -scores, torch.softmax(scores, -1), value, least)


def min_p(scores, value, least):
    likely = torch.softmax(scores, -1)
    return keep(scores, likely >= value * likely.amax(-1, keepdim=True), least)


def typical(scores, value, least):
    logarithms = torch.log_softmax(scores, -1)
    return fewest(scores, (logarithms + entropy(logarithms)).abs(), logarithms.exp(), value, least)


def epsilon(scores, value, least):
    return keep(scores, torch.softmax(scores, -1) >= value, least)


def eta(scores, value, least):
    logarithms = torch.log_softmax(scores, -1)
    threshold = torch.clamp(value**0.5 * torch.exp(-entropy(logarithms)), max=value)
    return keep(scores, logarithms.exp() >= threshold, least)


FORMS = {
    warping.Temperature: temperature, warping.TopK: top_k, warping.TopP: top_p, warping.MinP: min_p,
    warping.Typical: typical, warping.Epsilon: epsilon, warping.Eta: eta,
}  # fmt: skip


def keep(scores, kept, least):
    """Scores in which all but what is kept, and the `least` likeliest, is impossible."""
    return torch.where(kept | (scores >= kth_largest(scores, int(least))), scores, float("-inf"))


def kth_largest(scores, count):  # -> rows 1
    return torch.topk(scores, min(count, scores.shape[-1]), dim=-1).values[:, -1:]


def entropy(logarithms):  # -> rows 1
    likely = logarithms.exp()
    return -torch.where(likely > 0, likely * torch.where(likely > 0, logarithms, 0.0), 0.0).sum(-1, keepdim=True)


def fewest(scores, keys, likely, mass, least):
    """Scores of the fewest tokens that are as likely as `mass` together, by rising keys, ties by the lowest id."""
    order = torch.argsort(keys, dim=-1, stable=True)
    likely = torch.gather(likely, -1, order)
    kept = (likely.cumsum(-1) - likely < mass) | (torch.arange(scores.shape[-1], device=scores.device) < least)
    return torch.where(torch.zeros_like(kept).scatter(-1, order, kept), scores, float("-inf"))
