"""RoBERTa: Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach" (2019)."""

from __future__ import annotations

from typing import ClassVar

from multimodal.configs.base import config_class
from multimodal.configs.data2vec_text import Data2VecTextConfig


@config_class
class RobertaConfig(Data2VecTextConfig):
    """Configuration of a RoBERTa encoder or decoder: Data2Vec-text's fields, with a vocabulary of its own."""

    model_type: ClassVar[str] = "roberta"

    vocab_size: int = 50265
