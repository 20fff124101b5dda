"""Auto classes of this backend."""

from __future__ import annotations

from multimodal.auto_models import AutoModelBase


class FlaxAutoModel(AutoModelBase):
    """The base model of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModel"


class FlaxAutoModelForCausalLM(AutoModelBase):
    """The causal language model of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModelForCausalLM"


class FlaxAutoModelForVision2Seq(AutoModelBase):
    """The image-to-text model of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModelForVision2Seq"
