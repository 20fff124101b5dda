"""LXMERT: Tan and Bansal, "LXMERT: Learning Cross-Modality Encoder Representations from Transformers" (2019)."""

from __future__ import annotations

from typing import Any, ClassVar

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
class LxmertConfig(PretrainedConfig):
    """Configuration of LXMERT; the defaults are those of unc-nlp/lxmert-base-uncased.

    `l_layers`, `r_layers` and `x_layers` count the layers of the language, object relationship and cross-modality
    encoders. A `task_*` field that is false takes that loss out of pre-training; `task_qa` and `task_obj_predict` take
    the head with it, and `visual_*_loss` one of the predictions about objects.
    """

    model_type: ClassVar[str] = "lxmert"
    stacks: ClassVar[tuple[str, ...]] = ("l_layers", "r_layers", "x_layers")

    vocab_size: int = 30522
    hidden_size: int = 768
    num_attention_heads: int = 12
    num_qa_labels: int = 9500
    num_object_labels: int = 1600
    num_attr_labels: int = 400
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    l_layers: int = 9
    x_layers: int = 5
    r_layers: int = 5
    visual_feat_dim: int = 2048
    visual_pos_dim: int = 4
    visual_loss_normalizer: float = 6.67
    task_matched: bool = True
    task_mask_lm: bool = True
    task_obj_predict: bool = True
    task_qa: bool = True
    visual_obj_loss: bool = True
    visual_attr_loss: bool = True
    visual_feat_loss: bool = True

    def validate(self) -> None:
        super().validate()
        expect_positive(
            self,
            *("vocab_size", "hidden_size", "num_attention_heads", "num_qa_labels", "num_object_labels"),
            *("num_attr_labels", "intermediate_size", "max_position_embeddings", "type_vocab_size"),
            *("l_layers", "x_layers", "r_layers", "visual_feat_dim", "visual_pos_dim"),
        )
        expect_heads(self, "hidden_size", "num_attention_heads")
        expect(self, "hidden_act", ACTIVATIONS)
        expect_rate(self, "hidden_dropout_prob", "attention_probs_dropout_prob")
        if not self.tie_word_embeddings:
            raise ValueError("tie_word_embeddings: expected True (LXMERT's language head has no matrix of its own)")
        if self.pruned_heads:
            raise ValueError(
                f"pruned_heads: expected none (LXMERT's three encoders number their layers apart), got {self.pruned_heads}"
            )

    @property
    def num_hidden_layers(self) -> dict[str, int]:
        """Layers of each encoder, under the published names."""
        return {"vision": self.r_layers, "cross_encoder": self.x_layers, "language": self.l_layers}

    @num_hidden_layers.setter
    def num_hidden_layers(self, value: dict[str, int]) -> None:
        """A `config.json` repeats what the three fields say; ValueError for anything else."""
        if value != self.num_hidden_layers:
            expected = f"expected {self.num_hidden_layers}, which follows from r_layers, x_layers and l_layers"
            raise ValueError(f"num_hidden_layers: {expected}, got {value!r}")

    @classmethod
    def _resolve(cls, overrides: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Where one of the counts is replaced, what the file repeats of them is of the past."""
        if overrides.keys() & {"l_layers", "r_layers", "x_layers"}:
            values.pop("num_hidden_layers", None)
        return super()._resolve(overrides, values)
