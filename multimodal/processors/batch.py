"""What processors return: mappings with attribute access that turn into the tensors of any framework."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from tokenizers import Encoding

from multimodal.processors.arrays import is_array, is_tensor, tensor_maker, to_numpy


class BatchFeature(UserDict):
    """Model inputs by name: `batch["pixel_values"]`, `batch.pixel_values`, `model(**batch)`.

    Not a dict subclass: Keras refuses those as a first argument, while any mapping can be unpacked.
    """

    def __init__(self, data: Mapping[str, Any] | None = None, tensor_type: str | None = None):
        super().__init__(data or {})
        self.convert_to_tensors(tensor_type)

    def __getattr__(self, name: str) -> Any:
        # `data` itself is looked up here while an instance is being unpickled.
        if name == "data" or name.startswith("__"):
            raise AttributeError(name)
        if name in self.data:
            return self.data[name]
        raise AttributeError(f"{type(self).__name__} has no field {name!r}; it has {', '.join(map(str, self.data))}")

    def convert_to_tensors(self, tensor_type: str | None = None) -> Self:
        """Turn every field into a tensor, in place. `tensor_type`: np, pt, tf, jax, or None to leave all as it is.

        Errors: ValueError for an unknown or uninstalled framework, and for rows of different lengths.
        """
        if tensor_type is None:
            return self
        make = tensor_maker(tensor_type)
        self.data = {name: make(_as_array(name, value, tensor_type)) for name, value in self.data.items()}
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move PyTorch tensors to a device and, floating ones only, to a dtype: `.to("cuda")`, `.to(torch.float16)`.

        Takes what `torch.Tensor.to` takes. Errors: ValueError when no field is a PyTorch tensor.
        """
        torch_fields = [name for name, value in self.data.items() if type(value).__module__.split(".")[0] == "torch"]
        if self.data and not torch_fields:
            raise ValueError(f"to: expected PyTorch tensors (return_tensors='pt'), got {_types(self.data)[:200]}")
        for name in torch_fields:
            value = self.data[name]
            self.data[name] = value.to(*args, **kwargs) if value.is_floating_point() else _moved(value, args, kwargs)
        return self


class TokenSpan(NamedTuple):
    """Tokens `start` to `end`, the last one excluded."""

    start: int
    end: int


class CharSpan(NamedTuple):
    """Characters `start` to `end` of the text, the last one excluded."""

    start: int
    end: int


class Pads(NamedTuple):
    """What fills a row up: needed to pad the encodings behind a batch as its lists were padded."""

    length: int
    side: str
    token: str
    token_id: int
    type_id: int


