"""RoBERTa: Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach" (2019)."""

from __future__ import annotations

from multimodal.flax.models.data2vec_text import FlaxData2VecTextForCausalLM, FlaxData2VecTextModel
from multimodal.specs import roberta as specs


class FlaxRobertaModel(FlaxData2VecTextModel):
    """The network without a head on top: called as BERT's; by its configuration padding takes no position."""

    spec = specs.RobertaModel


class FlaxRobertaForCausalLM(FlaxData2VecTextForCausalLM):
    """A causal language model: called as BERT's; the head's activation is always gelu."""

    spec = specs.RobertaForCausalLM
