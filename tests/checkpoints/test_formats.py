"""Every format is read as the same published tensors, and written as the reference library writes it."""

import json

import goldens
import h5py
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from multimodal.checkpoints import folder
from multimodal.checkpoints.canonical import same_bits
from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.formats import (
    hdf5_file,
    keras_names,
    msgpack_file,
    registry,
    safetensors_file,
    torch_writer,
)
from multimodal.checkpoints.source import MemorySource


@pytest.mark.parametrize("name", goldens.FOLDERS)
def test_every_folder_of_the_reference_holds_the_published_tensors(name):
    model, kind = name.split("/")
    expected = load_file(goldens.GOLDEN / model / "pt-safetensors" / "model.safetensors")
    got = goldens.published(goldens.GOLDEN / name)
    if kind == "pt-float16":
        expected = {name: array.astype(np.float16) for name, array in expected.items()}
    if not kind.startswith("pt"):
        expected = goldens.weights(expected)
    tied = folder.open_folder(goldens.GOLDEN / name).index.tied
    assert got.keys() - tied.keys() == expected.keys()
    assert all(same_bits(got[name], expected.get(name, expected.get(tied.get(name)))) for name in got)


@pytest.mark.parametrize(("model", "format"), goldens.WRITTEN)
def test_what_is_written_has_the_names_shapes_and_values_of_the_reference_s_own_file(model, format, tmp_path):
    kind, file = goldens.FILES[format]
    convert(goldens.GOLDEN / model / "pt-safetensors", tmp_path / "made", format)
    _, ours = registry.open_file(tmp_path / "made" / file)
    _, theirs = registry.open_file(goldens.GOLDEN / model / kind / file)
    written = ours.shapes() if format in ("safetensors", "pt-bin") else goldens.weights(ours.shapes())
    aliases = theirs.shapes().keys() - written.keys()
    assert aliases <= folder.open_folder(goldens.GOLDEN / model / kind).index.tied.keys()
    assert {**theirs.shapes(), **written} == theirs.shapes()
    assert all(same_bits(ours.read(name), theirs.read(name)) for name in written)


@pytest.mark.parametrize("model", [model for model, format in goldens.WRITTEN if format == "tf-h5"])
def test_hdf5_has_the_reference_s_groups_and_attributes(model, tmp_path):
    convert(goldens.GOLDEN / model / "pt-safetensors", tmp_path / "made", "tf-h5")

    def structure(path):
        with h5py.File(path) as file:
            names = {group: {*goldens.weights(dict.fromkeys(_listed(file[group])))} for group in file}
            layers = sorted(name for name in map(_text, file.attrs["layer_names"]) if names[name])
            return {layer: names[layer] for layer in layers}, layers, file.attrs["backend"]

    ours, *rest = structure(tmp_path / "made/tf_model.h5")
    theirs, *others = structure(goldens.GOLDEN / model / "tf-h5/tf_model.h5")
    assert rest == others
    assert ours.keys() == theirs.keys()
    for group, names in theirs.items():  # LXMERT's head lists the embeddings that it shares with the network again
        elsewhere = set().union(*(listed for other, listed in theirs.items() if other != group))
        assert ours[group] | (names & elsewhere) == names
        assert all(any(name in own for own in ours.values()) for name in names)


def _listed(group):
    return map(_text, group.attrs["weight_names"])


def _text(name):
    return name.decode() if isinstance(name, bytes) else name


@pytest.mark.parametrize("model", [model for model, format in goldens.WRITTEN if format == "pt-bin"])
def test_safetensors_are_the_bytes_of_the_reference(model, tmp_path):
    convert(goldens.GOLDEN / model / "pt-bin", tmp_path / "made", "safetensors")
    expected = (goldens.GOLDEN / model / "pt-safetensors" / "model.safetensors").read_bytes()
    assert (tmp_path / "made" / "model.safetensors").read_bytes() == expected


def test_safetensors_are_the_bytes_of_the_safetensors_library(tmp_path):
    tensors = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in goldens.every_dtype().items()}
    save_file(tensors, tmp_path / "library", metadata={"format": "pt"})
    safetensors_file.write_file(tmp_path / "ours", MemorySource(tensors))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "library").read_bytes()


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_a_header_whose_length_looks_like_a_pickle_is_one_of_safetensors(length, tmp_path):
    tensors = {"a": np.arange(3.0)}
    for size in range(length - 200, length):
        save_file(tensors, tmp_path / "file", metadata={"filler": "x" * size})
        if int.from_bytes((tmp_path / "file").read_bytes()[:8], "little") == length:
            break
    name, read = registry.open_file(tmp_path / "file")
    assert (tmp_path / "file").read_bytes()[:2] == length.to_bytes(2, "little")
    assert name == "safetensors"
    np.testing.assert_array_equal(read.read("a"), tensors["a"])


