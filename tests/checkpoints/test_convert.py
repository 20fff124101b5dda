"""Conversions keep every bit, carry everything along, and leave what was there until they are done."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys

import goldens
import numpy as np
import pytest

from multimodal.checkpoints import folder as folders
from multimodal.checkpoints.canonical import same_bits
from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.formats import safetensors_file
from multimodal.checkpoints.proof import verify
from multimodal.checkpoints.source import CheckpointError, MemorySource

GPT2 = goldens.GOLDEN / "ved-vit-gpt2"


@pytest.mark.parametrize(("first", "second"), itertools.product(goldens.FORMATS, repeat=2))
@pytest.mark.parametrize("model", goldens.EVERY)
def test_every_format_to_every_format_and_back_keeps_every_bit(model, first, second, tmp_path):
    start = goldens.of_torch(model)
    for source, target, format in (("", "a", first), ("a", "b", second), ("b", "c", "pt-bin")):
        convert(tmp_path / source if source else start, tmp_path / target, format)
        proof = verify(start, tmp_path / target)
        assert proof.equal, proof.differences()
        assert proof.format_b == format


@pytest.mark.parametrize("format", goldens.FORMATS)
@pytest.mark.parametrize("model", goldens.EVERY)
def test_shards_of_every_format_keep_every_bit(model, format, tmp_path):
    start = goldens.GOLDEN / model / "pt-safetensors"
    done = convert(start, tmp_path / "shards", format, max_shard_size="30KB")
    assert len(done.files) > 3
    convert(tmp_path / "shards", tmp_path / "whole", "safetensors")
    assert verify(start, tmp_path / "shards").equal
    name = "model.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (start / name).read_bytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("format", goldens.FORMATS)
def test_element_types_are_kept(format, dtype, copied, tmp_path):
    start = copied("ved-vit-gpt2/pt-safetensors")
    tensors = {name: array.astype(dtype) for name, array in goldens.published(start).items()}
    folders.write_folder(start, tensors)
    convert(start, tmp_path / "made", format)
    assert verify(start, tmp_path / "made").equal
    assert {array.dtype.name for array in goldens.published(tmp_path / "made").values()} == {dtype}


def test_other_files_are_copied_and_other_formats_weights_are_not(copied, tmp_path):
    start = copied("ved-vit-gpt2/pt-bin")
    (start / "vocab.txt").write_text("a\nb\n")
    shutil.copy(GPT2 / "flax-msgpack" / "flax_model.msgpack", start)
    done = convert(start, tmp_path / "made", "tf-h5")
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == [
        "config.json", "generation_config.json", "tf_model.h5", "vocab.txt"
    ]  # fmt: skip
    assert (tmp_path / "made" / "vocab.txt").read_text() == "a\nb\n"
    assert done.left_out == {"decoder.lm_head.weight": "tied to decoder.transformer.wte.weight"}


@pytest.mark.parametrize("format", goldens.FORMATS)
def test_tensors_that_the_class_does_not_have_are_carried_through(format, copied, tmp_path):
    start = copied("ved-vit-bert/pt-safetensors")
    rng = np.random.default_rng(0)
    more = {
        "decoder.cls.seq_relationship.weight": (2, 32), "decoder.cls.seq_relationship.bias": (2,),
        "decoder.bert.pooler.dense.weight": (32, 32), "encoder.classifier.weight": (5, 32),
        "unheard.of.weight": (3, 4, 5), "unheard.of.norm.weight": (3,), "unheard.of.norm.bias": (3,),
        "unheard.of.conv.weight": (3, 4, 5, 6), "unheard.of.table": (3, 4), "unheard.of.3.norm.running_mean": (3,),
    }  # fmt: skip
    tensors = goldens.published(start) | {n: rng.standard_normal(s, np.float32) for n, s in more.items()}
    tensors |= {"decoder.bert.embeddings.position_ids": np.arange(40)[None]}
    folders.write_folder(start, tensors)
    convert(start, tmp_path / "made", format)
    assert verify(start, tmp_path / "made").equal
    assert goldens.published(tmp_path / "made").keys() == tensors.keys()


def test_a_tied_tensor_under_its_other_name_only_takes_its_first(copied, tmp_path):
    start = copied("ved-vit-gpt2/pt-safetensors")
    tensors = goldens.published(start)
    moved = {"decoder.lm_head.weight": tensors.pop("decoder.transformer.wte.weight")}
    folders.write_folder(start, tensors | moved)
    convert(start, tmp_path / "made", "flax-msgpack")
    assert verify(GPT2 / "pt-safetensors", tmp_path / "made").equal


def test_a_tied_tensor_with_values_of_its_own_is_not_lost(copied, tmp_path):
    start = copied("ved-vit-gpt2/pt-safetensors")
    tensors = goldens.published(start)
    tensors["decoder.lm_head.weight"] = tensors["decoder.transformer.wte.weight"] + 1
    folders.write_folder(start, tensors)
    convert(start, tmp_path / "made", "tf-h5")
    assert same_bits(goldens.published(tmp_path / "made")["decoder.lm_head.weight"], tensors["decoder.lm_head.weight"])


def test_the_prefix_of_the_base_network_follows_the_class(tmp_path):
    from multimodal import BertConfig
    from multimodal.checkpoints import names
    from multimodal.specs import bert

    config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=6)
    config.architectures = ["BertModel"]
    rng = np.random.default_rng(0)
    bare = {r.published: rng.standard_normal(r.published_shape, np.float32) for r in names.rows(config, bert.BertModel)}
    for name, tensors in (("bare", bare), ("prefixed", {f"bert.{key}": value for key, value in bare.items()})):
        config.save_pretrained(tmp_path / name)
        folders.write_folder(tmp_path / name, tensors)
        for format in goldens.FORMATS:
            convert(tmp_path / name, tmp_path / f"{name}-{format}", format)
            assert verify(tmp_path / "bare", tmp_path / f"{name}-{format}").equal
            assert goldens.published(tmp_path / f"{name}-{format}").keys() == bare.keys()


def test_a_format_that_needs_a_table_is_refused_without_one(copied, tmp_path):
    start = copied("ved-vit-gpt2/pt-bin")
    (start / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))
    convert(start, tmp_path / "a", "safetensors")
    with pytest.raises(CheckpointError, match="layouts follow from it"):
        convert(start, tmp_path / "b", "tf-h5")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("format", ["tf-h5", "flax-msgpack"])
def test_names_that_a_dialect_cannot_say_are_refused(format, copied, tmp_path):
    start = copied("ved-vit-gpt2/pt-safetensors")
    folders.write_folder(start, goldens.published(start) | {"a/b___c.gamma": np.ones(3, np.float32)})
    with pytest.raises(CheckpointError, match="a/b___c"):
        convert(start, tmp_path / "made", format)
    assert not (tmp_path / "made").exists()


# Targets


@pytest.fixture
def full(tmp_path):
    """A folder that holds another checkpoint, a note and a folder with a note."""
    folder = shutil.copytree(GPT2 / "pt-safetensors", tmp_path / "full")
    (folder / "notes.txt").write_text("kept")
    (folder / "more").mkdir()
    (folder / "more" / "notes.txt").write_text("kept too")
    return folder


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_full_folder_is_refused_and_stays_as_it_is(full):
    before = snapshot(full)
    with pytest.raises(ValueError, match="empty or a new folder"):
        convert(GPT2 / "pt-bin", full, "tf-h5")
    assert snapshot(full) == before


def test_overwriting_replaces_the_weights_and_keeps_the_rest(full):
    convert(goldens.GOLDEN / "ved-vit-bert" / "pt-bin", full, "tf-h5", overwrite=True)
    assert verify(goldens.GOLDEN / "ved-vit-bert" / "pt-bin", full).equal
    assert sorted(snapshot(full)) == [
        "config.json", "generation_config.json", "more/notes.txt", "notes.txt", "tf_model.h5"
    ]  # fmt: skip
    assert (full / "more" / "notes.txt").read_text() == "kept too"
    assert [path.name for path in full.parent.iterdir()] == ["full"]


def test_the_source_itself_is_refused_unless_it_is_to_be_overwritten(full):
    before = snapshot(full)
    for target in (full, full / ".", full.parent / "full" / "more" / ".."):
        with pytest.raises(ValueError, match="it is the source"):
            convert(full, target, "pt-bin")
    assert snapshot(full) == before
    convert(full, full, "pt-bin", overwrite=True)
    assert verify(GPT2 / "pt-bin", full).equal
    assert {"pytorch_model.bin", "notes.txt", "more/notes.txt"} <= snapshot(full).keys()
    assert "model.safetensors" not in snapshot(full)


def test_a_folder_that_holds_the_source_is_refused(full):
    with pytest.raises(ValueError, match="the source lies in it"):
        convert(full, full.parent, "pt-bin", overwrite=True)
    convert(full, full / "flax", "flax-msgpack")
    assert verify(full, full / "flax").equal


def test_a_file_or_an_unwritable_place_for_a_target(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValueError, match="got a file"):
        convert(GPT2 / "pt-bin", tmp_path / "file", "pt-bin")
    with pytest.raises(ValueError, match=r"inside.*cannot be written"):
        convert(GPT2 / "pt-bin", tmp_path / "file" / "inside", "pt-bin")
    with pytest.raises(ValueError, match="cannot be written"):
        convert(GPT2 / "pt-bin", "/proc/nothing/target", "pt-bin")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_without_permission(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir(mode=0o555)
    if os.geteuid() == 0:  # who may write everywhere: answer as for another user
        monkeypatch.setattr(os, "access", lambda path, mode: path != target)
    with pytest.raises(ValueError, match="not writable"):
        convert(GPT2 / "pt-bin", target, "pt-bin")


def test_an_unknown_format_or_size_or_source_is_named(tmp_path):
    with pytest.raises(ValueError, match="format: expected one of"):
        convert(GPT2 / "pt-bin", tmp_path / "a", "onnx")
    with pytest.raises(ValueError, match="max_shard_size"):
        convert(GPT2 / "pt-bin", tmp_path / "a", "pt-bin", max_shard_size="much")
    with pytest.raises(ValueError, match="no/such/folder"):
        convert("./no/such/folder", tmp_path / "a", "pt-bin")
    assert not list(tmp_path.iterdir())


def test_a_damaged_source_leaves_the_target_as_it_is(full, copied):
    start = copied("ved-vit-gpt2/pt-bin")
    content = (start / "pytorch_model.bin").read_bytes()
    (start / "pytorch_model.bin").write_bytes(content[: len(content) // 2])
    before = snapshot(full)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        convert(start, full, "tf-h5", overwrite=True)
    assert snapshot(full) == before
    assert {path.name for path in full.parent.iterdir()} == {"full", "copied"}


@pytest.mark.parametrize("format", ["safetensors", "tf-h5"])
def test_a_killed_conversion_leaves_the_old_folder(format, full):
    code = """
