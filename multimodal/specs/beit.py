"""What BEiT takes and gives: as Data2Vec-vision, with a pooling layer unless it is not wanted."""

from __future__ import annotations

from dataclasses import replace

from multimodal.modeling.outputs import BaseModelOutputWithPooling
from multimodal.specs import data2vec_vision


class BeitModelOutputWithPooling(BaseModelOutputWithPooling):
    """Under its published name."""


BeitModel = replace(
    data2vec_vision.Data2VecVisionModel,
    name="BeitModel",
    model_type="beit",
    output=BeitModelOutputWithPooling,
    parts=("base", "pooler", "mask_token"),
)
