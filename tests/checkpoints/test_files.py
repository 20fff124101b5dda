"""How tensors are spread over the files of a folder."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.checkpoints import folder as folders
from multimodal.checkpoints.formats.mapping import MappedFile, Region
from multimodal.checkpoints.source import CheckpointError, MemorySource


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 30))
def test_shards_hold_every_tensor_once_in_order_and_none_is_too_large(sizes, largest):
    tensors = MemorySource({f"{i:02}": np.zeros(size, np.int8) for i, size in enumerate(sizes)})
    shards = folders._split(tensors, largest)
    assert [name for shard in shards for name in shard] == list(tensors.shapes())
    for shard, behind in zip(shards, [*shards[1:], None]):
        size = sum(sizes[int(name)] for name in shard)
        assert size <= largest or len(shard) == 1
        assert behind is None or size + sizes[int(behind[0])] > largest  # the next one did not fit


@pytest.mark.parametrize(
    ("size", "count"),
    [
        (1, 1), (5_000_000, 5_000_000), ("12", None), ("150KB", 150_000), ("2.5MB", 2_500_000), ("5gb", 5 * 10**9),
        ("2KiB", 2048), ("1MiB", 2**20), ("0.5GiB", 2**29), (0, None), (-1, None), ("KB", None), ("0GB", None),
        ("1..5MB", None), ("-1MB", None), (1.5, None), (None, None), ("nanMB", None),
    ],
    ids=str,
)  # fmt: skip
def test_sizes_are_counted_in_thousands_or_in_powers_of_two_as_they_say(size, count):
    if count is None:
        with pytest.raises(ValueError, match="max_shard_size: expected a number of bytes"):
            folders.byte_count(size)
    else:
        assert folders.byte_count(size) == count


def test_an_index_says_where_each_tensor_is_and_how_many_bytes_all_have(tmp_path):
    tensors = {name: np.full(100, i, np.float32) for i, name in enumerate("dbca")}
    folders.write_folder(tmp_path, tensors, 800)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    assert index["metadata"] == {"total_size": 1600}
    assert index["weight_map"] == {"a": first, "b": first, "c": second, "d": second}
    assert sorted(path.name for path in tmp_path.iterdir()) == [first, second, "model.safetensors.index.json"]
    source = folders.open_folder(tmp_path)
    assert source.shapes().keys() == tensors.keys()
    assert all(np.array_equal(source.read(name), array) for name, array in tensors.items())


@pytest.mark.parametrize(
    "elsewhere", ["../model.safetensors", "inside/model.safetensors", "/{folder}/model.safetensors"]
)
def test_a_shard_of_another_folder_is_refused_though_it_is_there(elsewhere, tmp_path):
    folder = tmp_path / "checkpoint"
    for place in (tmp_path, folder / "inside"):
        folders.write_folder(place, {"a": np.ones(3, np.float32)})
    name = elsewhere.format(folder=tmp_path)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    assert (folder / name).is_file()
    with pytest.raises(CheckpointError, match="expected a file of the same folder"):
        folders.open_folder(folder)


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "inside"),
    [
        (0, (3,), None, True), (4, (2,), None, True), (8, (2,), None, False), (5, (2,), None, False),
        (-4, (1,), None, False), (12, (0, 9), None, True), (13, (0,), None, False), (0, (2, 2), (1, 1), True),
        (0, (2, 2), (2, 1), False), (4, (2,), (1,), True), (4, (2,), (2,), False), (0, (), None, True),
    ],
)  # fmt: skip
def test_a_tensor_lies_within_its_file_to_the_last_byte(offset, shape, strides, inside, tmp_path):
    (tmp_path / "file").write_bytes(np.arange(3, dtype=np.float32).tobytes())
    file, region = MappedFile(tmp_path / "file"), Region(np.dtype(np.float32), shape, offset, strides)
    if not inside:
        with pytest.raises(CheckpointError, match=r"weight lies at bytes .*the file has 12"):
            file.check("weight", region)
    else:
        places = np.arange(3, dtype=np.float32)[offset // 4 :]
        steps = strides or [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        found = file.array(file.check("weight", region))
        assert found.shape == shape
        for index in np.ndindex(shape):
            assert found[index] == places[int(np.dot(index, steps))]
