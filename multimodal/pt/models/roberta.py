"""RoBERTa: Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach" (2019)."""

from __future__ import annotations

from multimodal.pt.models.data2vec_text import Data2VecTextForCausalLM, Data2VecTextModel
from multimodal.specs import roberta as specs


class RobertaModel(Data2VecTextModel):
    """The network without a head on top: called as BERT's; by its configuration padding takes no position."""

    spec = specs.RobertaModel


class RobertaForCausalLM(Data2VecTextForCausalLM):
    """A causal language model: called as BERT's; the head's activation is always gelu."""

    spec = specs.RobertaForCausalLM
