"""Every backend loads every format as the same tensors, and owns them afterwards. One process per backend."""

import json
import shutil

import goldens
import pytest

from multimodal.checkpoints.convert import convert

LOAD = """
import json, pathlib, sys
import numpy as np
from safetensors.numpy import load_file
from multimodal.parity.run import load_class

backend, folders = sys.argv[1], json.loads(sys.argv[2])
wrong = []
for folder, expected in folders.items():
    path = pathlib.Path(folder)
    model = load_class(path, backend).from_pretrained(path)
    if model.load_report.lines():
        wrong.append([folder, str(model.load_report)])
    for file in path.iterdir():  # a model that lives in the file would change with it
        if not file.suffix == ".json":
            with file.open("r+b") as opened:
                opened.write(bytes(file.stat().st_size))
    expected = {
        name: array.astype(np.float32)
        for name, array in load_file(expected).items()
        if not name.endswith("num_batches_tracked")  # no weight
    }
    got = model.published_tensors()
    different = [name for name in expected if not np.array_equal(got[name], expected[name])]
    if different or got.keys() != expected.keys():
        wrong.append([folder, different[:5]])
print(json.dumps(wrong))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A function: copies of every folder of the reference and of shards of every format: {folder: true tensors}."""

    def make(backend):
        root = tmp_path_factory.mktemp(backend)
        made = {}
        for name in goldens.FOLDERS:
            kind = "pt-float16" if name.endswith("float16") else "pt-safetensors"
            true = goldens.GOLDEN / name.split("/")[0] / kind / "model.safetensors"
            made[str(shutil.copytree(goldens.GOLDEN / name, root / name.replace("/", "-")))] = str(true)
        start = goldens.GOLDEN / "ved-vit-bert" / "pt-safetensors"
        for format in goldens.FORMATS:
            convert(start, root / f"shards-{format}", format, max_shard_size="90KB")
            made[str(root / f"shards-{format}")] = str(start / "model.safetensors")
        return made

    return make


@pytest.mark.parametrize("backend", ["pt", "tf", "flax"])
def test_a_backend_loads_every_format_and_owns_its_memory(backend, folders):
    done = goldens.python(LOAD, backend, json.dumps(folders(backend)))
    assert json.loads(done.stdout.splitlines()[-1]) == []
