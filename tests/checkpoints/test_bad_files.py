"""Whatever a file holds, reading it gives tensors or a CheckpointError that names it: within bounds, and nothing is run."""

import json
import pickle
import random
import resource
import struct
import zipfile
from pathlib import Path

import goldens
import numpy as np
import pytest
from broken import read_all, refused

from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.formats import registry, torch_writer
from multimodal.checkpoints.source import CheckpointError, MemorySource

LAYOUTS = {format: goldens.GOLDEN / "ved-vit-bert" / kind / file for format, (kind, file) in goldens.FILES.items()}


@pytest.fixture(params=[*LAYOUTS, "pt-bin-legacy"])
def whole(request, torch_files):
    """(bytes of a good file, its name)."""
    path = torch_files["legacy"] if request.param == "pt-bin-legacy" else LAYOUTS[request.param]
    return path.read_bytes(), goldens.FILES[request.param.removesuffix("-legacy")][1]


def test_an_empty_file(whole, checkpoint):
    refused(checkpoint(b"", whole[1]), "empty")


def test_a_file_that_is_truncated_anywhere(whole, checkpoint):
    content, name = whole
    for length in [*range(1, 8), 16, 64, *(len(content) * i // 12 for i in range(1, 12)), len(content) - 1]:
        refused(checkpoint(content[:length], name))


def test_a_file_with_a_flipped_bit_anywhere(whole, checkpoint):
    content, name = whole
    rng = random.Random(0)
    places = [rng.randrange(len(content)) for _ in range(50)]
    places += [rng.randrange(min(len(content), 16_000)) for _ in range(25)]
    places += [len(content) - 1 - rng.randrange(min(len(content), 16_000)) for _ in range(25)]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        folder = checkpoint(changed, name)
        try:
            read_all(folder)
        except CheckpointError as error:
            assert str(folder) in str(error)  # noqa: PT017  # a flip may also do no harm


@pytest.mark.parametrize("name", registry.FILES)
@pytest.mark.parametrize(
    "content",
    [b"version https://git-lfs.github.com/spec/v1\n" * 3, b"\x89PNG\r\n\x1a\n" + b"\0" * 99, b"\0" * 999, b"{}" * 99],
)
def test_something_else_under_the_right_name(content, name, checkpoint):
    refused(checkpoint(content, name))


@pytest.mark.parametrize("name", registry.FILES)
def test_a_folder_or_a_pipe_in_the_place_of_the_file(name, tmp_path):
    import os

    (tmp_path / name).mkdir()
    refused(tmp_path)
    (tmp_path / name).rmdir()
    os.mkfifo(tmp_path / name)
    refused(tmp_path)


def test_a_configuration_that_is_damaged_or_wrong_is_named(copied):
    folder = copied("ved-vit-gpt2/tf-h5")
    (folder / "config.json").write_text("{")
    assert "config.json" in refused(folder)
    (folder / "config.json").write_text("[" * 100_000)
    assert "config.json" in refused(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "vit", "hidden_size": -3}))
    assert "config.json" in refused(folder)


def test_tensorflow_s_index_checkpoints_get_an_error_that_says_so(checkpoint):
    refused(checkpoint(b"x", "model.ckpt.index"), "not read")


# PyTorch


@pytest.mark.parametrize("name", ["code", "legacy_code"])
def test_a_pickle_that_would_run_code_does_not_run_it(name, torch_files, checkpoint):
    content = (torch_files["folder"] / f"{name}.bin").read_bytes()
    refused(checkpoint(content, "pytorch_model.bin"), r"asks for \w+\.exec")
    assert not (torch_files["folder"] / "ran").exists()


