"""What stands on a network: poolers, language modelling heads and classifiers."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.pt.layers.activations import ACTIVATIONS
from multimodal.pt.layers.basic import Dropout, LayerNorm, Linear
from multimodal.pt.products import linear


class Pooler(nn.Module):
    """A projection of the first position, through tanh: Devlin et al. (2019), section 3."""

    def __init__(self, hidden_size: int, *, dtype=None):
        super().__init__()
        self.dense = Linear(hidden_size, hidden_size, dtype=dtype)

    def forward(self, x):  # b s d -> b d
        return torch.tanh(self.dense(x[:, 0]))


class LanguageHead(nn.Module):
    """Scores of every token: the product with a matrix of its own or with the token embeddings."""

    def __init__(self, hidden_size: int, vocab_size: int, *, tied: bool, dtype=None):
        super().__init__()
        self.projection = None if tied else Linear(hidden_size, vocab_size, bias=False, dtype=dtype)

    def forward(self, x, embeddings):  # b s d, v d -> b s v
        return linear(x, embeddings if self.projection is None else self.projection.weight)


class TransformedLanguageHead(nn.Module):
    """A layer and a normalisation before the scores, which have a bias: Devlin et al. (2019), section 3.1."""

    def __init__(self, hidden_size: int, vocab_size: int, *, activation: str, epsilon: float, tied: bool, dtype=None):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.dense = Linear(hidden_size, hidden_size, dtype=dtype)
        self.norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.projection = None if tied else Linear(hidden_size, vocab_size, bias=False, dtype=dtype)
        self.bias = nn.Parameter(torch.empty(vocab_size, dtype=dtype))

    def forward(self, x, embeddings):  # b s d, v d -> b s v
        x = self.norm(self.activation(self.dense(x)))
        return linear(x, embeddings if self.projection is None else self.projection.weight, self.bias)


class Classifier(nn.Module):
    """Scores of each class for every vector."""

    def __init__(self, hidden_size: int, labels_count: int, *, dropout_rate: float, dtype=None):
        super().__init__()
        self.dropout = Dropout(dropout_rate)
        self.out = Linear(hidden_size, labels_count, dtype=dtype)

    def forward(self, x):  # ... d -> ... labels
        return self.out(self.dropout(x))


class SequenceClassifier(nn.Module):
    """Scores of each class from the first position, behind a layer with tanh: Liu et al., RoBERTa (2019), as published."""

    def __init__(self, hidden_size: int, labels_count: int, *, dropout_rate: float, dtype=None):
        super().__init__()
        self.dropout = Dropout(dropout_rate)
        self.dense = Linear(hidden_size, hidden_size, dtype=dtype)
        self.out = Linear(hidden_size, labels_count, dtype=dtype)

    def forward(self, x):  # b s d -> b labels
        x = torch.tanh(self.dense(self.dropout(x[:, 0])))
        return self.out(self.dropout(x))


class MeanPooler(nn.Module):
    """The mean of all positions but the first, normalised: BEiT, as published."""

    def __init__(self, hidden_size: int, epsilon: float, *, dtype=None):
        super().__init__()
        self.norm = LayerNorm(hidden_size, epsilon, dtype=dtype)

    def forward(self, x):  # b s d -> b d
        return self.norm(x[:, 1:].mean(1))
