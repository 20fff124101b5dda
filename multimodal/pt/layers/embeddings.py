"""Embeddings of text: tokens, their types and their positions."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.pt.layers.basic import Dropout, Embedding, LayerNorm


class TextEmbeddings(nn.Module):
    """The sum of token, type and absolute position embeddings, normalised: Devlin et al. (2019), section 3.

    `padding_ids` are those of tokens, positions and types whose vectors get no gradient, where there are such.
    """

    def __init__(self, vocab_size: int, positions_count: int, types_count: int, hidden_size: int, absolute: bool,
                 epsilon: float, dropout_rate: float, dtype=None, padding_ids=(None, None, None)):  # fmt: skip
        super().__init__()
        self.absolute = absolute
        token, place, kind = padding_ids
        self.tokens = Embedding(vocab_size, hidden_size, dtype=dtype, padding_id=token)
        self.positions = Embedding(positions_count, hidden_size, dtype=dtype, padding_id=place)
        self.types = Embedding(types_count, hidden_size, dtype=dtype, padding_id=kind)
        self.norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.dropout = Dropout(dropout_rate)

    def forward(self, input_ids, token_type_ids, position_ids, inputs_embeds, position=0):  # -> b s d
        x = self.tokens(input_ids) if inputs_embeds is None else inputs_embeds
        if token_type_ids is None:
            token_type_ids = torch.zeros(x.shape[:2], dtype=torch.long, device=x.device)
        x = x + self.types(token_type_ids)
        if self.absolute:
            x = x + self.positions(count_from(position, x) if position_ids is None else position_ids)
        return self.dropout(self.norm(x))


class TokenAndPositionEmbeddings(nn.Module):
    """The sum of token and position embeddings: Radford et al. (2019). Types share the table of the tokens."""

    def __init__(self, vocab_size: int, positions_count: int, hidden_size: int, dropout_rate: float, dtype=None):
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


def count_from(position, x):  # -> 1 s
    """Positions of the sequence `x` (batch, length, ...), of which the first is `position`."""
    return (position + torch.arange(x.shape[1], device=x.device))[None]