class Runs:
    """Calls what it is made with when it is unpickled the usual way."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_bare_pickles_that_would_run_code_do_not(protocol, checkpoint, tmp_path):
    ran = tmp_path / "ran"
    attack = pickle.dumps({"weight": Runs(exec, (f"open({str(ran)!r}, 'w')",))}, protocol)
    refused(checkpoint(attack, "pytorch_model.bin"))
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", attack)
    refused(tmp_path, "pickle")
    assert not ran.exists()


def archive_of(pickled: bytes, path: Path, compression: int = zipfile.ZIP_STORED, **entries: bytes) -> Path:
    """A file in PyTorch's layout around a pickle."""
    with zipfile.ZipFile(path / "pytorch_model.bin", "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, content in entries.items():
            archive.writestr(f"archive/data/{name}", content)
    return path


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02cos\nsystem\n.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02ccollections\nOrderedDict\n(K\x01K\x02tR.",
        b"\x80\x02ccollections\nOrderedDict\n)R}X\x08\x00\x00\x00__init__cos\nsystem\nsb.",
        b"\x80\x02}K\x01sb.",
        b"\x80\x02(((((.",
        b"\x80\x02\x85.",
        b"\x80\x02h\x07.",
        b"\x80\x02r\xff\xff\xff\xff.",
        b"\x80\x02\x8b\xff\xff\xff\x7f.",
        b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02" + b"}" * 5_000_000 + b".",
        b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".",
        b"\x80\x02)" + b"\x85" * 200_000 + b".",
        b"\x80\x02I" + b"9" * 100_000 + b"\n.",
        b"\x80\x02(lq\x00" + b"h\x00a" * 10 + b".",
        b"\x80\x02K\x01.",
        b"\x80\x02}X\x01\x00\x00\x00aK\x01s.",
    ],
    ids=map(str, range(20)),
)
def test_hostile_pickles(pickled, tmp_path):
    refused(archive_of(pickled, tmp_path, zipfile.ZIP_DEFLATED if len(pickled) > 10**6 else zipfile.ZIP_STORED))


def test_a_tensor_that_repeats_its_elements_without_end(torch_files, checkpoint):
    refused(checkpoint(torch_files["expanded"].read_bytes(), "pytorch_model.bin"), "1000000000")


@pytest.mark.parametrize(
    ("storage", "offset", "shape", "strides"),
    [(4, 0, (5,), (1,)), (4, 3, (2,), (1,)), (4, 0, (2, 2), (3, 1)), (4, -1, (1,), (1,)), (4, 0, (2,), (-1,)),
     (4, 0, (2**40, 2**40), (0, 0)), (2**50, 0, (2,), (1,)), (2**50, 0, (2**40,), (0,)), (4, 0, (2,), ()), (4, 2**61, (1,), (1,))],
)  # fmt: skip
def test_a_tensor_beyond_its_storage(storage, offset, shape, strides, tmp_path):
    def integers(values):
        return b"(" + b"".join(map(integer, values)) + b"t"

    def integer(value):
        return b"\x8a\x08" + struct.pack("<q", value)

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value

    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + text(b"storage")
        + b"ctorch\nFloatStorage\n"
        + text(b"0")
        + text(b"cpu")
    )
    tensor += integer(storage) + b"tQ" + integer(offset) + integers(shape) + integers(strides) + b"\x89)tR"
    refused(archive_of(b"\x80\x02}" + text(b"a") + tensor + b"s.", tmp_path, **{"0": b"\0" * 16}))


def test_a_zip_bomb_and_an_entry_that_lies_about_its_size(tmp_path):
    torch_writer.write_file(tmp_path / "good.bin", MemorySource({"a": np.zeros(1 << 27, np.uint8)}))
    bomb = zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "good.bin") as old, bomb:
        for name in old.namelist():
            bomb.writestr(name, old.read(name))
    (tmp_path / "good.bin").unlink()
    assert (tmp_path / "pytorch_model.bin").stat().st_size < 1 << 18
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(tmp_path, "claims")
    archive_of(b"\x80\x02" + b"N0" * 10_000_000 + b".", tmp_path, zipfile.ZIP_DEFLATED)
    refused(tmp_path, "claims")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_an_archive_without_its_storages_or_with_two_checkpoints(tmp_path):
    with zipfile.ZipFile(LAYOUTS["pt-bin"]) as old:
        pickled = old.read("pytorch_model/data.pkl")
    refused(archive_of(pickled, tmp_path), "not there")
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "a") as archive:
        archive.writestr("second/data.pkl", pickled)
    refused(tmp_path, "one data.pkl")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_two_entries_of_one_name(tmp_path):
    with zipfile.ZipFile(LAYOUTS["pt-bin"]) as old, zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as new:
        for name in (*old.namelist(), "pytorch_model/data/3"):
            new.writestr(name, old.read(name))
    refused(tmp_path, "two entries")


