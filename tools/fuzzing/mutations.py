"""Good files made bad: bytes flipped, cut and repeated, and what a format consists of changed in its own terms.

Everything follows from the random generator that is handed in, so that a file can be made again from its number.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import msgpack

_DEEP, _LONG = "<deep>", "<long>"
"""What no JSON writer writes stands in for these until there is text."""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 255, 1.5, -0.0, 1e308, float("nan"), float("inf"), 10**6, 3 * 10**7, 10**9, 2**31, 2**63,
    2**70, 10**400, _LONG, _DEEP, "", "x", "0", "\ud800", "\0", "x" * 3000, "../x", "/etc/passwd", "é" * 200, "gelu",
    [], [[]], [None], [1, 2], ["x"], [10**9, 10**9], {}, {"a": 1}, {"0": "x"}, {"content": "x"}, {"1": [0]}, {"x": {"y": {}}},
)  # fmt: skip
KEYS = (
    "__class__", "__dict__", "halves", "stacks", "validate", "to_dict", "aliases", "", "x" * 3000, "\ud800", "num_labels",
    "id2label", "label2id", "pruned_heads", "architectures", "model_type", "num_hidden_layers", "hidden_size", "vocab_size",
    "max_position_embeddings", "torch_dtype", "is_decoder", "add_cross_attention", "cross_attention_hidden_size", "max_length",
    "tie_word_embeddings", "position_embedding_type", "auto_map", "_name_or_path", "name_or_path", "extra_special_tokens",
)  # fmt: skip
_INTEGERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
_DEPTHS = (40, 60, 900, 5000, 100_000)


def of_bytes(content: bytes, rng: random.Random) -> bytes:
    """Some of a file's bytes are others, missing or there twice; most changes are near its ends, where headers are."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        if not data:
            break
        rng.choice((_flip, _flip, _overwrite, _integer, _cut, _drop, _repeat, _insert))(data, rng)
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    near = min(len(data), rng.choice((64, 1000, len(data))))
    at = rng.randrange(near)
    return at if rng.random() < 0.6 else len(data) - 1 - at


def _flip(data: bytearray, rng: random.Random) -> None:
    data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    at, count = _place(data, rng), rng.choice((1, 2, 4, 8, 64))
    data[at : at + count] = rng.choice((b"\0", b"\xff", rng.randbytes(1))) * len(data[at : at + count])


def _integer(data: bytearray, rng: random.Random) -> None:
    """A field that says a length says another."""
    width, at = rng.choice((1, 2, 4, 8)), _place(data, rng)
    number = rng.choice(_INTEGERS) % (1 << 8 * width)
    data[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _drop(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 8, 100, 5000))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    at, count = _place(data, rng), rng.choice((1, 8, 100, 5000))
    data[at:at] = data[at : at + count]