WRITERS = {
    "safetensors": (safetensors_file.write_file, ()),
    "pt-bin": (torch_writer.write_file, ("float8_e4m3fn", "float8_e5m2", "uint64", "uint32", "uint16")),
    "tf-h5": (lambda path, tensors: hdf5_file.write_file(path, tensors, "model"), ("float8_e4m3fn", "float8_e5m2")),
    "flax-msgpack": (msgpack_file.write_file, ()),
}


@pytest.mark.parametrize("format", WRITERS)
def test_every_element_type_and_shape_survives(format, tmp_path):
    write, skip = WRITERS[format]
    tensors = goldens.every_dtype(*skip)
    write(tmp_path / "file", MemorySource(tensors))
    name, read = registry.open_file(tmp_path / "file")
    assert name == format
    assert read.shapes() == {name: array.shape for name, array in tensors.items()}
    assert all(read.dtype(name) == array.dtype for name, array in tensors.items())
    assert all(same_bits(read.read(name), array) for name, array in tensors.items())


def test_an_element_type_that_a_format_does_not_have_is_an_error_that_names_the_tensor(tmp_path):
    tensors = MemorySource({"layer/a": np.zeros(2, ml_dtypes.float8_e5m2)})
    for format in ("pt-bin", "tf-h5"):
        with pytest.raises(ValueError, match=r"file.*(layer/a|HDF5)"):
            WRITERS[format][0](tmp_path / "file", tensors)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", WRITERS)