def test_a_storage_that_contradicts_its_checksum(torch_files, checkpoint):
    content = torch_files["zip"].read_bytes()
    with zipfile.ZipFile(torch_files["zip"]) as archive:
        entries = [info for info in archive.infolist() if "/data/" in info.filename and info.file_size]
    assert len(entries) > 5
    for info in entries:
        names = struct.unpack("<HH", content[info.header_offset + 26 : info.header_offset + 30])
        changed = bytearray(content)
        changed[info.header_offset + 30 + sum(names) + info.file_size // 2] ^= 1
        message = refused(checkpoint(changed, "pytorch_model.bin"), "CRC-32")
        assert info.filename in message


def test_a_pytorch_file_without_checksums_is_read(torch_files, checkpoint):
    folder = checkpoint((torch_files["folder"] / "unchecked.bin").read_bytes(), "pytorch_model.bin")
    with zipfile.ZipFile(folder / "pytorch_model.bin") as archive:
        assert not any(info.CRC for info in archive.infolist())
    (folder / "config.json").unlink()
    found = goldens.published(folder)
    np.testing.assert_array_equal(found["base"], np.arange(24).reshape(4, 6))


# safetensors


@pytest.mark.parametrize(
    "header",
    [
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        },
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 12]}},
        {"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 12]}},
        {"a": {"dtype": "F32", "shape": [-3], "data_offsets": [0, 12]}},
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [12, 0]}},
        {"a": {"dtype": "F99", "shape": [3], "data_offsets": [0, 12]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}},
        {"a": [1, 2]},
        {"a": None},
    ],
)
def test_safetensors_headers_that_contradict_themselves(header, checkpoint):
    text = json.dumps(header).encode()
    refused(checkpoint(struct.pack("<Q", len(text)) + text + b"\0" * 12))


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10**9, 5])
def test_a_safetensors_header_of_a_wrong_length_or_endlessly_nested(length, checkpoint):
    refused(checkpoint(struct.pack("<Q", length) + b'{"a":' * 50_000))


# Shards


@pytest.mark.parametrize(
    "index",
    ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a": 1}}', '{"weight_map": {"a": "../x"}}',
     '{"weight_map": {"a": "gone.safetensors"}}', '{"weight_map": {"a": "config.json"}}', "[" * 100_000],
)  # fmt: skip
def test_an_index_that_is_damaged_or_points_elsewhere(index, checkpoint):
    refused(checkpoint(index.encode(), "model.safetensors.index.json"))


def test_an_index_that_names_a_tensor_which_its_shard_does_not_have(copied):
    folder = copied("ved-vit-gpt2/pt-sharded")
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["nothing"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))
    refused(folder, "nothing")


@pytest.mark.parametrize("format", goldens.FORMATS)
def test_a_tensor_in_a_shard_that_the_index_does_not_name(format, tmp_path):
    convert(goldens.GOLDEN / "ved-vit-gpt2" / "pt-bin", tmp_path / "made", format, max_shard_size="50KB")
    read_all(tmp_path / "made")
    (path,) = (tmp_path / "made").glob("*.index.json")
    index = json.loads(path.read_text())
    assert len(set(index["weight_map"].values())) > 2
    del index["weight_map"][sorted(index["weight_map"])[3]]
    path.write_text(json.dumps(index))
    refused(tmp_path / "made", "does not say that")


@pytest.mark.parametrize("shard", ["x" * 300, "\0", "\ud800", "..", ".", "", "a/b", "é" * 200])
def test_a_shard_of_a_name_that_no_file_can_have(shard, checkpoint):
    index = json.dumps({"weight_map": {"a": shard}})
    message = refused(checkpoint(index.encode(), "model.safetensors.index.json"), "index")
    assert len(message) < 500
