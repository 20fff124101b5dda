"""What is demanded of a file that is broken or was made to do harm."""

from pathlib import Path

import numpy as np
import pytest

from multimodal.checkpoints.folder import open_folder
from multimodal.checkpoints.source import CheckpointError


def read_all(folder: Path) -> None:
    """Open a folder and read every tensor."""
    source = open_folder(folder)
    for name in source.shapes():
        np.array(source.read(name))


def refused(folder: Path, what: str | None = None) -> str:
    """The message of the CheckpointError; it names the file, or at least its folder."""
    with pytest.raises(CheckpointError, match=what) as caught:
        read_all(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)
