"""Auto classes of this backend."""

from __future__ import annotations

from multimodal.auto_models import AutoModelBase


class TFAutoModel(AutoModelBase):
    """The base model of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModel"


class TFAutoModelForCausalLM(AutoModelBase):
    """The causal language model of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModelForCausalLM"


class TFAutoModelForMaskedLM(AutoModelBase):
    """The masked language model of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModelForMaskedLM"


class TFAutoModelForSequenceClassification(AutoModelBase):
    """The sequence classifier of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModelForSequenceClassification"


class TFAutoModelForMultipleChoice(AutoModelBase):
    """The classifier of choices of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModelForMultipleChoice"


class TFAutoModelForTokenClassification(AutoModelBase):
    """The token classifier of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModelForTokenClassification"


class TFAutoModelForPreTraining(AutoModelBase):
    """The model of a checkpoint's architecture with all of its pre-training heads."""

    backend, auto_class = "tf", "AutoModelForPreTraining"


class TFAutoModelForQuestionAnswering(AutoModelBase):
    """The question answering model of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModelForQuestionAnswering"


class TFAutoModelForVision2Seq(AutoModelBase):
    """The image-to-text model of a checkpoint's architecture."""

    backend, auto_class = "tf", "AutoModelForVision2Seq"