import sys, time
from multimodal.checkpoints.convert import convert
def slowly(done, total):
    print(done, flush=True)
    time.sleep(0.05)
convert(sys.argv[1], sys.argv[2], sys.argv[3], overwrite=True, progress=slowly)
"""
    before = snapshot(full)
    command = [sys.executable, "-c", code, str(goldens.GOLDEN / "ved-vit-bert" / "pt-bin"), str(full), format]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=goldens.ROOT)
    for _ in range(10):
        running.stdout.readline()
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    assert snapshot(full) == before


def test_an_interrupted_write_leaves_nothing_behind(tmp_path):
    class Breaks(MemorySource):
        def read(self, name):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        safetensors_file.write_file(tmp_path / "model.safetensors", Breaks({"a": np.ones(3)}))
    assert not list(tmp_path.iterdir())


def test_progress_ends_at_the_whole(tmp_path):
    seen = []
    done = convert(GPT2 / "pt-bin", tmp_path / "a", "tf-h5", progress=lambda part, total: seen.append((part, total)))
    assert [part for part, _ in seen] == sorted(part for part, _ in seen)
    assert seen[-1] == (done.bytes, done.bytes)


def test_memory_is_that_of_one_tensor(tmp_path):
    count, size = 24, 4_000_000
    tensors = {f"a.{i}.weight": np.full((size // 4,), i, np.float32) for i in range(count)}
    folders.write_folder(tmp_path / "source", tensors)
    del tensors
    code = """
