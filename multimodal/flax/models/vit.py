"""ViT: Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale" (2021)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

from flax import linen as nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.configs.base import PretrainedConfig
from multimodal.dtypes import Types
from multimodal.flax.annotations import Tensor
from multimodal.flax.layers.attention import SelfAttention
from multimodal.flax.layers.basic import LayerNorm
from multimodal.flax.layers.encoder import PreNormBlock, Stack
from multimodal.flax.layers.heads import Pooler
from multimodal.flax.layers.mlp import MLP
from multimodal.flax.layers.patches import PatchEmbeddings
from multimodal.flax.pretrained import FlaxPretrainedModel
from multimodal.modeling.outputs import BaseModelOutputWithPooling, Values
from multimodal.modeling.structures import NetworkOutput
from multimodal.specs import vit as specs


class ViTNetwork(nn.Module):
    """Patches, an encoder, a normalisation, and where it is wanted a pooler."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.embeddings = PatchEmbeddings(
            config.num_channels, grid=config.grid_shape, patch=config.patch_shape, hidden_size=config.hidden_size,
            masked="mask_token" in self.parts, distilled="distillation_token" in config.special_tokens,
            dropout_rate=config.hidden_dropout_prob, dtype=dtype,
        )  # fmt: skip
        self.transformer = Stack(
            [vit_block(config, layer, dtype) for layer in range(config.num_hidden_layers)], recompute=self.recompute
        )
        self.norm = LayerNorm(config.hidden_size, config.layer_norm_eps, dtype=dtype)
        self.pooler = Pooler(config.hidden_size, dtype=dtype) if "pooler" in self.parts else None

    def __call__(
        self, pixel_values, bool_masked_pos=None, head_mask=None, weights=False, states=False, train: bool = False
    ) -> NetworkOutput:
        x = self.embeddings(pixel_values, bool_masked_pos, train)
        output = self.transformer(x, head_mask=head_mask, weights=weights, states=states, train=train)
        x = self.norm(output.x)
        return output._replace(x=x, pooled=None if self.pooler is None else self.pooler(x))


def vit_block(config, layer: int, dtype) -> PreNormBlock:
    """One layer of the encoder."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    biases = dict.fromkeys(("query_bias", "key_bias", "value_bias"), config.qkv_bias)
    attention = SelfAttention(
        width, num_heads=kept_heads(config, layer), head_size=head_size, **biases,
        dropout_rate=config.attention_probs_dropout_prob, dtype=dtype, parent=None,
    )  # fmt: skip
    mlp = MLP(width, inner_size=config.intermediate_size, activation=config.hidden_act, dtype=dtype, parent=None)
    return PreNormBlock(
        width, attention, mlp=mlp, epsilon=config.layer_norm_eps, dropout_rate=config.hidden_dropout_prob, dtype=dtype,
        parent=None,
    )  # fmt: skip


class FlaxViTModel(FlaxPretrainedModel):
    """The encoder without a head on top."""

    spec = specs.ViTModel

    def __init__(
        self, config: PretrainedConfig, add_pooling_layer: bool = True, use_mask_token: bool = False, **options: Any
    ):
        parts = ("base", *(("pooler",) if add_pooling_layer else ()), *(("mask_token",) if use_mask_token else ()))
        super().__init__(config, parts=parts, **options)

    def _build(self):
        return ViTNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        pixel_values: Tensor | None = None,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
        train: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        bool_masked_pos: Tensor | None = None,
        head_mask: Tensor | None = None,
        interpolate_pos_encoding: bool | None = None,
    ) -> BaseModelOutputWithPooling | Values:
        """Arguments and outputs: `specs.vit.ViTModel`."""
        inputs = {"pixel_values": pixel_values, "bool_masked_pos": bool_masked_pos, "head_mask": head_mask}
        self._check(inputs, interpolate=interpolate_pos_encoding)
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        return self._output(return_dict, output)
