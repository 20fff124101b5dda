"""What BEiT takes and gives: as Data2Vec-vision, with a pooling layer unless it is not wanted."""

from __future__ import annotations

from dataclasses import replace

from multimodal.modeling.outputs import BaseModelOutputWithPooling
from multimodal.specs import data2vec_vision
from multimodal.specs.base import fields_of


class BeitModelOutputWithPooling(BaseModelOutputWithPooling):
    """As every model with a pooling layer gives it."""


BeitModel = replace(
    data2vec_vision.Data2VecVisionModel,
    name="BeitModel",
    model_type="beit",
    output=BeitModelOutputWithPooling,
    fields=fields_of(BeitModelOutputWithPooling, length="tokens"),
    parts=("base", "pooler", "mask_token"),
)
