"""The arguments of a tokenizer's call, checked and gathered."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from multimodal.processors.shown import shown


class CallOptions(NamedTuple):
    """How to encode and what to return: the documented arguments of a call beside the texts."""

    add_special_tokens: bool = True
    padding: bool | str | None = False
    truncation: bool | str | None = None
    max_length: int | None = None
    stride: int = 0
    pad_to_multiple_of: int | None = None
    return_tensors: str | None = None
    return_token_type_ids: bool | None = None
    return_attention_mask: bool | None = None
    return_overflowing_tokens: bool = False
    return_special_tokens_mask: bool = False
    return_offsets_mapping: bool = False
    return_length: bool = False
    verbose: bool = True
    pad_to_max_length: bool = False

    @property
    def unpadded(self) -> bool:
        """Whether `padding` asks for none: then `max_length` alone means truncation."""
        return self.padding is None or self.padding is False or str(self.padding) == "do_not_pad"

    def checked(self) -> CallOptions:
        """The same. ValueError for a switch that is neither on nor off."""
        for name in _SWITCHES:
            checked_switch(name, getattr(self, name))
        return self.modern()

    def modern(self) -> CallOptions:
        """The same in today's terms: `pad_to_max_length` is padding='max_length' where no other padding is asked for,
        and its `max_length` truncates, as published."""
        if not self.pad_to_max_length:
            return self
        if self.verbose:
            message = "pad_to_max_length: padding='max_length' (and truncation=True for longer texts) says the same"
            warnings.warn(message, DeprecationWarning, stacklevel=5)
        if not self.unpadded:
            return self._replace(pad_to_max_length=False)
        cuts = self.truncation is None and self.max_length is not None
        return self._replace(
            pad_to_max_length=False, padding="max_length", truncation=True if cuts else self.truncation
        )


_SWITCHES = ("add_special_tokens", "verbose", "pad_to_max_length")
_SWITCHES = (
    *_SWITCHES,
    *(name for name in CallOptions._fields if name.startswith("return_") and name != "return_tensors"),
)


def checked_switch(name: str, value: Any) -> None:
    """ValueError unless it is True, False or None."""
    if not isinstance(value, bool | None):
        raise ValueError(f"{name}: expected True or False, got {shown(value)}")


def checked_multiple(options: CallOptions, cut: Any, filling: Any) -> None:
    """ValueError where rows cannot be both as long as `max_length` and a multiple of `pad_to_multiple_of`."""
    limit, multiple = options.max_length, options.pad_to_multiple_of
    if cut and filling and limit and multiple and limit % multiple:
        raise ValueError(f"max_length: expected a multiple of pad_to_multiple_of={multiple}, got {limit}")
