"""What a configuration asks for, held against the tensors of its files before anything is made of it.

A few bytes of a `config.json` can ask for more layers than a names table has time for, or for more numbers than there is
memory. A network comes from its files: what they lack is a head, cross-attention, or a resized table at most.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any

from multimodal.checkpoints import names
from multimodal.checkpoints.source import CheckpointError

_TIMES = 8
"""How many times what the files have a network may have, all heads of its family included, ..."""
_BESIDE = 1 << 25
"""... beside these elements: files of a small network may lack a head that is larger than all of it, ..."""
_TENSORS_BESIDE = 1000
"""... and these tensors. What is wrong within the limits, the plan of loading says tensor by tensor."""


def check(config: Any, shapes: Mapping[str, tuple[int, ...]], where: Any) -> None:
    """CheckpointError for a configuration whose network would need far more than tensors of these shapes.

    It names the setting, what it says and what there is. `where` is the folder, or whatever else the tensors are of.
    """
    for side in config.halves:
        check(getattr(config, side), shapes, f"{where}: {side}")
    if not config.halves:
        _check_layers(config, len(shapes), where)
        _check_elements(config, sum(map(math.prod, shapes.values())), where)


def _check_layers(config: Any, tensors: int, where: Any) -> None:
    one = _with(config, dict.fromkeys(config.stacks, 1))
    first = _published(one)
    for setting in config.stacks:
        each = len(_published(_with(one, {setting: 2})) - first)
        layers = getattr(config, setting)
        if layers * each > _TIMES * tensors + _TENSORS_BESIDE:
            raise CheckpointError(
                f"{where}: {config.aliases.get(setting, setting)}: expected at most {tensors // each} (a layer has "
                f"{each} tensors, the files have {tensors}), got {layers}"
            )


def _published(config: Any) -> set[str]:
    table = names.table(config)
    return {row.published for row in (*table.base, *table.heads)}


def _check_elements(config: Any, elements: int, where: Any) -> None:
    most = _TIMES * elements + _BESIDE
    needed = _elements(config)
    if needed <= most:
        return
    setting = min(_sizes(config), key=lambda name: (_elements(_usual(config, name)), _elements(_least(config, name))))
    raise CheckpointError(
        f"{where}: {setting}: expected tensors of at most {most} elements (the files have {elements}), got "
        f"{getattr(config, setting)}, which makes them {needed}"
    )


def _elements(config: Any) -> int:
    table = names.table(config)
    shapes = {row.published: row.published_shape for row in (*table.base, *table.heads)}
    return sum(map(math.prod, shapes.values()))


def _sizes(config: Any) -> list[str]:
    """The settings that are counts or sizes."""
    found = ["num_labels"]
    for setting, value in vars(config).items():
        sizes: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
        if any(type(size) is int and size > 1 for size in sizes):
            found.append(setting)
    return found


def _usual(config: Any, setting: str) -> Any:
    """A configuration with one setting as the architecture has it."""
    return _with(config, {setting: getattr(type(config)(), setting, 1)})


def _least(config: Any, setting: str) -> Any:
    """A configuration with one setting as small as it can be, or each of its sizes."""
    value = getattr(config, setting)
    return _with(config, {setting: [1] * len(value) if isinstance(value, list | tuple) else 1})


def _with(config: Any, values: Mapping[str, Any]) -> Any:
    """A copy of a configuration with other values, which nobody has validated: only its tensors are asked for."""
    changed = copy.copy(config)
    for name, value in values.items():
        setattr(changed, name, value)
    return changed
