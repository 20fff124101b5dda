"""What DeiT takes and gives: as ViT, with a second special token."""

from __future__ import annotations

from dataclasses import replace

from multimodal.specs import vit

DeiTModel = replace(vit.ViTModel, name="DeiTModel", model_type="deit")
