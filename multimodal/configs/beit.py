"""BEiT: Bao et al., "BEiT: BERT Pre-Training of Image Transformers" (2022)."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from multimodal.configs.base import config_class
from multimodal.configs.data2vec_vision import ImageTransformerConfig


@config_class
class BeitConfig(ImageTransformerConfig):
    """Configuration of a BEiT encoder; the defaults are the published ones.

    What is there for the published heads and for its use as a backbone is kept as it is.
    """

    model_type: ClassVar[str] = "beit"

    vocab_size: int = 8192
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    image_size: int | tuple[int, int] = 224
    patch_size: int | tuple[int, int] = 16
    num_channels: int = 3
    use_mask_token: bool = False
    use_absolute_position_embeddings: bool = False
    use_relative_position_bias: bool = False
    use_shared_relative_position_bias: bool = False
    layer_scale_init_value: float = 0.1
    drop_path_rate: float = 0.1
    use_mean_pooling: bool = True
    pool_scales: list[int] = field(default_factory=lambda: [1, 2, 3, 6])
    use_auxiliary_head: bool = True
    auxiliary_loss_weight: float = 0.4
    auxiliary_channels: int = 256
    auxiliary_num_convs: int = 1
    auxiliary_concat_input: bool = False
    semantic_loss_ignore_index: int = 255
    out_features: list[str] | None = None
    out_indices: list[int] | None = None
    add_fpn: bool = False
    reshape_hidden_states: bool = True
