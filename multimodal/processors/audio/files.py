"""Audio files through soundfile: wav, flac and ogg, whole or not at all.

The library behind soundfile reads what there is of a file that was cut off and says nothing. So each format's own count is
held against what there is: a wav's size of its data, a flac's number of samples, the last page of an ogg.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from multimodal.processors.audio.resampling import MAX_SAMPLES, checked_rate
from multimodal.processors.shown import reason

FORMATS = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "FLAC": "flac", "OGG": "ogg"}
"""soundfile's names of the formats that are read."""

_BLOCK = 2**16

# A wav that was written into a pipe does not know its size: programs leave the largest number there, or nearly that.
_UNKNOWN_SIZE = 2**31 - 2**16

# An ogg page: 27 bytes with its flags in the sixth, then up to 255 sizes of segments of up to 255 bytes.
_LONGEST_PAGE = 27 + 255 + 255 * 255
_LAST_PAGE = 4


class Recording(NamedTuple):
    """What a file holds: float32 samples (samples, channels), PCM scaled to -1..1, and how many are a second."""

    samples: np.ndarray
    sampling_rate: int


def read_file(path: str | os.PathLike, place: str = "raw_speech") -> Recording:
    """A whole wav, flac or ogg file. `place` is what a message calls the argument.

    Errors: ValueError with the file's name for one that is missing, of another format, damaged, cut off, empty or of more
    than MAX_SAMPLES samples; ImportError that names the extra where soundfile is not installed.
    """
    path = Path(path)
    soundfile = _soundfile()
    expected = f"{place}: expected a whole wav, flac or ogg file in {str(path)[:300]}"
    try:
        with path.open("rb") as file:
            recording = _read(soundfile, file)
    except FileNotFoundError as error:
        raise ValueError(f"{expected}, but the file does not exist") from error
    except IsADirectoryError as error:
        raise ValueError(f"{expected}, but that is a folder") from error
    except (OSError, ValueError, RuntimeError, MemoryError) as error:  # soundfile's own are RuntimeErrors
        told = "not enough memory" if isinstance(error, MemoryError) else _told(soundfile, error)
        raise ValueError(f"{expected}, got {told}") from error
    if not np.isfinite(recording.samples).all():
        raise ValueError(f"{expected}, got samples that are not finite")
    return recording


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there without the library that it loads
        raise ImportError(
            'audio files need soundfile, which is not installed: pip install "multimodal-parity[audio]"'
        ) from error
    return soundfile


def _told(soundfile: Any, error: Exception) -> str:
    """The library's message without the object's address that soundfile puts before it."""
    text = getattr(error, "error_string", None) if isinstance(error, soundfile.LibsndfileError) else None
    return text.rstrip(". ") if text else reason(error)


def _read(soundfile: Any, file: BinaryIO) -> Recording:
    size = os.fstat(file.fileno()).st_size
    with soundfile.SoundFile(file) as sound:
        if sound.format not in FORMATS:
            raise ValueError(f"the format {sound.format}")
        rate, told = checked_rate("sampling rate", sound.samplerate), sound.frames
        blocks = list(_blocks(soundfile, sound))
        kind = FORMATS[sound.format]
    frames = sum(map(len, blocks))
    if not frames:
        raise ValueError("no samples")
    if frames < told:
        raise ValueError(f"a file that was cut off ({frames} of {told} samples)")
    if kind == "wav":
        _check_wav(file, size)
    elif kind == "ogg":
        _check_ogg(file, size)
    return Recording(np.concatenate(blocks), rate)


def _blocks(soundfile: Any, sound: Any) -> Iterator[np.ndarray]:
    """The samples some at a time, so that a header that lies about the length takes no memory. Errors: ValueError."""
    samples = 0
    try:
        while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
            samples += block.size
            if samples > MAX_SAMPLES:
                raise ValueError(f"more than {MAX_SAMPLES} samples")
            yield block
    except soundfile.LibsndfileError as error:
        raise ValueError(f"a file that is damaged or was cut off ({_told(soundfile, error)})") from error


def _check_wav(file: BinaryIO, size: int) -> None:
    """ValueError where the data are shorter than their chunk says."""
    file.seek(0)
    form, _, _ = struct.unpack("<4sI4s", file.read(12))
    order = ">" if form == b"RIFX" else "<"
    long_size = None
    while len(header := file.read(8)) == 8:
        name, length = struct.unpack(f"{order}4sI", header)
        if name == b"ds64" and length >= 16:  # RF64: the sizes that four bytes cannot hold
            long_size = struct.unpack("<8xQ", file.read(16))[0]
            length -= 16
        if name == b"data":
            known = long_size if length == 2**32 - 1 and long_size is not None else length
            there = size - file.tell()
            if known < _UNKNOWN_SIZE and known > there:
                raise ValueError(f"a file that was cut off ({there} of {known} bytes of data)")
            return
        file.seek(length + length % 2, os.SEEK_CUR)


def _check_ogg(file: BinaryIO, size: int) -> None:
    """ValueError where the last page is not whole, or is not marked as the end of its stream."""
    file.seek(max(0, size - 2 * _LONGEST_PAGE))
    tail = file.read()
    start = tail.rfind(b"OggS")
    page = tail[start:]
    whole = start >= 0 and len(page) >= 27 and len(page) >= 27 + page[26]
    if not whole or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]) or not page[5] & _LAST_PAGE:
        raise ValueError("a file that was cut off (its last page is not the end of a stream)")