def test_the_same_tensors_give_the_same_bytes(format, tmp_path):
    write, skip = WRITERS[format]
    for name in ("a", "b"):
        write(tmp_path / name, MemorySource(goldens.every_dtype(*skip)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_files_of_pytorch_itself_are_read_with_shared_and_strided_storages(layout, torch_files):
    format, read = registry.open_file(torch_files[layout])
    expected = safetensors_file.open_file(torch_files["folder"] / "expected.safetensors")
    assert format == "pt-bin"
    assert read.shapes() == expected.shapes()
    assert all(same_bits(read.read(name), expected.read(name)) for name in expected.shapes())


def test_a_module_s_state_with_its_metadata_is_read(torch_files):
    assert registry.open_file(torch_files["folder"] / "module.bin")[1].shapes() == {"weight": (3, 2), "bias": (3,)}


def test_a_compressed_archive_is_read(torch_files, tmp_path):
    import zipfile

    with zipfile.ZipFile(torch_files["zip"]) as old, zipfile.ZipFile(tmp_path / "x", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    plain, packed = registry.open_file(torch_files["zip"])[1], registry.open_file(tmp_path / "x")[1]
    assert all(same_bits(plain.read(name), packed.read(name)) for name in plain.shapes())


def test_pytorch_reads_what_is_written_without_running_code(tmp_path):
    skip = WRITERS["pt-bin"][1]
    torch_writer.write_file(tmp_path / "file", MemorySource(goldens.every_dtype(*skip)))
    code = """
import json, sys, torch
for mmap in (False, True):
    tensors = torch.load(sys.argv[1], weights_only=True, mmap=mmap)
print(json.dumps({k: [str(v.dtype), list(v.shape), v.double().flatten().tolist()] for k, v in tensors.items()}))
"""
    read = json.loads(goldens.python(code, tmp_path / "file").stdout)
    expected = goldens.every_dtype(*skip)
    assert read.keys() == expected.keys()
    for name, (dtype, shape, values) in read.items():
        assert dtype == f"torch.{expected[name].dtype.name}"
        np.testing.assert_array_equal(np.array(values).reshape(shape), expected[name].astype(np.float64))


@pytest.mark.parametrize("chunk", [1 << 30, 16])
def test_flax_reads_what_is_written_and_the_other_way_round(chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(msgpack_file, "CHUNK_BYTES", chunk)
    tensors = goldens.every_dtype()
    msgpack_file.write_file(tmp_path / "ours", MemorySource(tensors))
    code = """
import sys
from flax import serialization
serialization.MAX_CHUNK_SIZE = int(sys.argv[3])
tree = serialization.msgpack_restore(open(sys.argv[1], "rb").read())
open(sys.argv[2], "wb").write(serialization.msgpack_serialize(tree))
"""
    goldens.python(code, tmp_path / "ours", tmp_path / "theirs", chunk)
    for name in ("ours", "theirs"):
        _, read = registry.open_file(tmp_path / name)
        assert all(same_bits(read.read(key), array) for key, array in tensors.items())


def test_bfloat16_in_hdf5_is_a_floating_type_for_everyone(tmp_path):
    numbers = np.array([1.5, -2.0, np.inf], ml_dtypes.bfloat16)
    hdf5_file.write_file(tmp_path / "file", MemorySource({"layer/a": numbers}), "model")
    with h5py.File(tmp_path / "file") as file:
        np.testing.assert_array_equal(np.asarray(file["layer/model/layer/a"]), numbers.astype(np.float32))


def test_long_lists_of_names_are_split_over_attributes(tmp_path):
    tensors = {f"layer/{'long' * 10}_{i}/kernel:0": np.full(1, i, np.float32) for i in range(3000)}
    hdf5_file.write_file(tmp_path / "file", MemorySource(tensors), "model")
    assert registry.open_file(tmp_path / "file")[1].shapes().keys() == tensors.keys()
    with h5py.File(tmp_path / "file") as file:
        parts = [file["layer"].attrs[f"weight_names{i}"] for i in range(len(file["layer"].attrs))]
    assert [f"model/{name}".encode() for name in tensors] == list(np.concatenate(parts))


def test_a_chunked_and_compressed_hdf5_file_is_read(tmp_path):
    numbers = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    with h5py.File(tmp_path / "file", "w") as file:
        file.create_group("layer").attrs["weight_names"] = [b"model/layer/kernel:0"]
        file["layer"].create_dataset("model/layer/kernel:0", data=numbers, compression="gzip", shuffle=True)
    assert same_bits(registry.open_file(tmp_path / "file")[1].read("layer/kernel:0"), numbers)


@pytest.mark.parametrize(
    ("class_name", "scope"),
    [("VisionEncoderDecoderModel", "tf_vision_encoder_decoder_model"), ("ViTModel", "tf_vi_t_model"),
     ("LxmertForPreTraining", "tf_lxmert_for_pre_training"),
     ("Data2VecVisionForSemanticSegmentation", "tf_data2_vec_vision_for_semantic_segmentation")],
)  # fmt: skip
def test_whole_models_have_keras_names(class_name, scope):
    assert keras_names.model_scope(class_name) == scope


def test_the_content_of_a_file_decides_not_its_name(copied):
    made = copied("ved-vit-gpt2/tf-h5")
    (made / "tf_model.h5").rename(made / "pytorch_model.bin")
    source = folder.open_folder(made)
    assert source.format == "tf-h5"
    assert all(
        same_bits(array, source.read(n))
        for n, array in goldens.published(goldens.GOLDEN / "ved-vit-gpt2/pt-safetensors").items()
    )


def test_safetensors_come_first_unless_another_format_is_asked_for(copied):
    made = copied("ved-vit-gpt2/pt-safetensors")
    for name, file in (
        ("tf-h5", "tf_model.h5"),
        ("pt-bin", "pytorch_model.bin"),
        ("flax-msgpack", "flax_model.msgpack"),
    ):
        (made / file).write_bytes((goldens.GOLDEN / "ved-vit-gpt2" / name / file).read_bytes())
        assert folder.open_folder(made).format == "safetensors"
        assert folder.open_folder(made, name).format == name
    (made / "model.safetensors").unlink()
    assert folder.open_folder(made).format == "pt-bin"
    with pytest.raises(ValueError, match="format: expected one of"):
        folder.open_folder(made, "nothing")


def test_views_are_read_only_and_stay_valid_after_others_are_read():
    for format in goldens.FORMATS:
        source = folder.open_folder(goldens.GOLDEN / "ved-vit-gpt2" / goldens.FILES[format][0])
        views = {name: source.read(name) for name in source.shapes()}
        assert all(same_bits(views[name], source.read(name)) for name in reversed(list(views)))
        assert not any(view.flags.writeable for view in views.values())
