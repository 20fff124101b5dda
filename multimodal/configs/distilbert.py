"""DistilBERT: Sanh et al., "DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter" (2019)."""

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
class DistilBertConfig(PretrainedConfig):
    """Configuration of a DistilBERT encoder or decoder; the defaults are those of distilbert-base-uncased.

    `sinusoidal_pos_embds`: positions are sinusoids, which are not trained. The rates of the published heads for questions
    and classes are kept as they are. `use_cache`, which the published encoder does not have, is taken for decoders.
    """

    model_type: ClassVar[str] = "distilbert"
    aliases: ClassVar[dict[str, str]] = {
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    }

    vocab_size: int = 30522
    max_position_embeddings: int = 512
    sinusoidal_pos_embds: bool = False
    n_layers: int = 6
    n_heads: int = 12
    dim: int = 768
    hidden_dim: int = 3072
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    initializer_range: float = 0.02
    qa_dropout: float = 0.1
    seq_classif_dropout: float = 0.2
    pad_token_id: int | None = 0

    @classmethod
    def accepted_names(cls) -> set[str]:
        return super().accepted_names() | {"use_cache"}

    def validate(self) -> None:
        super().validate()
        expect_positive(self, "vocab_size", "max_position_embeddings", "n_layers", "n_heads", "dim", "hidden_dim")
        expect_padding(self)
        expect_heads(self, "dim", "n_heads")
        expect(self, "activation", ACTIVATIONS)
        expect_rate(self, "dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout")
