"""Masked autoencoding: He et al., "Masked Autoencoders Are Scalable Vision Learners" (2022), section 3."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from multimodal.pt.layers.patches import Places


class Kept(NamedTuple):
    """What is left of a sequence when a part of it is hidden."""

    x: torch.Tensor
    """(batch, kept, width), in the order of the noise."""
    visible: torch.Tensor | None
    """(batch, kept), where the sequence has a mask."""
    hidden: torch.Tensor
    """(batch, positions): 1 for positions that are hidden and no padding, else 0."""
    ids_restore: torch.Tensor
    """(batch, positions): where each position stands among those kept and then those hidden."""


def hide(x, noise, keep: int, visible=None) -> Kept:  # b s d, b s, b s
    """The `keep` positions of least noise; of equal ones the first come first."""
    order = torch.argsort(noise, dim=1, stable=True)
    ids_restore = torch.argsort(order, dim=1)
    kept = order[:, :keep]
    hidden = ids_restore >= keep
    if visible is not None:
        hidden, visible = hidden & visible, visible.gather(1, kept)
    return Kept(chosen(x, kept), visible, hidden.to(x.dtype), ids_restore)


def restore(x, mask_token, ids_restore):  # b kept d, 1 1 d, b s -> b s d
    """What was kept in its place again, and the mask token in all other places."""
    filling = mask_token.expand(x.shape[0], ids_restore.shape[1] - x.shape[1], -1)
    return chosen(torch.cat([x, filling.to(x.dtype)], dim=1), ids_restore)


def chosen(x, ids):  # b s d, b n -> b n d
    """Positions of a sequence."""
    return x.gather(1, ids[..., None].expand(-1, -1, x.shape[2]))


def cut(x, patch: tuple[int, int]):  # b c h w -> b (rows columns) (height width c)
    """The values of each patch of images."""
    height, width = patch
    x = x.unflatten(3, (-1, width)).unflatten(2, (-1, height))  # b c rows height columns width
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


class Restored(nn.Module):
    """The positions of a sequence in their places, with a mask token for those that were hidden: section 3.2 of TVLT."""

    def __init__(self, grid: tuple[int, int], hidden_size: int, *, dtype=None):
        super().__init__()
        self.mask_token = nn.Parameter(torch.empty(1, 1, hidden_size, dtype=dtype))
        self.places = Places(grid, hidden_size, dtype=dtype)

    def forward(self, x, ids_restore):  # b kept d, b (rows columns) -> b (rows columns) d
        return self.places(restore(x, self.mask_token, ids_restore))
