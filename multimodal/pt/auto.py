"""Auto classes of this backend."""

from __future__ import annotations

from multimodal.auto_models import AutoModelBase


class AutoModel(AutoModelBase):
    """The base model of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModel"


class AutoModelForCausalLM(AutoModelBase):
    """The causal language model of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModelForCausalLM"


class AutoModelForVision2Seq(AutoModelBase):
    """The image-to-text model of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModelForVision2Seq"
