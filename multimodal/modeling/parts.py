"""What a live model consists of, the same in every backend: its base network, what scores its tokens, its size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

from multimodal import registry
from multimodal.checkpoints import names
from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names import Row
from multimodal.specs import Specification
from multimodal.specs.dummies import dummy_inputs

INPUTS = ("tokens", "patches", "stem")
"""What the first layer of the embeddings of a text, of a sequence of patches, of an image is called."""


class NoSuchPart(AttributeError, ValueError):
    """A property that this class does not have: `hasattr` says so, which `torch.jit.trace` asks of every attribute."""


class Parts:
    """The part of a public model that hands out what it is made of.

    Hooks: `_layer(name)` is what the framework's users work with of a layer that we call `name`: the layer itself, or its
    matrix where layers have no identity; `_put(name, value)` sets it; `_scorer(matrix, bias)` is what scores the tokens
    with tensors that we call so; `_part(model_class, config, place)` is a public model around the network of that name inside
    of ours; `_is_trained(tensor)` and `_nbytes(tensor)` say what their names do.
    """

    backend: ClassVar[str]
    spec: ClassVar[Specification]
    config: Any
    parts: tuple[str, ...]
    public_parts: ClassVar[tuple[str, ...]] = ("base_model",)
    """Attributes that are public models around parts of the network, made anew at each access."""
    inside_of: str = ""
    """Of a `base_model` the class of the model that it is a part of."""

    def rows(self) -> list[Row]:
        """The tensors of this model."""
        raise NotImplementedError

    def named_tensors(self) -> dict[str, Any]:
        """{our name: tensor of the framework}."""
        raise NotImplementedError

    def get_input_embeddings(self) -> Any:
        """The token embeddings, or the patch embeddings of a vision model."""
        raise NotImplementedError

    def _tensor(self, array: Any) -> Any:
        raise NotImplementedError

    def _layer(self, name: str) -> Any:
        raise NotImplementedError

    def _put(self, name: str, value: Any) -> None:
        raise NotImplementedError

    def _scorer(self, matrix: str, bias: str | None) -> Any:
        raise NotImplementedError

    def _part(self, model_class: type, config: Any, place: str) -> Any:
        raise NotImplementedError

    def _is_trained(self, tensor: Any) -> bool:
        raise NotImplementedError

    def _nbytes(self, tensor: Any) -> int:
        raise NotImplementedError

    # The two ends

    def get_output_embeddings(self) -> Any:
        """What scores every token of the vocabulary; None of a class that scores none.

        In PyTorch a linear layer, in Keras the layer that has the matrix, in Flax the matrix. Of a tied model it is the
        token embeddings' own tensor: a change of one is a change of both.
        """
        if not self.spec.scores_tokens:
            return None
        matrix, bias = self._scoring()
        return self._scorer(matrix, bias)

    def set_output_embeddings(self, value: Any) -> None:
        """Put something else in the place of what scores the tokens. ValueError where that is the token embeddings."""
        if not self.spec.scores_tokens:
            raise ValueError(f"set_output_embeddings: expected a class that scores tokens, got {self.spec.name}")
        matrix, _ = self._scoring()
        if matrix == self._token_embeddings():
            raise ValueError(
                "set_output_embeddings: expected a model of tie_word_embeddings=False; this one scores tokens with its "
                "token embeddings, see set_input_embeddings"
            )
        self._put(matrix.removesuffix(".weight"), value)

    def tie_weights(self) -> None:
        """Nothing is left to do: what is tied is one tensor from the start, after loading and after every change."""

    def _scoring(self) -> tuple[str, str | None]:
        """(our name of the matrix that scores tokens, that of the bias)."""
        scoring = [row for row in self.rows() if row.part == "lm_head" and row.axes[0] == "vocab"]
        matrix = next((row.name for row in scoring if len(row.axes) == 2), self._token_embeddings())
        return matrix, next((row.name for row in scoring if len(row.axes) == 1), None)

    def _token_embeddings(self) -> str:
        return next(row.name for row in self.rows() if row.name.endswith("embeddings.tokens.weight"))

    # The network inside

    @property
    def base_model(self) -> Any:
        """The network without a head, as a public model that shares its tensors with this one; itself, of one without."""
        if not self.spec.head:
            return self
        if "AutoModel" not in registry.family(self.spec.model_type).models:
            raise NoSuchPart(
                f"base_model: expected a class whose network without a head has a class too, got {self.spec.name}"
            )
        part = self._public_part("AutoModel", self.config, self.spec.head)
        heads = {row.part for row in names.table(self.config).heads}
        part.parts = tuple(name for name in self.parts if name not in heads)
        part.inside_of = self.spec.name
        return part

    def _half(self, side: str) -> Any:
        """The half of a composite whose configuration lies in that field, as a public model that shares its tensors."""
        return self._public_part(
            self.config.halves[side], getattr(self.config, side), self.config.places.get(side, side)
        )

    def _public_part(self, auto_class: str, config: Any, place: str) -> Any:
        model_class = registry.model_class(self.backend, registry.model_name(auto_class, config))
        return self._part(model_class, config, place)

    @property
    def base_model_prefix(self) -> str:
        """What the names of the base network's tensors begin with in a checkpoint of a class with a head."""
        return names.table(self.config).prefix or registry.family(self.spec.model_type).module

    # How large it is

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Number of values in all tensors that are trained: statistics do not count.

        `only_trainable`: without those that are frozen by now. `exclude_embeddings`: without tables that are looked up.
        """
        tensors = self.named_tensors() if only_trainable else {}
        return sum(
            math.prod(row.shape)
            for row in self._counted()
            if not (only_trainable and not self._is_trained(tensors[row.name]))
            and not (exclude_embeddings and row.kind is Kind.EMBEDDING)
        )

    def get_memory_footprint(self, return_buffers: bool = True) -> int:
        """Bytes of the tensors, with statistics (`return_buffers`) or without."""
        tensors = self.named_tensors()
        rows = self.rows() if return_buffers else self._counted()
        return sum(self._nbytes(tensors[row.name]) for row in rows)

    def _counted(self) -> Iterator[Row]:
        return (row for row in self.rows() if not row.kind.is_state)

    @property
    def dummy_inputs(self) -> dict[str, Any]:
        """The smallest call that the class takes, as tensors of the framework: `model(**model.dummy_inputs)`."""
        return {name: self._tensor(array) for name, array in dummy_inputs(self.spec, self.config).items()}

    @property
    def name_or_path(self) -> str:
        """Where the model was loaded from; empty for a fresh one."""
        return self.config.name_or_path


def looked_up(embeddings: Any) -> str:
    """The attribute of a module of embeddings that holds its first layer."""
    return next(name for name in INPUTS if hasattr(embeddings, name))


def expect_shape(name: str, shape: Any, expected: Any) -> None:
    """ValueError unless what is put in the place of a tensor has its shape."""
    if tuple(shape) != tuple(expected):
        raise ValueError(
            f"{name}: expected shape {tuple(expected)}, got {tuple(shape)} (see resize_token_embeddings for another size)"
        )
