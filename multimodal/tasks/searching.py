"""The pictures of a folder that are nearest to a text (Jia et al. 2021, section 4.3: retrieval by cosine)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from multimodal.processors.arrays import to_numpy
from multimodal.processors.shown import reason
from multimodal.tasks import picture_index
from multimodal.tasks.batches import Progress, checked_texts, positive
from multimodal.tasks.calling import call
from multimodal.tasks.loading import Loaded, load
from multimodal.tasks.matching import encoded
from multimodal.tasks.picture_index import PictureIndex
from multimodal.tasks.pictures import in_batches, prepare

logger = logging.getLogger("multimodal")

_PART = 4
"""Batches between two signs of progress."""


class Match(NamedTuple):
    """A picture, and the cosine of the angle between its vector and the text's."""

    path: Path
    score: float


def image_search(
    model_or_name: Any,
    inputs: Sequence[str],
    *,
    folder: str | Path,
    top: int = 5,
    backend: str | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
    on_error: Callable[[Path, ValueError], None] | None = None,
) -> list[list[Match]]:
    """For each text the `top` pictures of a folder (and the folders in it), nearest first; equally near ones by name.

    The vectors of the pictures are kept in `<folder>.search-index` beside the folder, which is brought up to date first:
    pictures that are new or changed are looked at, those that are gone are forgotten. The index says which model and which
    settings of its image processor made it, and is made anew for others, or where its file is damaged (which is logged).
    Long work is kept every half minute. `on_error` is called with (path, ValueError) for a picture that
    cannot be used, which is then left out; without it the error is raised. Other arguments and errors as `multimodal.tasks`
    says; and ValueError for a folder that is not there or has no pictures.
    """
    texts, top, batch_size = checked_texts(inputs), positive("top", top), positive("batch_size", batch_size)
    folder = Path(folder)
    names = picture_index.pictures_in(folder)
    loaded = load(model_or_name, "image_search", backend)
    index = _current(loaded, folder, names, batch_size, progress, on_error)
    if not texts or not index.entries:
        return [[] for _ in texts]
    queries = _of_length_one(to_numpy(call(loaded.model, encoded(loaded, texts), "get_text_features")))
    return [nearest(query, index, folder, top) for query in queries]


def nearest(query: np.ndarray, index: PictureIndex, folder: Path, top: int) -> list[Match]:
    """The pictures of an index whose vectors have the largest cosines with `query`."""
    scores = index.vectors.astype(np.float64) @ query.astype(np.float64)
    order = np.argsort(-scores, kind="stable")[:top]  # entries are in the order of their names
    return [Match(folder / index.entries[i].name, float(scores[i])) for i in order]


def _current(
    loaded: Loaded,
    folder: Path,
    names: list[str],
    batch_size: int,
    progress: Progress | None,
    on_error: Callable[[Path, ValueError], None] | None,
) -> PictureIndex:
    """The index of a folder as it is now; what is new in it is written."""
    path, identity = picture_index.place_of(folder), identity_of(loaded)
    old = _old(path, identity)

    def failed(name: str, error: ValueError) -> None:
        if on_error is None:
            raise error
        on_error(folder / name, error)

    def embed(some: list[str]) -> list[np.ndarray | None]:
        return in_batches(
            [folder / name for name in some],
            lambda picture, place: prepare(loaded.image_processor, picture, str(picture)),
            lambda pixels, sizes: _image_vectors(loaded, pixels)[: len(sizes)],
            batch_size=batch_size,
            on_error=lambda place, error: failed(some[place], error),
        )

    def save(index: PictureIndex) -> None:
        _keep(index, path)

    update = picture_index.updated(old, folder, names, embed, failed, save, part=_PART * batch_size, progress=progress)
    logger.info("%s: %d pictures added, %d changed, %d removed", path, update.added, update.changed, update.removed)
    return update.index


def _old(path: Path, identity: str) -> PictureIndex:
    """The index in a file; an empty one where there is none that can be used."""
    if not path.exists():
        return PictureIndex(identity)
    try:
        index = picture_index.read(path)
    except ValueError as error:
        logger.warning("%s; it is made anew", error)
        return PictureIndex(identity)
    if index.identity != identity:
        logger.info("%s: made by another model, or with other settings; it is made anew", path)
        return PictureIndex(identity)
    return index


def _keep(index: PictureIndex, path: Path) -> None:
    try:
        picture_index.write(index, path)
    except OSError as error:
        logger.warning(
            "%s: the index cannot be kept (%s); the next search looks at all pictures again", path, reason(error)
        )


def identity_of(loaded: Loaded) -> str:
    """What stands for everything that vectors of pictures depend on: tensors, configuration and image processor.

    The tensors are the published ones, which are the same in every backend: an index serves all of them.
    """
    digest = hashlib.sha256()
    fields = {k: v for k, v in loaded.model.config.to_dict().items() if k not in ("_name_or_path", "torch_dtype")}
    for part in (fields, loaded.image_processor.to_dict()):
        digest.update(json.dumps(part, sort_keys=True, default=str).encode())
    for name, tensor in sorted(loaded.model.published_tensors().items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).view(np.uint8).data)
    return digest.hexdigest()


def _image_vectors(loaded: Loaded, pixels: np.ndarray) -> np.ndarray:
    return _of_length_one(to_numpy(call(loaded.model, {"pixel_values": pixels}, "get_image_features")))


def _of_length_one(vectors: np.ndarray) -> np.ndarray:
    """Vectors (batch, width) divided by their lengths, float32. Errors: ValueError for one that has none."""
    vectors = vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ValueError(f"expected features that have a direction, got lengths {lengths.ravel()[:5].tolist()}")
    return (vectors / lengths).astype(np.float32)
