"""Every kind of tensor in every format: what it is called there, how it lies there, and that it comes back to the bit."""

from dataclasses import replace

import numpy as np
import pytest

from multimodal.checkpoints.canonical import same_bits
from multimodal.checkpoints.formats import hdf5_file, msgpack_file, registry, safetensors_file, torch_writer
from multimodal.checkpoints.formats.tensor_index import UNKNOWN, TensorIndex
from multimodal.checkpoints.layout import KINDS, Kind
from multimodal.checkpoints.names.base import Row, Table, batch_norm
from multimodal.checkpoints.source import FreshSource, MemorySource
from multimodal.parity import draw

SHAPES = {
    Kind.LINEAR: (4, 6), Kind.EMBEDDING: (4, 6), Kind.TABLE: (1, 4, 6), Kind.CONV1D: (4, 5, 3), Kind.CONV2D: (4, 5, 2, 3),
    Kind.GROUPED_CONV1D: (4, 2, 3), Kind.GROUPED_CONV2D: (4, 2, 3, 5), Kind.DEPTHWISE_CONV2D: (6, 1, 2, 3),
    Kind.TRANSPOSED_CONV2D: (4, 5, 2, 3), Kind.SCALAR: (), Kind.INTEGERS: (3, 4),
}  # fmt: skip
ROWS = (
    *(
        Row(f"{name}.weight", f"layers.0.{name}.weight", shape, kind, ("none",) * len(shape))
        for kind, shape in SHAPES.items()
        for name in [kind.name.lower()]
        if kind not in (Kind.TABLE, Kind.SCALAR, Kind.INTEGERS)
    ),
    *batch_norm("norm", "layers.0.norm", 6),
    Row("positions", "positions", (1, 4, 6), Kind.TABLE, ("none",) * 3),
    Row("temperature", "temperature", (), Kind.SCALAR, (), initial=0.07),
    Row("layer_scale", "layers.0.lambda_1", (6,), Kind.SCALE, ("embed",), initial=0.1),
    Row("index", "layers.0.index", (3, 4), Kind.INTEGERS, ("none",) * 2),
)  # fmt: skip
FAMILY = TensorIndex(Table("", ROWS), {row.published: row for row in ROWS})
TENSORS = draw.weights(ROWS, seed=1)
IN_KERAS = {
    "layers_._0/linear/kernel:0": "oi->io", "layers_._0/embedding/embeddings:0": "vd->vd",
    "layers_._0/conv1d/kernel:0": "oil->lio", "layers_._0/grouped_conv1d/kernel:0": "oil->lio",
    "layers_._0/conv2d/kernel:0": "oihw->hwio", "layers_._0/grouped_conv2d/kernel:0": "oihw->hwio",
    "layers_._0/depthwise_conv2d/depthwise_kernel:0": "cmhw->hwcm", "layers_._0/transposed_conv2d/kernel:0": "iohw->hwoi",
    "layers_._0/norm/gamma:0": "c->c", "layers_._0/norm/beta:0": "c->c", "layers_._0/norm/moving_mean:0": "c->c",
    "layers_._0/norm/moving_variance:0": "c->c", "layers_._0/lambda_1:0": "c->c", "layers_._0/index:0": "ij->ij",
    "positions:0": "bsd->bsd", "temperature:0": "->",
}  # fmt: skip
IN_FLAX = {
    "params/layers/0/linear/kernel": "oi->io", "params/layers/0/embedding/embedding": "vd->vd",
    "params/layers/0/conv1d/kernel": "oil->lio", "params/layers/0/grouped_conv1d/kernel": "oil->lio",
    "params/layers/0/conv2d/kernel": "oihw->hwio", "params/layers/0/grouped_conv2d/kernel": "oihw->hwio",
    "params/layers/0/depthwise_conv2d/kernel": "cmhw->hwmc", "params/layers/0/transposed_conv2d/kernel": "iohw->hwoi",
    "params/layers/0/norm/scale": "c->c", "params/layers/0/norm/bias": "c->c", "batch_stats/layers/0/norm/mean": "c->c",
    "batch_stats/layers/0/norm/var": "c->c", "params/layers/0/lambda_1": "c->c", "batch_stats/layers/0/index": "ij->ij",
    "params/positions": "bsd->bsd", "params/temperature": "->",
}  # fmt: skip
"""{name in a file: what became of the published axes}; in the order of neither the rows nor each other."""
LEAVES = {
    "kernel": "weight", "depthwise_kernel": "weight", "embeddings": "weight", "embedding": "weight", "gamma": "weight",
    "scale": "weight", "beta": "bias", "moving_mean": "running_mean", "mean": "running_mean",
    "moving_variance": "running_var", "var": "running_var",
}  # fmt: skip
WRITERS = {
    "safetensors": safetensors_file.write_file, "pt-bin": torch_writer.write_file, "flax-msgpack": msgpack_file.write_file,
    "tf-h5": lambda path, tensors: hdf5_file.write_file(path, tensors, "model"),
}  # fmt: skip


