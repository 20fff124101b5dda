"""Tensors of BEiT: Data2Vec-vision's network under a prefix of its own."""

from __future__ import annotations

from multimodal.checkpoints.names.base import Table
from multimodal.checkpoints.names.data2vec_vision import IGNORED, KERAS, network

HEADS = (
    r"(lm_head|classifier|layernorm)\.(weight|bias)",
    r"(decode_head|auxiliary_head)\..*",
    r"fpn[12]\.\d+\..*",
)
"""Of published classes that are not here: masked patches, images, segmentation."""


def table(config) -> Table:
    """Every tensor of the family."""
    return Table(prefix="beit", base=tuple(network(config)), others=HEADS, ignored=IGNORED, keras=KERAS)
