"""BERT: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019)."""

from __future__ import annotations

from typing import ClassVar

from multimodal.configs.base import (
    ACTIVATIONS,
    PretrainedConfig,
    config_class,
    expect,
    expect_heads,
    expect_padding,
    expect_positive,
    expect_rate,
)


@config_class
class BertConfig(PretrainedConfig):
    """Configuration of a BERT encoder or decoder; the defaults are those of bert-base-uncased."""

    model_type: ClassVar[str] = "bert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    position_embedding_type: str = "absolute"
    use_cache: bool = True
    classifier_dropout: float | None = None

    def validate(self) -> None:
        super().validate()
        expect_positive(
            self,
            *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
            *("max_position_embeddings", "type_vocab_size"),
        )
        expect_padding(self)
        expect_heads(self, "hidden_size", "num_attention_heads")
        expect(self, "hidden_act", ACTIVATIONS)
        expect(self, "position_embedding_type", ("absolute", "relative_key", "relative_key_query"))
        expect_rate(self, "hidden_dropout_prob", "attention_probs_dropout_prob")
