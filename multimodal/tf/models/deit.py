"""DeiT: Touvron et al., "Training data-efficient image transformers & distillation through attention" (2021)."""

from __future__ import annotations

from multimodal.specs import deit as specs
from multimodal.tf.models.vit import TFViTModel


class TFDeiTModel(TFViTModel):
    """The encoder without a head on top: called as ViT's; its states have the distillation token behind the class token."""

    spec = specs.DeiTModel
