"""Embeddings of text: tokens, their types and their positions."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.pt.layers.basic import Dropout, Embedding, LayerNorm


class TextEmbeddings(nn.Module):
    """The sum of token, type and absolute position embeddings, normalised: Devlin et al. (2019), section 3.

    With a `padding_id`, positions count from behind it on and padding takes none: Liu et al., RoBERTa (2019), as published.
    `padding_ids` are those of tokens, positions and types whose vectors get no gradient, where there are such.
    Without a `types_count` there are no types: Sanh et al., DistilBERT (2019). `places_learn` is false for sinusoids.
    """

    def __init__(self, vocab_size: int, *, positions_count: int, types_count: int | None, hidden_size: int,
                 absolute: bool, epsilon: float, dropout_rate: float, dtype=None, padding_id: int | None = None,
                 padding_ids=(None, None, None), places_learn: bool = True):  # fmt: skip
        super().__init__()
        self.absolute, self.padding_id = absolute, padding_id
        token, place, kind = padding_ids
        self.tokens = Embedding(vocab_size, hidden_size, dtype=dtype, padding_id=token)
        self.positions = Embedding(positions_count, hidden_size, dtype=dtype, padding_id=place, learns=places_learn)
        self.types = None if types_count is None else Embedding(types_count, hidden_size, dtype=dtype, padding_id=kind)
        self.norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.dropout = Dropout(dropout_rate)

    def forward(self, input_ids, token_type_ids, position_ids, inputs_embeds, position=0):  # -> b s d
        x = self.tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if self.types is not None:
            if token_type_ids is None:
                token_type_ids = torch.zeros(x.shape[:2], dtype=torch.long, device=x.device)
            x = x + self.types(token_type_ids)
        if self.absolute:
            x = x + self.positions(self.count(input_ids, x, position) if position_ids is None else position_ids)
        return self.dropout(self.norm(x))

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
            return x.new_full((x.shape[0], 1), x.shape[1], dtype=torch.long)
        return (input_ids != self.padding_id).sum(1, keepdim=True)


class TokenAndPositionEmbeddings(nn.Module):
    """The sum of token and position embeddings: Radford et al. (2019). Types share the table of the tokens."""

    def __init__(self, vocab_size: int, *, positions_count: int, hidden_size: int, dropout_rate: float, dtype=None):
        super().__init__()
        self.tokens = Embedding(vocab_size, hidden_size, dtype=dtype)
        self.positions = Embedding(positions_count, hidden_size, dtype=dtype)
        self.dropout = Dropout(dropout_rate)

    def forward(self, input_ids, token_type_ids, position_ids, inputs_embeds, position=0):  # -> b s d
        x = self.tokens(input_ids) if inputs_embeds is None else inputs_embeds
        x = x + self.positions(count_from(position, x) if position_ids is None else position_ids)
        if token_type_ids is not None:
            x = x + self.tokens(token_type_ids)
        return self.dropout(x)


def count_from(position, x):  # -> 1 s or b s
    """Positions of the sequence `x` (batch, length, ...), of which the first is `position`, a number or (batch, 1)."""
    return position + torch.arange(x.shape[1], device=x.device)[None]


def count_tokens(input_ids, padding_id: int, position):  # b s -> b s
    """Positions behind `padding_id`; padding has that position itself and does not count."""
    real = (input_ids != padding_id).to(torch.long)
    return (position + real.cumsum(1)) * real + padding_id
