"""Tensors of DeiT."""

from __future__ import annotations

from multimodal.checkpoints.names.base import Table
from multimodal.checkpoints.names.vit import image_table


def table(config) -> Table:
    """Every tensor of the family."""
    others = (r"(cls_|distillation_)?classifier\.(weight|bias)", r"decoder\.0\.(weight|bias)")
    return image_table(config, "deit", others)
