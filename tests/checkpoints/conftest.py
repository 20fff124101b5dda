"""The helpers of this folder (`support/`) and fixtures."""

import shutil
import sys
from pathlib import Path

import pytest

SUPPORT = str(Path(__file__).parent / "support")
if SUPPORT not in sys.path:
    sys.path.append(SUPPORT)

import goldens  # noqa: E402  # found in SUPPORT


@pytest.fixture
def copied(tmp_path):
    """A function that copies a folder of the reference into a folder of the test's own."""

    def copy(name: str, to: str = "copied") -> Path:
        return Path(shutil.copytree(goldens.GOLDEN / name, tmp_path / to))

    return copy


@pytest.fixture
def checkpoint(tmp_path):
    """A function that puts bytes in the place of a format's file, beside a configuration."""
    shutil.copy(goldens.GOLDEN / "ved-vit-bert" / "pt-bin" / "config.json", tmp_path)

    def put(content: bytes, name: str = "model.safetensors") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path

    return put


@pytest.fixture(scope="session")
def torch_files(tmp_path_factory):
    """Files that PyTorch itself wrote: {layout: path}, and the same tensors in expected.safetensors beside them."""
    folder = tmp_path_factory.mktemp("torch")
    goldens.python(WRITE_TORCH_FILES, folder)
    return {layout: folder / f"{layout}.bin" for layout in ("zip", "legacy", "expanded", "code")} | {"folder": folder}


WRITE_TORCH_FILES = """
import pathlib, sys
import torch
from safetensors.torch import save_file

folder = pathlib.Path(sys.argv[1])
base = torch.arange(24.0).reshape(4, 6)
tensors = {
    "parameter": torch.nn.Parameter(base.clone()), "transposed": base.t(), "window": base[1:3, 2:5], "shared": base,
    "bfloat16": base.bfloat16(), "float16": base.half(), "float64": base.double(), "scalar": torch.tensor(3.0),
    "int64": base.long(), "int8": base.to(torch.int8), "bool": base > 3, "float8": base.to(torch.float8_e4m3fn),
    "empty": torch.zeros(0, 3),
}
for layout in ("zip", "legacy"):
    torch.save(tensors, folder / f"{layout}.bin", _use_new_zipfile_serialization=layout == "zip")
torch.serialization.set_crc32_options(False)
torch.save({"base": base}, folder / "unchecked.bin")
torch.serialization.set_crc32_options(True)
torch.save(torch.nn.Linear(2, 3).state_dict(), folder / "module.bin")
torch.save({"a": torch.ones(3).expand(10**9, 3)}, folder / "expanded.bin")


class Code:
    def __reduce__(self):
        return exec, (f"import pathlib; pathlib.Path({str(folder / 'ran')!r}).touch()",)


torch.save({"a": base, "b": Code()}, folder / "code.bin")
torch.save({"a": base, "b": Code()}, folder / "legacy_code.bin", _use_new_zipfile_serialization=False)
save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, folder / "expected.safetensors")
"""
