"""What may stand in a `config.json` beside what the fields of a configuration say, and what may not."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from multimodal.processors.shown import shown

CONFIG_NAME = "config.json"

OTHER_TYPES: dict[str, Any] = {
    "torch_dtype": Any,  # text in files, a framework's own in code
    "id2label": dict[int, str | int] | None,
    "label2id": dict[str | int, int | str] | None,
    "pruned_heads": dict[int, list[int]] | None,
    "eos_token_id": int | list[int] | None,
}
"""Published files have more than the fields say."""
MOST_LABELS = 1 << 16
"""A file can say more in a few bytes than a computer has memory for; one that lists its labels may have any number."""


@contextlib.contextmanager
def naming_file(name_or_path: str | Path, overrides: Collection[str] = ()) -> Iterator[None]:
    """Let an error that a configuration is wrong say where it lies, unless it is about one of `overrides`."""
    try:
        yield
    except ValueError as error:
        if str(error).partition(":")[0] in overrides:
            raise
        raise ValueError(f"{Path(name_or_path, CONFIG_NAME)}: {error}") from error


def numbered_labels(count: Any) -> dict[int, str]:
    """The labels of a file that only says how many there are."""
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_LABELS:
        expected = f"an integer from 1 to {MOST_LABELS} (more where id2label lists them)"
        raise ValueError(f"num_labels: expected {expected}, got {shown(count)}")
    return {i: f"LABEL_{i}" for i in range(count)}


def expect_data(cls: type, name: str) -> None:
    """ValueError for a key of a file that would take the place of something that the class does."""
    own = getattr(cls, name, None)
    is_set = isinstance(own, property) and own.fset is not None
    if name.startswith("__") or (hasattr(cls, name) and not is_set):
        raise ValueError(f"{shown(name)}: expected a setting, got the name of something that {cls.__name__} does")