def test_every_kind_is_among_the_rows_and_has_a_record():
    assert {row.kind for row in ROWS} == set(Kind) == set(KINDS)
    assert {kind for kind in Kind if kind.is_state} == {Kind.RUNNING_MEAN, Kind.RUNNING_VARIANCE, Kind.INTEGERS}


@pytest.mark.parametrize(("dialect", "wanted"), [("keras", IN_KERAS), ("flax", IN_FLAX)])
def test_each_dialect_has_its_own_names_and_orders(dialect, wanted, tmp_path):
    made = registry.to_dialect(MemorySource(TENSORS), dialect, FAMILY, tmp_path)
    assert made.shapes().keys() == wanted.keys()
    for key, axes in wanted.items():
        path = (
            key.removesuffix(":0").replace("_._", "/").removeprefix("params/").removeprefix("batch_stats/").split("/")
        )
        stem, leaf = path[:-1], path[-1]
        original = TENSORS[".".join([*stem, LEAVES.get(leaf, leaf)])]
        assert same_bits(made.read(key), np.einsum(axes, original))


@pytest.mark.parametrize("format", WRITERS)
def test_every_kind_survives_every_format_to_the_bit(format, tmp_path):
    dialect = registry.FORMATS[format].dialect
    WRITERS[format](tmp_path / "file", registry.to_dialect(MemorySource(TENSORS), dialect, FAMILY, tmp_path))
    name, opened = registry.open_file(tmp_path / "file")
    read = registry.to_published(opened, dialect, FAMILY, tmp_path)
    assert name == format
    assert read.shapes().keys() == TENSORS.keys()
    assert all(same_bits(np.array(read.read(name)), array) for name, array in TENSORS.items())


@pytest.mark.parametrize("dialect", ["keras", "flax"])
def test_statistics_that_no_table_knows_are_told_by_their_names(dialect, tmp_path):
    tensors = {name: TENSORS[f"layers.0.{name}"] for name in ("norm.weight", "norm.bias", "norm.running_mean")}
    made = registry.to_dialect(MemorySource(tensors), dialect, UNKNOWN, tmp_path)
    keys = {"keras": {"norm/gamma:0", "norm/beta:0", "norm/moving_mean:0"}}
    keys["flax"] = {"params/norm/scale", "params/norm/bias", "batch_stats/norm/mean"}
    assert made.shapes().keys() == keys[dialect]
    read = registry.to_published(made, dialect, UNKNOWN, tmp_path)
    assert all(same_bits(read.read(name), array) for name, array in tensors.items())


def test_drawn_values_are_what_their_kinds_allow():
    by_kind = {row.kind: TENSORS[row.published] for row in ROWS if row.published != "layers.0.lambda_1"}
    many = draw.weights([replace(row, shape=(4000,)) for row in batch_norm("norm", "norm", 1)], seed=2)
    assert 0.5 <= many["norm.running_var"].min() < 0.51
    assert 1.49 < many["norm.running_var"].max() < 1.5
    assert -0.5 <= many["norm.running_mean"].min() < -0.49
    assert 0.5 <= by_kind[Kind.SCALAR] < 1.5
    assert by_kind[Kind.SCALAR].shape == ()
    assert by_kind[Kind.INTEGERS].dtype == np.int64
    assert set(by_kind[Kind.INTEGERS].ravel().tolist()) <= set(range(4))
    summed = {Kind.CONV1D: 15, Kind.GROUPED_CONV2D: 30, Kind.DEPTHWISE_CONV2D: 6, Kind.TRANSPOSED_CONV2D: 24}
    for kind, count in summed.items():
        name = next(row.published for row in ROWS if row.kind == kind)
        np.testing.assert_array_equal(by_kind[kind], draw.uniform(1, name, SHAPES[kind]) * np.sqrt(3 / count))


def test_a_fresh_tensor_starts_from_what_its_row_says_before_its_kind():
    fresh = FreshSource(ROWS, 0, 0.02)
    values = {"temperature": 0.07, "layers.0.lambda_1": 0.1, "layers.0.norm.weight": 1, "layers.0.norm.bias": 0}
    values |= {"layers.0.norm.running_mean": 0, "layers.0.norm.running_var": 1, "layers.0.index": 0}
    for name, value in values.items():
        integer = name.endswith("index")
        assert fresh.dtype(name) == fresh.read(name).dtype == (np.int64 if integer else np.float32)
        assert np.all(fresh.read(name) == fresh.dtype(name).type(value))
    assert all(np.std(fresh.read(name)) > 0 for name in TENSORS if name not in values)
