"""GPT-2: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019)."""

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
class GPT2Config(PretrainedConfig):
    """Configuration of a GPT-2 decoder; the defaults are those of the smallest published model."""

    model_type: ClassVar[str] = "gpt2"
    aliases: ClassVar[dict[str, str]] = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }
    numbers_visible: ClassVar[bool] = True

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    summary_type: str = "cls_index"
    summary_use_proj: bool = True
    summary_activation: str | None = None
    summary_proj_to_labels: bool = True
    summary_first_dropout: float = 0.1
    scale_attn_weights: bool = True
    use_cache: bool = True
    bos_token_id: int | None = 50256
    eos_token_id: int | None = 50256
    scale_attn_by_inverse_layer_idx: bool = False
    reorder_and_upcast_attn: bool = False

    def validate(self) -> None:
        super().validate()
        expect_positive(self, "vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
        if self.n_inner is not None:
            expect_positive(self, "n_inner")
        expect_heads(self, "n_embd", "n_head")
        expect(self, "activation_function", ACTIVATIONS)
        expect_rate(self, "resid_pdrop", "embd_pdrop", "attn_pdrop")

    @property
    def decodes(self) -> bool:
        return True  # whatever is_decoder says

    @property
    def inner_size(self) -> int:
        """Width of the feed-forward layer."""
        return self.n_inner if self.n_inner is not None else 4 * self.n_embd
