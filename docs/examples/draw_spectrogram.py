"""A sound as a picture: what this program plays is drawn by `multimodal spectrogram` (docs/images/spectrogram.png).

    python docs/examples/draw_spectrogram.py
    python docs/examples/draw_spectrogram.py --sound clip.wav --picture clip.png     # keeps the sound too

It plays a scale with overtones, a whistle that rises through five octaves, and three claps: in the picture steps with their
echoes above them, a line that is straight because the axis is a musical one at its upper end, and three columns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

RATE = 22050
SCALE = (0, 2, 4, 5, 7, 9, 11, 12)
"""A major scale in semitones above A3, 220 Hz."""


def scale(seconds: float = 0.25) -> np.ndarray:
    """Eight notes with four overtones each, which fade."""
    times = np.arange(int(seconds * RATE)) / RATE
    notes = [
        sum(np.sin(2 * np.pi * k * 220 * 2 ** (step / 12) * times) / k**1.5 for k in range(1, 6)) * np.exp(-6 * times)
        for step in SCALE
    ]
    return np.concatenate(notes)


def whistle(seconds: float = 1.5, lowest: float = 300.0, octaves: float = 5.0) -> np.ndarray:
    """One tone, each moment as much higher as the one before."""
    times = np.arange(int(seconds * RATE)) / RATE
    hertz = lowest * 2 ** (octaves * times / seconds)
    return 0.8 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)


def claps(seconds: float = 1.0, count: int = 3) -> np.ndarray:
    """Noise that fades at once."""
    times = np.arange(int(seconds * RATE / count)) / RATE
    noise = np.random.default_rng(0).uniform(-1, 1, (count, len(times)))
    return (noise * np.exp(-60 * times)).ravel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sound", type=Path, help="where to keep the sound: a wav, flac or ogg file")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/spectrogram.png"))
    options = parser.parse_args()
    clip = 0.5 * np.concatenate([scale(), whistle(), claps()])
    with tempfile.TemporaryDirectory() as name:
        sound = options.sound or Path(name) / "sound.wav"
        soundfile.write(sound, clip, RATE)
        command = [sys.executable, "-m", "multimodal", "spectrogram", str(sound), "--out", str(options.picture)]
        done = subprocess.run(command)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
