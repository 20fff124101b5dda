"""What RoBERTa takes and gives: as Data2Vec-text."""

from __future__ import annotations

from dataclasses import replace

from multimodal.specs import data2vec_text

RobertaModel = replace(data2vec_text.Data2VecTextModel, name="RobertaModel", model_type="roberta")
RobertaForCausalLM = replace(data2vec_text.Data2VecTextForCausalLM, name="RobertaForCausalLM", model_type="roberta")
