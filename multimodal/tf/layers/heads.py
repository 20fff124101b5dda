"""What stands on a network: poolers, language modelling heads and classifiers."""

from __future__ import annotations

import tensorflow as tf

from multimodal.tf.layers.activations import ACTIVATIONS
from multimodal.tf.layers.basic import Dropout, Layer, LayerNorm, Linear

FEW = 32
"""Up to so many rows a product with a table is faster with the table on its left: XLA then reads it as it lies in memory
(measured on a CPU: 50,257 rows of 768 and 4 beams, 6.2 ms for 10.7)."""


class Pooler(Layer):
    """A projection of the first position, through tanh: Devlin et al. (2019), section 3."""

    def __init__(self, hidden_size: int, *, dtype=None, name="pooler"):
        super().__init__(dtype=dtype, name=name)
        self.dense = Linear(hidden_size, hidden_size, dtype=dtype, name="dense")

    def call(self, x):  # b s d -> b d
        return tf.tanh(self.dense(x[:, 0]))


class LanguageHead(Layer):
    """Scores of every token: the product with a matrix of its own or with the token embeddings."""

    def __init__(self, hidden_size: int, vocab_size: int, *, tied: bool, dtype=None, name="head"):
        super().__init__(dtype=dtype, name=name)
        self.projection = None if tied else Linear(hidden_size, vocab_size, bias=False, dtype=dtype, name="projection")

    def call(self, x, embeddings):  # b s d, v d -> b s v
        return scores(x, embeddings) if self.projection is None else self.projection(x)


class TransformedLanguageHead(Layer):
    """A layer and a normalisation before the scores, which have a bias: Devlin et al. (2019), section 3.1."""

    def __init__(
        self,
        hidden_size: int,
        vocab_size: int,
        *,
        activation: str,
        epsilon: float,
        tied: bool,
        dtype=None,
        name="head",
    ):
        super().__init__(dtype=dtype, name=name)
        self.activation = ACTIVATIONS[activation]
        self.dense = Linear(hidden_size, hidden_size, dtype=dtype, name="dense")
        self.norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="norm")
        self.projection = None if tied else Linear(hidden_size, vocab_size, bias=False, dtype=dtype, name="projection")
        self.bias = self.add_weight(name="bias", shape=(vocab_size,), initializer="zeros")

    def call(self, x, embeddings):  # b s d, v d -> b s v
        x = self.norm(self.activation(self.dense(x)))
        x = scores(x, embeddings) if self.projection is None else self.projection(x)
        return x + tf.cast(self.bias, x.dtype)


class Classifier(Layer):
    """Scores of each class for every vector."""

    def __init__(self, hidden_size: int, labels_count: int, *, dropout_rate: float, dtype=None, name="head"):
        super().__init__(dtype=dtype, name=name)
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")
        self.out = Linear(hidden_size, labels_count, dtype=dtype, name="out")

    def call(self, x, training=False):  # ... d -> ... labels
        return self.out(self.dropout(x, training))


class SequenceClassifier(Layer):
    """Scores of each class from the first position, behind a layer with tanh: Liu et al., RoBERTa (2019), as published."""

    def __init__(self, hidden_size: int, labels_count: int, *, dropout_rate: float, dtype=None, name="head"):
        super().__init__(dtype=dtype, name=name)
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")
        self.dense = Linear(hidden_size, hidden_size, dtype=dtype, name="dense")
        self.out = Linear(hidden_size, labels_count, dtype=dtype, name="out")

    def call(self, x, training=False):  # b s d -> b labels
        x = tf.tanh(self.dense(self.dropout(x[:, 0], training)))
        return self.out(self.dropout(x, training))


class MeanPooler(Layer):
    """The mean of all positions but the first, normalised: BEiT, as published."""

    def __init__(self, hidden_size: int, epsilon: float, *, dtype=None, name="pooler"):
        super().__init__(dtype=dtype, name=name)
        self.norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="norm")

    def call(self, x):  # b s d -> b d
        return self.norm(tf.reduce_mean(x[:, 1:], 1))


def scores(x, embeddings):  # b s d, v d -> b s v
    """Inner products with every row of a table."""
    table = tf.cast(embeddings, x.dtype)
    if None in x.shape[:2] or x.shape[0] * x.shape[1] > FEW:
        return tf.matmul(x, table, transpose_b=True)
    return tf.transpose(tf.einsum("vd,bsd->vbs", table, x), (1, 2, 0))  # XLA folds any other transposition away
