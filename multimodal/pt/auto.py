"""Auto classes of this backend."""

from __future__ import annotations

from multimodal.auto_models import AutoModelBase


class AutoModel(AutoModelBase):
    """The base model of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModel"


class AutoModelForCausalLM(AutoModelBase):
    """The causal language model of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModelForCausalLM"


class AutoModelForMaskedLM(AutoModelBase):
    """The masked language model of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModelForMaskedLM"


class AutoModelForSequenceClassification(AutoModelBase):
    """The sequence classifier of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModelForSequenceClassification"


class AutoModelForMultipleChoice(AutoModelBase):
    """The classifier of choices of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModelForMultipleChoice"


class AutoModelForTokenClassification(AutoModelBase):
    """The token classifier of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModelForTokenClassification"


class AutoModelForPreTraining(AutoModelBase):
    """The model of a checkpoint's architecture with all of its pre-training heads."""

    backend, auto_class = "pt", "AutoModelForPreTraining"


class AutoModelForQuestionAnswering(AutoModelBase):
    """The question answering model of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModelForQuestionAnswering"


class AutoModelForVision2Seq(AutoModelBase):
    """The image-to-text model of a checkpoint's architecture."""

    backend, auto_class = "pt", "AutoModelForVision2Seq"
