"""The pickles that PyTorch writes around tensors, read as data.

This is an interpreter of the few instructions that such a pickle needs. It imports nothing and calls nothing that a file
names: a name such as `torch._utils._rebuild_tensor_v2` only selects one of the constructors below, each of which checks
what it is given. Everything else is a CheckpointError.
"""

from __future__ import annotations

import math
import mmap
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

MOST_STEPS = 4_000_000
"""Instructions of a pickle; a tensor takes about thirty. The limit bounds time and memory."""
_LONGEST_TEXT = 1 << 20

DTYPES = {
    "Double": np.float64, "Float": np.float32, "Half": np.float16, "BFloat16": ml_dtypes.bfloat16,
    "Long": np.int64, "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
}  # fmt: skip
"""Element types by the name of PyTorch's typed storages."""
_NAMED_DTYPES = {
    "float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn, "float8_e5m2": ml_dtypes.float8_e5m2,
    "int64": np.int64, "int32": np.int32, "int16": np.int16, "int8": np.int8,
    "uint64": np.uint64, "uint32": np.uint32, "uint16": np.uint16, "uint8": np.uint8, "bool": np.bool_,
}  # fmt: skip


class PickleError(ValueError):
    """A pickle that is not one of tensors; the message says where and why."""


@dataclass(frozen=True)
class Storage:
    """A flat array elsewhere in the file. `dtype` is None where the tensors on it say their type themselves."""

    key: str
    dtype: np.dtype | None
    length: int
    """In elements; in bytes where there is no type."""
    start: int = 0
    """First element, where the storage is a window of another (files of before 2018)."""

    @property
    def size(self) -> int:
        return self.length * (self.dtype.itemsize if self.dtype else 1)


@dataclass(frozen=True)
class Tensor:
    """A window of a storage; offset and strides in elements."""

    storage: Storage
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Attributes(dict):
    """An OrderedDict; the state that is set on it (versions of modules) carries no weight."""


class _Window:
    """Bytes from a position on, as the file that `pickletools` reads; no instruction may be long."""

    def __init__(self, data: bytes | mmap.mmap, position: int):
        self.data, self.position = data, position

    def tell(self) -> int:
        return self.position

    def read(self, count: int) -> bytes:
        if count > _LONGEST_TEXT:
            raise PickleError(f"byte {self.position}: a single value of {count} bytes")
        taken = self.data[self.position : self.position + count]
        self.position += len(taken)
        return taken

    def readline(self) -> bytes:
        end = self.data.find(b"\n", self.position, self.position + _LONGEST_TEXT)
        return self.read((end + 1 if end >= 0 else len(self.data)) - self.position)


def load(data: bytes | mmap.mmap, position: int = 0) -> tuple[Any, int]:
    """(what the pickle at `position` describes, where it ends). PickleError for anything but plain data and tensors."""
    machine = _Machine()
    file = _Window(data, position)
    try:
        for step, (opcode, argument, at) in enumerate(pickletools.genops(file)):
            if opcode.name == "STOP":
                return machine.result(), file.tell()
            if step > MOST_STEPS:
                raise PickleError(f"it has more than {MOST_STEPS} instructions")
            if opcode.name not in _STEPS:
                raise PickleError(f"byte {at}: the instruction {opcode.name}, which no tensor needs")
            _STEPS[opcode.name](machine, argument)
    except PickleError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        raise PickleError(f"it is damaged ({type(error).__name__}: {error})") from error
    raise PickleError("it has no end")


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self):
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        if len(self.stack) != 1 or self.marks:
            raise PickleError("it ends in the middle of something")
        return self.stack[0]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def put(self, key: Any) -> None:
        self.memo[len(self.memo) if key is None else key] = self.stack[-1]

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[len(self.stack) - count :]) if len(self.stack) >= count else _underflow()
        del self.stack[len(self.stack) - count :]
        self.stack.append(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise PickleError("it sets items of something that is not a dictionary")
        for key, value in zip(items[::2], items[1::2]):
            if not isinstance(key, str | int):
                raise PickleError(f"a key of type {type(key).__name__}, expected a string")
            target[key] = value

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise PickleError("it appends to something that is not a list")
        target.extend(items)

    def name(self, module: Any, name: Any) -> None:
        found = _constructor(f"{module}.{name}")
        if found is None:
            raise PickleError(f"it asks for {module}.{name}, which is neither a tensor nor plain data")
        self.stack.append(found)

    def reduce(self, _: Any) -> None:
        arguments, constructor = self.stack.pop(), self.stack.pop()
        if not isinstance(constructor, _Constructor) or not isinstance(arguments, tuple):
            raise PickleError("it calls something that is not a constructor of tensors")
        self.stack.append(constructor.make(*arguments))

    def build(self, _: Any) -> None:
        self.stack.pop()
        if not isinstance(self.stack[-1], Attributes):
            raise PickleError("it sets attributes of something that has none")

    def persistent(self, _: Any) -> None:
        self.stack.append(_storage(self.stack.pop()))


def _underflow() -> tuple:
    raise PickleError("it takes more than is there")


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, argument: None),
    **dict.fromkeys(
        (
            *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
            *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        ),
        lambda machine, argument: machine.push(argument),
    ),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, key: machine.push(machine.memo[key])),
    "GLOBAL": lambda machine, names: machine.name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(machine.stack.pop(-2), machine.stack.pop()),
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}


