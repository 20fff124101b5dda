"""Embeddings of text: tokens, their types and their positions."""

from __future__ import annotations

from dataclasses import KW_ONLY

import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.basic import Dropout, Embedding, LayerNorm


class TextEmbeddings(nn.Module):
    """The sum of token, type and absolute position embeddings, normalised: Devlin et al. (2019), section 3.

    With a `padding_id`, positions count from behind it on and padding takes none: Liu et al., RoBERTa (2019), as published.
    `padding_ids` are those of tokens, positions and types whose vectors get no gradient, where there are such.
    Without a `types_count` there are no types: Sanh et al., DistilBERT (2019). `places_learn` is false for sinusoids.
    """

    vocab_size: int
    _: KW_ONLY
    positions_count: int
    types_count: int | None
    hidden_size: int
    absolute: bool
    epsilon: float
    dropout_rate: float
    dtype: Types = Types()
    padding_id: int | None = None
    padding_ids: tuple[int | None, int | None, int | None] = (None, None, None)
    places_learn: bool = True

    def setup(self):
        token, place, kind = self.padding_ids
        self.tokens = Embedding(self.vocab_size, self.hidden_size, dtype=self.dtype, padding_id=token)
        self.positions = Embedding(
            self.positions_count, self.hidden_size, dtype=self.dtype, padding_id=place, learns=self.places_learn
        )
        self.types = None
        if self.types_count is not None:
            self.types = Embedding(self.types_count, self.hidden_size, dtype=self.dtype, padding_id=kind)
        self.norm = LayerNorm(self.hidden_size, self.epsilon, dtype=self.dtype)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(
        self, input_ids, token_type_ids, position_ids, inputs_embeds, position=0, train: bool = False
    ):  # -> b s d
        x = self.tokens(input_ids) if inputs_embeds is None else jnp.asarray(inputs_embeds, self.dtype.computation)
        if self.types is not None:
            if token_type_ids is None:
                token_type_ids = jnp.zeros(x.shape[:2], jnp.int32)
            x = x + self.types(token_type_ids)
        if self.absolute:
            x = x + self.positions(self.count(input_ids, x, position) if position_ids is None else position_ids)
        return self.dropout(self.norm(x), train)

    def count(self, input_ids, x, position):  # -> b s or 1 s
        """Positions of a sequence behind `position` others, a number for all rows or (batch, 1)."""
        if self.padding_id is None:
            return count_from(position, x)
        if input_ids is None:
            return count_from(self.padding_id + 1 + position, x)
        return count_tokens(input_ids, self.padding_id, position)

    def counted(self, input_ids, x):  # -> b 1
        """How many tokens of a sequence took a position."""
        if input_ids is None:
            return jnp.full((x.shape[0], 1), x.shape[1], jnp.int32)
        return (input_ids != self.padding_id).sum(1, keepdims=True, dtype=jnp.int32)


class TokenAndPositionEmbeddings(nn.Module):
    """The sum of token and position embeddings: Radford et al. (2019). Types share the table of the tokens."""

    vocab_size: int
    _: KW_ONLY
    positions_count: int
    hidden_size: int
    dropout_rate: float
    dtype: Types = Types()

    def setup(self):
        self.tokens = Embedding(self.vocab_size, self.hidden_size, dtype=self.dtype)
        self.positions = Embedding(self.positions_count, self.hidden_size, dtype=self.dtype)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(
        self, input_ids, token_type_ids, position_ids, inputs_embeds, position=0, train: bool = False
    ):  # -> b s d
        x = self.tokens(input_ids) if inputs_embeds is None else jnp.asarray(inputs_embeds, self.dtype.computation)
        x = x + self.positions(count_from(position, x) if position_ids is None else position_ids)
        if token_type_ids is not None:
            x = x + self.tokens(token_type_ids)
        return self.dropout(x, train)


def count_from(position, x):  # -> 1 s or b s
    """Positions of the sequence `x` (batch, length, ...), of which the first is `position`, a number or (batch, 1)."""
    return position + jnp.arange(x.shape[1])[None]


def count_tokens(input_ids, padding_id: int, position):  # b s -> b s
    """Positions behind `padding_id`; padding has that position itself and does not count."""
    real = jnp.asarray(input_ids != padding_id, jnp.int32)
    return (position + real.cumsum(1)) * real + padding_id