class BatchEncoding(BatchFeature):
    """A tokenizer's output: ids and masks by name, and where each token comes from.

    `batch["input_ids"]` is a field, `batch[0]` the first row's `tokenizers.Encoding`. The methods below take a row and
    a position in it, or the position alone for the first row.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encoding: Encoding | list[Encoding] | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
        *,
        pads: Pads | None = None,
    ):
        self._encodings = [encoding] if isinstance(encoding, Encoding) else encoding
        self._pads = pads
        self._n_sequences = n_sequences
        super().__init__(data)
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def convert_to_tensors(self, tensor_type: str | None = None, prepend_batch_axis: bool = False) -> Self:
        """As `BatchFeature.convert_to_tensors`; `prepend_batch_axis` makes a batch of one."""
        if tensor_type is not None and prepend_batch_axis:
            self.data = {name: [value] for name, value in self.data.items()}
        return super().convert_to_tensors(tensor_type)

    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, str):
            return self.data[key]
        if isinstance(key, slice):
            return {name: value[key] for name, value in self.data.items()}
        return self._row(key)

    @property
    def is_fast(self) -> bool:
        """Whether the methods below have answers."""
        return self._encodings is not None

    @property
    def n_sequences(self) -> int | None:
        """1 for texts, 2 for pairs."""
        return self._n_sequences or (self._encodings[0].n_sequences if self._encodings else None)

    @property
    def encodings(self) -> list[Encoding] | None:
        """The engine's encoding of each row, padded as the rows are."""
        if self._pads is not None:
            # Padding an encoding costs as much as tokenising it, and few callers look at them.
            length, side, token, token_id, type_id = self._pads
            self._pads = None
            for encoding in self._encodings or []:
                encoding.pad(length, direction=side, pad_id=token_id, pad_type_id=type_id, pad_token=token)
        return self._encodings

    def _row(self, row: int) -> Encoding:
        if self.encodings is None:
            raise ValueError("this BatchEncoding was not made from texts, so it does not know where tokens come from")
        return self.encodings[row]

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The row's tokens as strings."""
        return self._row(batch_index).tokens

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token: 0 for the text, 1 for its pair, None for special tokens."""
        return self._row(batch_index).sequence_ids

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """For each token: the index of its word in its text, None for special tokens."""
        return self._row(batch_index).word_ids

    words = word_ids

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Which text (0, or 1 for the pair) the token is from; None for a special token."""
        row, token = _row_and_position(batch_or_token_index, token_index)
        return self._row(row).token_to_sequence(self._counted(row, token))

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """The index of the word that the token is part of; None for a special token."""
        row, token = _row_and_position(batch_or_token_index, token_index)
        return self._row(row).token_to_word(self._counted(row, token))

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """The characters that the token stands for; None for a special token."""
        row, token = _row_and_position(batch_or_token_index, token_index)
        span = self._row(row).token_to_chars(self._counted(row, token))
        return None if span is None else CharSpan(*span)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """The tokens that the word became; None where it has none."""
        row, word = _row_and_position(batch_or_word_index, word_index)
        span = self._row(row).word_to_tokens(word, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """The characters of the word; None where it has none."""
        row, word = _row_and_position(batch_or_word_index, word_index)
        span = self._row(row).word_to_chars(word, sequence_index)
        return None if span is None else CharSpan(*span)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The token that holds the character of the text; None for white space and characters cut off."""
        row, char = _row_and_position(batch_or_char_index, char_index)
        return self._row(row).char_to_token(char, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The word that holds the character of the text; None for white space and characters cut off."""
        row, char = _row_and_position(batch_or_char_index, char_index)
        return self._row(row).char_to_word(char, sequence_index)

    def _counted(self, row: int, position: int) -> int:
        """A token's position, counted from the end where it is negative."""
        return position + len(self._row(row)) if position < 0 else position


def _row_and_position(first: int, second: int | None) -> tuple[int, int]:
    """(row, position): documented calls give both, or the position alone for a batch of one."""
    return (0, first) if second is None else (first, second)


def _as_array(name: str, value: Any, tensor_type: str) -> np.ndarray:
    """A field as one NumPy array; ValueError where its rows do not fit together."""
    plain = not is_array(value)
    if is_tensor(value) or isinstance(value, np.ndarray):
        return to_numpy(value)
    if isinstance(value, list | tuple) and value and all(is_array(item) for item in value):
        value, plain = [to_numpy(item) for item in value], False
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(_ragged(name, value)) from error
    if array.dtype == object or array.dtype.kind in "US":
        raise ValueError(f"{name}: expected numbers to make a tensor of, got {_kind(array)}")
    if array.size == 0 and plain:
        return array.astype(np.int64)  # token ids; an empty list says nothing else
    # Lists of Python floats carry no dtype: every framework's own default is float32, NumPy's is float64.
    return array.astype(np.float32) if plain and array.dtype == np.float64 and tensor_type != "np" else array


def _ragged(name: str, value: Any) -> str:
    shapes = [
        np.shape(row) if is_array(row) else (len(row) if isinstance(row, list | tuple) else None) for row in value
    ]
    return (
        f"{name}: expected rows of one length to make a tensor of, got {str(shapes[:8])[1:-1]}"
        f"{', ...' * (len(shapes) > 8)}; texts need padding=True and truncation=True for it, sound padding=True, images "
        "do_resize=True"
    )


def _kind(array: np.ndarray) -> str:
    return "text" if array.dtype.kind in "US" else f"a {type(array.flat[0]).__name__}" if array.size else "nothing"


def _types(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {type(value).__name__}" for name, value in data.items())


def _moved(value: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """An integer or boolean tensor on the wanted device, its dtype untouched."""
    device = kwargs.get("device", next((a for a in args if isinstance(a, str | int) or _is_device(a)), None))
    return value if device is None else value.to(device)


def _is_device(value: Any) -> bool:
    return type(value).__name__ == "device" and type(value).__module__ == "torch"
