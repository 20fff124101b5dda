"""The formats: their published file names, what a file's content shows it to be, and how each is opened and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from multimodal.checkpoints.formats import flax_names, keras_names
from multimodal.checkpoints.formats.mapping import TensorFile
from multimodal.checkpoints.formats.relaid import SAME, Change, RelaidSource
from multimodal.checkpoints.formats.tensor_index import TensorIndex
from multimodal.checkpoints.source import CheckpointError, Source


@dataclass(frozen=True)
class Format:
    """One format that can be written. `dialect` says whose names and layout its tensors have."""

    name: str
    file: str
    dialect: str

    @property
    def index(self) -> str:
        return f"{self.file}.index.json"

    def shard(self, number: int, count: int) -> str:
        """The file name of one of several files."""
        stem, _, suffix = self.file.rpartition(".")
        return f"{stem}-{number:05d}-of-{count:05d}.{suffix}"


FORMATS = {
    made.name: made
    for made in (
        Format("safetensors", "model.safetensors", "published"),
        Format("pt-bin", "pytorch_model.bin", "published"),
        Format("tf-h5", "tf_model.h5", "keras"),
        Format("tf-safetensors", "model.safetensors", "keras"),
        Format("flax-msgpack", "flax_model.msgpack", "flax"),
    )
}
FILES = tuple(dict.fromkeys(made.file for made in FORMATS.values()))
"""Published names of whole checkpoints, in the order in which a folder is searched."""


def of_name(name: str) -> Format:
    """A format by its name; ValueError for an unknown one."""
    if name not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]


def open_file(path: Path) -> tuple[str, TensorFile]:
    """(format's name, the file's tensors): the content decides. CheckpointError for a file that is none of ours."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be opened ({error})") from error
    name = _recognised(start)
    if name is None:
        raise CheckpointError(f"{path}: {'the file is empty' if not start else 'not a checkpoint of a known format'}")
    opened = _openers()[name](path)
    if name == "safetensors" and opened.dialect == "keras":
        name = "tf-safetensors"
    return name.removesuffix("-legacy"), opened


def _recognised(start: bytes) -> str | None:
    from multimodal.checkpoints.formats.torch_file import LEGACY_START

    if start.startswith(b"PK\x03\x04"):
        return "pt-bin"
    if start.startswith(LEGACY_START[:16]):
        return "pt-bin-legacy"
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "tf-h5"
    if start[8:9] == b"{":  # behind the length of the header, which may look like the start of a pickle
        return "safetensors"
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and len(start) > 1:
        return None
    if start[:1] and (0x80 < start[0] < 0x90 or start[0] in (0xDE, 0xDF)):
        return "flax-msgpack"
    return None


def _openers() -> Mapping[str, Callable[[Path], TensorFile]]:
    """Imported late: most checkpoints need one of these, and importing h5py takes longer than reading a small model."""
    from multimodal.checkpoints.formats import safetensors_file, torch_file

    def hdf5(path: Path) -> TensorFile:
        from multimodal.checkpoints.formats import hdf5_file

        return hdf5_file.open_file(path)

    def messagepack(path: Path) -> TensorFile:
        from multimodal.checkpoints.formats import msgpack_file

        return msgpack_file.open_file(path)

    return {
        "safetensors": safetensors_file.open_file,
        "pt-bin": torch_file.open_zip,
        "pt-bin-legacy": torch_file.open_legacy,
        "tf-h5": hdf5,
        "flax-msgpack": messagepack,
    }


def to_published(source: Source, dialect: str, index: TensorIndex, where: Path) -> Source:
    """The tensors of a file or of its shards under their published names and in the published layout."""
    if dialect == "published":
        return source
    shapes = source.shapes()
    collections = dialect == "flax" and flax_names.has_collections(shapes)
    places: dict[str, tuple[str, Change]] = {}
    for key in shapes:
        if dialect == "keras":
            name, change = keras_names.published(key, shapes, index)
        else:
            name, change = flax_names.published(key, shapes[key], collections, index)
        if name in places:
            raise CheckpointError(f"{where}: {places[name][0]} and {key} are both {name}")
        places[name] = (key, change)
    return RelaidSource(source, places)


def to_dialect(source: Source, dialect: str, index: TensorIndex, where: Path) -> Source:
    """Published tensors under the names and in the layout of a dialect. CheckpointError for a name that it cannot say."""
    if dialect == "published":
        return source
    shapes = source.shapes()
    has_state = any(flax_names.is_state(name, index) for name in shapes)
    places: dict[str, tuple[str, Change]] = {}
    for name, shape in shapes.items():
        if dialect == "keras":
            norm = len(shapes.get(f"{name.rpartition('.')[0]}.weight", ())) == 1
            key, change = keras_names.spelled(name, shape, norm, index)
        else:
            key, change = flax_names.spelled(name, shape, has_state, index)
        if key in places:
            raise CheckpointError(f"{where}: {places[key][0]} and {name} would both be {key}")
        places[key] = (name, change)
    relaid = RelaidSource(source, places)
    _check_reversible(relaid, dialect, index, where)
    return relaid


def _check_reversible(relaid: RelaidSource, dialect: str, index: TensorIndex, where: Path) -> None:
    """Nothing is written that would be read as something else."""
    read = to_published(relaid, dialect, index, where)
    for name, (key, _) in read.places.items():
        original, change = relaid.places[key]
        back = read.places[name][1]
        same = name == index.canonical(original) and (back.inverse == change or {back, change} <= {SAME, Change(None)})
        if not same:
            raise CheckpointError(f"{where}: {original} cannot be written as {key}, which would be read as {name}")
