"""Data2Vec for text: Baevski et al., "data2vec: A General Framework for Self-supervised Learning in Speech, Vision and
Language" (2022)."""

from __future__ import annotations

from typing import ClassVar

from multimodal.configs.base import (
    ACTIVATIONS,
    PretrainedConfig,
    config_class,
    expect,
    expect_heads,
    expect_positive,
    expect_rate,
)


@config_class
class Data2VecTextConfig(PretrainedConfig):
    """Configuration of a Data2Vec-text encoder or decoder.

    Of `max_position_embeddings` as many are free as lie behind `pad_token_id`: positions count from there on.
    """

    model_type: ClassVar[str] = "data2vec-text"
    skips_padding: ClassVar[bool] = True

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
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | None = 2
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
        expect_heads(self, "hidden_size", "num_attention_heads")
        expect(self, "hidden_act", ACTIVATIONS)
        expect(self, "position_embedding_type", ("absolute", "relative_key", "relative_key_query"))
        expect_rate(self, "hidden_dropout_prob", "attention_probs_dropout_prob")
        if self.classifier_dropout is not None:
            expect_rate(self, "classifier_dropout")
        most = min(self.vocab_size, self.max_position_embeddings - 1)
        if not isinstance(self.pad_token_id, int) or not 0 <= self.pad_token_id < most:
            raise ValueError(
                f"pad_token_id: expected an integer in [0, {most}), below vocab_size and with positions behind it, "
                f"got {self.pad_token_id!r}"
            )

    @property
    def head_dropout(self) -> float:
        """The rate of the classification heads: `classifier_dropout`, else that of the network."""
        return self.hidden_dropout_prob if self.classifier_dropout is None else self.classifier_dropout
