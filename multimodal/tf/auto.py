"""Auto classes of this backend."""

from __future__ import annotations

from multimodal.auto_models import AutoModelBase


class TFAutoModel(AutoModelBase):
    """The base model of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModel"


class TFAutoModelForCausalLM(AutoModelBase):
    """The causal language model of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModelForCausalLM"


class TFAutoModelForVision2Seq(AutoModelBase):
    """The image-to-text model of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModelForVision2Seq"