def _insert(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = rng.choice(
        (b"\0" * 8, b"\xff" * 8, rng.randbytes(8), b"[" * 3000, b"{}", b'"', b"\n", b"\xef\xbb\xbf")
    )


def of_tree(tree: Any, rng: random.Random) -> Any:
    """A JSON value of which one part is of another type, huge, missing, under another key or there twice."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.15:
        return _replaced(tree, rng)
    made = dict(tree) if isinstance(tree, dict) else list(tree)
    key = rng.choice(list(tree)) if isinstance(tree, dict) else rng.randrange(len(tree))
    kind = rng.random()
    if kind < 0.65:
        made[key] = of_tree(made[key], rng)
    elif kind < 0.75:
        del made[key]
    elif isinstance(made, list):
        made.insert(key, rng.choice((made[key], rng.choice(VALUES))))
    elif kind < 0.85:
        made[rng.choice(KEYS)] = made.pop(key)
    else:
        made[rng.choice(KEYS)] = rng.choice((rng.choice(VALUES), made[rng.choice(list(tree))]))
    return made


def _replaced(value: Any, rng: random.Random) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.7:
        return rng.choice(
            (value + 1, value - 1, -value, value * 2, value * 100, value * 10**6, 10**6, 3 * 10**7, 10**9, 0)
        )
    return rng.choice(VALUES)


def of_json(content: bytes, rng: random.Random) -> bytes:
    """Mostly the structure, sometimes the text."""
    if rng.random() < 0.15:
        return of_bytes(content, rng)
    tree = of_tree(json.loads(content), rng)
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        tree = of_tree(tree, rng)
    text = json.dumps(tree)
    if isinstance(tree, dict) and tree and rng.random() < 0.05:  # a key that is there twice
        twice = {rng.choice(list(tree)): rng.choice(VALUES)}
        text = f"{json.dumps(twice)[:-1]}, {text[1:]}"
    depth = rng.choice(_DEPTHS)
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    text = text.replace(json.dumps(_DEEP), opening * depth + "1" + closing * depth)
    return text.replace(json.dumps(_LONG), "9" * 5000).encode()


def of_lines(content: bytes, rng: random.Random) -> bytes:
    """Lines of a vocabulary that are missing, twice, exchanged, empty or too long."""
    if rng.random() < 0.4:
        return of_bytes(content, rng)
    lines = content.split(b"\n")
    for _ in range(rng.choice((1, 1, 3))):
        at = rng.randrange(len(lines))
        other = rng.choice(
            (lines[rng.randrange(len(lines))], b"", b" ", b"x" * 5000, b"\xff\xfe", b"a b c", b"\xc2\x85", b"\r")
        )
        rng.choice((lambda a=at, o=other: lines.__setitem__(a, o), lambda a=at, o=other: lines.insert(a, o)))()
        if rng.random() < 0.3 and len(lines) > 1:
            del lines[rng.randrange(len(lines))]
    return b"\n".join(lines)


def of_safetensors(content: bytes, rng: random.Random) -> bytes:
    """Half of the files have another header of the right length."""
    if rng.random() < 0.5:
        return of_bytes(content, rng)
    length = int.from_bytes(content[:8], "little")
    header = of_json(content[8 : 8 + length], rng)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def of_zip(content: bytes, rng: random.Random) -> bytes:
    """Half of the archives have an entry that is changed, missing, packed or renamed, and right checksums."""
    if rng.random() < 0.5:
        return of_bytes(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        entries = {info.filename: old.read(info) for info in old.infolist()}
    pickles = [name for name in entries if name.endswith("data.pkl")]
    name = rng.choice((*pickles * len(entries), *entries))
    kind = rng.random()
    if kind < 0.8:
        entries[name] = of_bytes(entries[name], rng)
    elif kind < 0.9:
        del entries[name]
    else:
        entries[rng.choice(("../x", "/x", "x" * 300, "y/data.pkl", f"{name}x"))] = entries.pop(name)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as new:
        for name, entry in entries.items():
            new.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), entry, new.compression)
    return made.getvalue()


def of_msgpack(content: bytes, rng: random.Random) -> bytes:
    """Half of the files have another tree around whole arrays, or other arrays in a whole tree."""
    if rng.random() < 0.5:
        return of_bytes(content, rng)
    tree = msgpack.unpackb(content, strict_map_key=False)
    try:
        made = of_tree(tree, rng) if rng.random() < 0.5 else _other_array(tree, rng)
        return bytes(msgpack.packb(made, unicode_errors="surrogatepass"))
    except (OverflowError, ValueError, TypeError):  # not everything of JSON can be said
        return of_bytes(content, rng)


def _other_array(tree: Any, rng: random.Random) -> Any:
    if isinstance(tree, dict) and tree:
        key = rng.choice(list(tree))
        moved = key if rng.random() < 0.9 else rng.choice((f"{key}/{key}", "", "params", key + "x"))
        return {**{k: v for k, v in tree.items() if k != key}, moved: _other_array(tree[key], rng)}
    if isinstance(tree, msgpack.ExtType):
        parts = of_tree(msgpack.unpackb(tree.data), rng)
        return msgpack.ExtType(
            rng.choice((tree.code, tree.code, 2, 3)), msgpack.packb(parts, unicode_errors="surrogatepass")
        )
    return rng.choice(VALUES)


def of_png(content: bytes, rng: random.Random) -> bytes:
    """Half of the pictures have a chunk with other bytes and the right checksum: other sizes, depths, data."""
    if rng.random() < 0.5:
        return of_bytes(content, rng)
    data, at, chunks = content, 8, []
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    index = rng.choice((0, rng.randrange(len(chunks))))
    kind, inside = chunks[index]
    if index == 0 and rng.random() < 0.7:
        sizes = [rng.choice((0, 1, 2**15, 89_478_485, 2**20, 2**31 - 1, 13_000, 2**32 - 1)) for _ in range(2)]
        inside = struct.pack(">II", *sizes) + inside[8:]
    else:
        inside = of_bytes(inside, rng)
    chunks[index] = (kind, inside)
    if rng.random() < 0.2:
        chunks.insert(rng.randrange(len(chunks)), rng.choice(chunks))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return content[:8] + b"".join(packed)


Mutation = Callable[[bytes, random.Random], bytes]