@dataclass(frozen=True)
class _Constructor:
    """What one of PyTorch's names stands for here."""

    make: Callable[..., Any]


@dataclass(frozen=True)
class _StorageType:
    """A class of storages; it is only named, never called."""

    dtype: np.dtype | None


def _constructor(name: str) -> Any:
    if name in _CONSTRUCTORS:
        return _CONSTRUCTORS[name]
    module, _, last = name.rpartition(".")
    if module in ("torch", "torch.cuda", "torch.storage") and last.removesuffix("Storage") in DTYPES:
        return _StorageType(np.dtype(DTYPES[last.removesuffix("Storage")])) if last.endswith("Storage") else None
    if module == "torch" and last in _NAMED_DTYPES:
        return np.dtype(_NAMED_DTYPES[last])
    return None


def _storage(identity: Any) -> Storage:
    """A storage from its identity: ("storage", type, key, where it lived, length[, window])."""
    window = None
    if isinstance(identity, tuple) and len(identity) == 6:
        *identity, window = identity
    kind, storage_type, key, _, length = identity
    if kind != "storage" or not isinstance(storage_type, _StorageType) or not isinstance(key, str):
        raise PickleError("it refers to something that is not a storage")
    if window is None:
        return Storage(key, storage_type.dtype, _natural(length))
    _, start, window_length = window
    return Storage(key, storage_type.dtype, _natural(window_length), _natural(start))


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, dtype: np.dtype | None = None) -> Tensor:
    """A tensor that lies within its storage and is no larger: repeating elements could make a file of any size."""
    dtype = dtype or getattr(storage, "dtype", None)
    if not isinstance(storage, Storage) or not isinstance(dtype, np.dtype):
        raise PickleError("a tensor without a storage")
    if not isinstance(shape, tuple) or not isinstance(strides, tuple) or len(shape) != len(strides) or len(shape) > 32:
        raise PickleError("a tensor whose shape and strides do not fit each other")
    shape, strides, offset = tuple(map(_natural, shape)), tuple(map(_natural, strides)), _natural(offset)
    room = storage.size // dtype.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides))
    if 0 not in shape and (last >= room or math.prod(shape) > room):
        raise PickleError(f"a tensor of shape {shape} at {offset} in a storage of {room} elements")
    return Tensor(storage, dtype, offset, shape, strides)


def _natural(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise PickleError(
            f"expected a count, got {'a number out of range' if isinstance(value, int) else type(value).__name__}"
        )
    return value


def _wrapped(tensor: Any, *_: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise PickleError("a parameter without a tensor")
    return tensor


def _sizes(sizes: Any = ()) -> tuple:
    if not isinstance(sizes, list | tuple) or len(sizes) > 32:
        raise PickleError("a size that is not a short list of numbers")
    return tuple(sizes)


def _attributes(pairs: Any = None) -> Attributes:
    """An empty OrderedDict, or one of pairs, which are used up: made again and again from them it would fill the memory."""
    made = Attributes()
    if pairs is None:
        return made
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise PickleError("an OrderedDict of something that is not pairs")
    for key, value in pairs:
        if not isinstance(key, str):
            raise PickleError(f"a key of type {type(key).__name__}, expected a string")
        made[key] = value
    pairs.clear()
    return made


_CONSTRUCTORS: dict[str, Any] = {
    "torch._utils._rebuild_tensor": _Constructor(
        lambda storage, offset, shape, strides: _tensor(storage, offset, shape, strides)
    ),
    "torch._utils._rebuild_tensor_v2": _Constructor(
        lambda storage, offset, shape, strides, *_: _tensor(storage, offset, shape, strides)
    ),
    "torch._utils._rebuild_tensor_v3": _Constructor(
        lambda storage, offset, shape, strides, grad, hooks, dtype, *_: _tensor(storage, offset, shape, strides, dtype)
    ),
    "torch._utils._rebuild_parameter": _Constructor(_wrapped),
    "torch._utils._rebuild_parameter_with_state": _Constructor(_wrapped),
    "torch.nn.parameter.Parameter": _Constructor(_wrapped),
    "torch.Size": _Constructor(_sizes),
    "collections.OrderedDict": _Constructor(_attributes),
    "torch.storage.UntypedStorage": _StorageType(None),
    "torch.UntypedStorage": _StorageType(None),
}
