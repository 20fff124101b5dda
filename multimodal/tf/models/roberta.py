"""RoBERTa: Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach" (2019)."""

from __future__ import annotations

from multimodal.specs import roberta as specs
from multimodal.tf.models.data2vec_text import TFData2VecTextForCausalLM, TFData2VecTextModel


class TFRobertaModel(TFData2VecTextModel):
    """The network without a head on top: called as BERT's; by its configuration padding takes no position."""

    spec = specs.RobertaModel


class TFRobertaForCausalLM(TFData2VecTextForCausalLM):
    """A causal language model: called as BERT's; the head's activation is always gelu."""

    spec = specs.RobertaForCausalLM
