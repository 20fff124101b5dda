"""What stands on a network: poolers, language modelling heads and classifiers."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY

import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.activations import ACTIVATIONS
from multimodal.flax.layers.basic import PRECISION, Dropout, LayerNorm, Linear

FEW = 32
"""Up to so many rows a product with a table is faster with the table on its left: XLA then reads it as it lies in memory
(measured on a CPU: 50,257 rows of 768 and 4 beams, 5.4 ms for 9.2)."""


class Pooler(nn.Module):
    """A projection of the first position, through tanh: Devlin et al. (2019), section 3."""

    hidden_size: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.dense = Linear(self.hidden_size, self.hidden_size, dtype=self.dtype)

    def __call__(self, x):  # b s d -> b d
        return jnp.tanh(self.dense(x[:, 0]))


class LanguageHead(nn.Module):
    """Scores of every token: the product with a matrix of its own or with the token embeddings."""

    hidden_size: int
    vocab_size: int
    _: KW_ONLY
    tied: bool
    dtype: Types = Types()

    def setup(self):
        if not self.tied:
            self.projection = Linear(self.hidden_size, self.vocab_size, bias=False, dtype=self.dtype)

    def __call__(self, x, embeddings):  # b s d, v d -> b s v
        return scores(x, embeddings) if self.tied else self.projection(x)


class TransformedLanguageHead(nn.Module):
    """A layer and a normalisation before the scores, which have a bias: Devlin et al. (2019), section 3.1."""

    hidden_size: int
    vocab_size: int
    _: KW_ONLY
    activation: str
    epsilon: float
    tied: bool
    dtype: Types = Types()

    def setup(self):
        self.dense = Linear(self.hidden_size, self.hidden_size, dtype=self.dtype)
        self.norm = LayerNorm(self.hidden_size, self.epsilon, dtype=self.dtype)
        if not self.tied:
            self.projection = Linear(self.hidden_size, self.vocab_size, bias=False, dtype=self.dtype)
        self.bias = self.param("bias", nn.initializers.zeros, (self.vocab_size,), self.dtype.parameters)

    def __call__(self, x, embeddings):  # b s d, v d -> b s v
        x = self.norm(ACTIVATIONS[self.activation](self.dense(x)))
        x = scores(x, embeddings) if self.tied else self.projection(x)
        return x + jnp.asarray(self.bias, x.dtype)


class Classifier(nn.Module):
    """Scores of each class for every vector."""

    hidden_size: int
    labels_count: int
    _: KW_ONLY
    dropout_rate: float
    dtype: Types = Types()

    def setup(self):
        self.dropout = Dropout(self.dropout_rate)
        self.out = Linear(self.hidden_size, self.labels_count, dtype=self.dtype)

    def __call__(self, x, train: bool = False):  # ... d -> ... labels
        return self.out(self.dropout(x, train))


class SequenceClassifier(nn.Module):
    """Scores of each class from the first position, behind a layer with tanh: Liu et al., RoBERTa (2019), as published."""

    hidden_size: int
    labels_count: int
    _: KW_ONLY
    dropout_rate: float
    dtype: Types = Types()

    def setup(self):
        self.dropout = Dropout(self.dropout_rate)
        self.dense = Linear(self.hidden_size, self.hidden_size, dtype=self.dtype)
        self.out = Linear(self.hidden_size, self.labels_count, dtype=self.dtype)

    def __call__(self, x, train: bool = False):  # b s d -> b labels
        x = jnp.tanh(self.dense(self.dropout(x[:, 0], train)))
        return self.out(self.dropout(x, train))


class MeanPooler(nn.Module):
    """The mean of all positions but the first, normalised: BEiT, as published."""

    hidden_size: int
    epsilon: float
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.norm = LayerNorm(self.hidden_size, self.epsilon, dtype=self.dtype)

    def __call__(self, x):  # b s d -> b d
        return self.norm(x[:, 1:].mean(1))


def scores(x, embeddings):  # b s d, v d -> b s v
    """Inner products with every row of a table."""
    table = jnp.asarray(embeddings, x.dtype)
    if not isinstance(count := math.prod(x.shape[:2]), int) or count > FEW:  # also where a program leaves it open
        return jnp.einsum("bsd,vd->bsv", x, table, precision=PRECISION)
    return jnp.einsum("vd,bsd->vbs", table, x, precision=PRECISION).transpose(1, 2, 0)
