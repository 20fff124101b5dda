"""What stands on a network: poolers and language modelling heads."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.pt.layers.activations import ACTIVATIONS
from multimodal.pt.layers.basic import LayerNorm, Linear


class Pooler(nn.Module):
    """A projection of the first position, through tanh: Devlin et al. (2019), section 3."""

    def __init__(self, hidden_size: int, dtype=None):
        super().__init__()
        self.dense = Linear(hidden_size, hidden_size, dtype=dtype)

    def forward(self, x):  # b s d -> b d
        return torch.tanh(self.dense(x[:, 0]))


class LanguageHead(nn.Module):
    """Scores of every token: the product with a matrix of its own or with the token embeddings."""

    def __init__(self, hidden_size: int, vocab_size: int, tied: bool, dtype=None):
        super().__init__()
        self.projection = None if tied else Linear(hidden_size, vocab_size, bias=False, dtype=dtype)

    def forward(self, x, embeddings):  # b s d, v d -> b s v
        return nn.functional.linear(x, embeddings if self.projection is None else self.projection.weight)


class TransformedLanguageHead(nn.Module):
    """A layer and a normalisation before the scores, which have a bias: Devlin et al. (2019), section 3.1."""

    def __init__(self, hidden_size: int, vocab_size: int, activation: str, epsilon: float, tied: bool, dtype=None):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.dense = Linear(hidden_size, hidden_size, dtype=dtype)
        self.norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.projection = None if tied else Linear(hidden_size, vocab_size, bias=False, dtype=dtype)
        self.bias = nn.Parameter(torch.empty(vocab_size, dtype=dtype))

    def forward(self, x, embeddings):  # b s d, v d -> b s v
        x = self.norm(self.activation(self.dense(x)))
        return nn.functional.linear(x, embeddings if self.projection is None else self.projection.weight, self.bias)