import resource, sys, threading, time
from multimodal.checkpoints.convert import convert
convert(sys.argv[1] + "/source", sys.argv[1] + "/warm", "pt-bin")
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
base, peak = resident(), 0
def watch(done, total):
    global peak
    peak = max(peak, resident() - base)
convert(sys.argv[1] + "/source", sys.argv[1] + "/target", "pt-bin", progress=watch)
print(peak)
"""
    assert int(goldens.python(code, tmp_path).stdout) < 4 * size


def test_from_the_hub_comes_the_first_format_alone(tmp_path, monkeypatch):
    import fnmatch
    import pathlib

    import huggingface_hub

    def snapshot(name, allow_patterns, **options):
        there = ["config.json", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "vocab.txt"]
        sources = {file: GPT2 / kind / file for kind, file in goldens.FILES.values()} | {
            "config.json": GPT2 / "pt-bin/config.json"
        }
        target = pathlib.Path(tmp_path / "cache" / name)
        target.mkdir(parents=True, exist_ok=True)
        for file in there:
            if any(fnmatch.fnmatch(file, pattern) for pattern in allow_patterns):
                shutil.copy(sources[file], target)
        return str(target)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    convert("someone/model", tmp_path / "made", "tf-h5")
    assert verify(GPT2 / "pt-bin", tmp_path / "made").equal
    assert sorted(p.name for p in (tmp_path / "cache" / "someone" / "model").iterdir()) == [
        "config.json",
        "pytorch_model.bin",
    ]
