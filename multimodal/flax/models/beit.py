"""BEiT: Bao et al., "BEiT: BERT Pre-Training of Image Transformers" (2022)."""

from __future__ import annotations

from typing import Any

from multimodal.configs.base import PretrainedConfig
from multimodal.flax.models.data2vec_vision import FlaxData2VecVisionModel
from multimodal.specs import beit as specs


class FlaxBeitModel(FlaxData2VecVisionModel):
    """The encoder without a head on top: called as Data2Vec-vision's, with a pooling layer unless it is not wanted."""

    spec = specs.BeitModel

    def __init__(self, config: PretrainedConfig, add_pooling_layer: bool = True, **options: Any):
        super().__init__(config, add_pooling_layer=add_pooling_layer, **options)
