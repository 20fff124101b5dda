"""DeiT: Touvron et al., "Training data-efficient image transformers & distillation through attention" (2021)."""

from __future__ import annotations

from typing import ClassVar

from multimodal.configs.base import config_class
from multimodal.configs.vit import ViTConfig


@config_class
class DeiTConfig(ViTConfig):
    """Configuration of a data-efficient transformer; the defaults are ViT's and facebook/deit-base-distilled-patch16-224's."""

    model_type: ClassVar[str] = "deit"
    special_tokens: ClassVar[tuple[str, ...]] = ("class_token", "distillation_token")
