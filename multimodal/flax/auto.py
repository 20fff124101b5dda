"""Auto classes of this backend."""

from __future__ import annotations

from multimodal.auto_models import AutoModelBase


class FlaxAutoModel(AutoModelBase):
    """The base model of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModel"


class FlaxAutoModelForCausalLM(AutoModelBase):
    """The causal language model of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModelForCausalLM"


class FlaxAutoModelForMaskedLM(AutoModelBase):
    """The masked language model of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModelForMaskedLM"


class FlaxAutoModelForSequenceClassification(AutoModelBase):
    """The sequence classifier of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModelForSequenceClassification"


class FlaxAutoModelForMultipleChoice(AutoModelBase):
    """The classifier of choices of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModelForMultipleChoice"


class FlaxAutoModelForTokenClassification(AutoModelBase):
    """The token classifier of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModelForTokenClassification"


class FlaxAutoModelForPreTraining(AutoModelBase):
    """The model of a checkpoint's architecture with all of its pre-training heads."""

    backend, auto_class = "flax", "AutoModelForPreTraining"


class FlaxAutoModelForQuestionAnswering(AutoModelBase):
    """The question answering model of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModelForQuestionAnswering"


class FlaxAutoModelForVision2Seq(AutoModelBase):
    """The image-to-text model of a checkpoint's architecture."""

    backend, auto_class = "flax", "AutoModelForVision2Seq"
