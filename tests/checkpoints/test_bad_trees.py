"""Broken HDF5 and MessagePack files, which are trees: each gives its tensors or a CheckpointError that names it."""

from pathlib import Path

import h5py
import msgpack
import numpy as np
import pytest
from broken import read_all, refused

from multimodal.checkpoints.formats import msgpack_file

# HDF5


def hdf5(path: Path, fill) -> Path:
    """A file with one layer, which `fill` puts something into."""
    with h5py.File(path / "tf_model.h5", "w") as file:
        layer = file.create_group("layer")
        layer.attrs["weight_names"] = [b"model/layer/kernel:0"]
        fill(layer)
    return path


def test_hdf5_links_and_storage_outside_the_file_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.ones(3)
    (tmp_path / "raw").write_bytes(b"\0" * 12)

    def external_link(layer):
        layer["a"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")

    def soft_link(layer):
        layer["a"] = h5py.SoftLink("/layer")

    def external_storage(layer):
        layer.create_dataset("a", (3,), "f4", external=[(str(tmp_path / "raw"), 0, 12)])

    def virtual(layer):
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (3,))
        layer.create_virtual_dataset("a", layout)

    for fill in (external_link, soft_link, external_storage, virtual):
        refused(hdf5(tmp_path, fill), "not followed")


def test_an_hdf5_group_that_holds_itself(tmp_path):
    def cycle(layer):
        layer["self"] = layer

    refused(hdf5(tmp_path, cycle), "met twice")


def test_hdf5_datasets_that_claim_more_than_is_stored(tmp_path):
    fills = (
        lambda layer: layer.create_dataset("a", (2**40,), "f4"),
        lambda layer: layer.create_dataset("a", (2**40,), "f4", chunks=(1024,)),
        lambda layer: layer.create_dataset("a", data=np.zeros(1 << 24, np.float32), compression="gzip"),
    )
    for fill in fills:
        refused(hdf5(tmp_path, fill), "claims")


def test_hdf5_datasets_that_were_never_or_partly_written(tmp_path):
    def partly(layer):
        layer.create_dataset("a", (6, 4), "f4", chunks=(2, 4))[:2] = 1

    def partly_packed(layer):
        layer.create_dataset("a", (5, 4), "f4", chunks=(2, 4), compression="gzip")[:4] = 1

    never = (
        lambda layer: layer.create_dataset("a", (3,), "f4"),
        lambda layer: layer.create_dataset("a", (3,), "f4", chunks=(3,)),
        lambda layer: layer.create_dataset("a", (), "f4"),
    )
    for fill in (*never, partly, partly_packed):
        refused(hdf5(tmp_path, fill), "layer/a was not written|: a was not written")

    def whole(layer):
        layer.create_dataset("a", data=np.ones((5, 4)), chunks=(2, 4), compression="gzip")
        layer.create_dataset("b", data=np.ones((5, 4)), chunks=(2, 3), maxshape=(None, 4))
        layer.create_dataset("c", (0, 4), "f4")
        layer.create_dataset("d", (0, 4), "f4", chunks=(2, 4), maxshape=(None, 4))

    read_all(hdf5(tmp_path, whole))


def test_hdf5_elements_that_are_no_numbers_and_keras_3_s_own_format(tmp_path):
    refused(hdf5(tmp_path, lambda layer: layer.create_dataset("a", data=["text"])), "expected numbers")
    refused(hdf5(tmp_path, lambda layer: None), "without tensors")
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        file["layers/dense/vars/0"] = np.ones(3)
    refused(tmp_path, "weights.h5")


# MessagePack

ONE = msgpack.ExtType(1, msgpack.packb([[1], "float32", b"1234"]))
PIECES = {msgpack_file.CHUNKED: True, "shape": {"0": 1}, "chunks": {"0": ONE}}


@pytest.mark.parametrize(
    "content",
    [
        b"\x81\xa1a" * 100_000 + b"\xc0",
        b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa1a\xdd\xff\xff\xff\xff",
        b"\x81\xa1a\xc9\xff\xff\xff\xff\x01",
        b"\x81\xa1a\xdb\xff\xff\xff\xff",
        b"\x81\xa1a\x01",
        b"\x81\x01\x01",
        b"\x82\xa1a\x80\xa1a\x80",
        b"\x81\xa1a\xc1",
        b"\x81\xa1\xff\x01",
        bytes(msgpack.packb({"a": 1})) * 2,
        msgpack.packb({"a": msgpack.ExtType(9, b"abc")}),
        msgpack.packb({"a": msgpack.ExtType(1, b"abc")}),
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb([[2], "float32", b"1234"]))}),
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb([[2**60], "float32", b"1234"]))}),
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb([[-1], "float32", b""]))}),
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb([[1], "object", b"12345678"]))}),
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb([1, "float32", b"1234"]))}),
        msgpack.packb({"a": {msgpack_file.CHUNKED: True, "shape": {"0": 4}, "chunks": {}}}),
        msgpack.packb({"a": {msgpack_file.CHUNKED: True, "shape": {"0": 2**40}, "chunks": {"0": 1}}}),
        msgpack.packb({"a": {msgpack_file.CHUNKED: True}}),
        *(
            msgpack.packb({"a/b": one, "a": {"b": other}} if first else {"a": {"b": other}, "a/b": one})
            for one, other in ((ONE, ONE), (PIECES, ONE), (ONE, PIECES))
            for first in (True, False)
        ),
    ],
    ids=map(str, range(28)),
)
def test_hostile_messagepack(content, checkpoint):
    refused(checkpoint(content, "flax_model.msgpack"))
