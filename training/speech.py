"""Spoken digits and command words: espeak-ng says them, in many voices, at many speeds and pitches.

A voice is an accent of English and a timbre (what espeak-ng calls a variant). No voice with a timbre of `TEST` is ever trained
on, and none with the accent `UNHEARD`. The same seed asks for the same clips everywhere; what espeak-ng makes of them is
the same for the same version of it (1.51 made what the checkpoint was trained on). Debian: `apt-get install espeak-ng`.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from multimodal.files import replacing

RATE = 16000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COMMANDS = ("yes", "no", "on", "off", "up", "down", "left", "right", "stop", "go")
WORDS = (*DIGITS, *COMMANDS)
SHORTEST, LONGEST = 1, 4
"""Words of a clip."""

ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-us-nyc", "en-gb-x-gbclan")
UNHEARD = "en-029"
"""The accent of the Caribbean: only the test has it."""

TRAINING = (
    *("m1", "m2", "m3", "m5", "m6", "m8", "f1", "f2", "f4", "Alex", "Alicia", "Andy", "Annie", "Diogo", "Gene", "Henrique"),
    *("Hugo", "Lee", "Marco", "Michael", "adam", "antonio", "aunty", "belinda", "benjamin", "boris", "david", "edward"),
    *("grandma", "iven", "john", "klatt2", "marcelo", "max", "miguel", "norbert", "pablo", "pedro", "quincy", "robert"),
    *("sandro", "shelby", "steph", "travis", "victor"),
)  # fmt: skip
VALIDATION = ("m7", "f5", "Andrea", "Denis", "caleb", "iven2", "paul", "steph2")
TEST = ("m4", "f3", "Jacky", "Mike", "ed", "gustave", "linda", "michel", "rob", "zac")
"""Timbres. Recipes are chosen on those of `VALIDATION`."""

CACHE = Path.home() / ".cache" / "multimodal" / "speech"


class Request(NamedTuple):
    """What is to be said and how: words in a minute, pitch of 0 to 99, hundredths of a second between words."""

    text: str
    accent: str
    timbre: str
    speed: int
    pitch: int
    gap: int


class Clips(NamedTuple):
    """Mono clips (samples,) of int16 at RATE, and what was asked for."""

    samples: list[np.ndarray]
    requests: list[Request]

    def texts(self) -> list[str]:
        """What is said in each clip."""
        return [request.text for request in self.requests]


def requests(count: int, timbres: Sequence[str], accents: Sequence[str], seed: int) -> list[Request]:
    """Clips to ask for: all voices in turn, the rest drawn."""
    rng = np.random.default_rng(seed)
    voices = [(accent, timbre) for accent in accents for timbre in timbres]
    order = np.concatenate([rng.permutation(len(voices)) for _ in range(-(-count // len(voices)))])[:count]
    found = []
    for place in order:
        words = rng.choice(WORDS, rng.integers(SHORTEST, LONGEST + 1))
        speed, pitch, gap = rng.integers(120, 216), rng.integers(15, 86), rng.integers(0, 7)
        found.append(Request(" ".join(words), *voices[place], int(speed), int(pitch), int(gap)))
    return found


def held_out(count: int = 1000, seed: int = 0) -> list[Request]:
    """What word errors are counted on: timbres that nothing was trained on, an eighth of them in the accent that nothing was
    trained on."""
    return requests(count, TEST, (*ACCENTS, UNHEARD), 10**6 + seed)


def speak(request: Request) -> np.ndarray:
    """What espeak-ng says, (samples,) of int16 at RATE. Errors: OSError, subprocess.CalledProcessError."""
    command = [
        *("espeak-ng", "--stdout", "-v", f"{request.accent}+{request.timbre}", "-s", str(request.speed)),
        *("-p", str(request.pitch), "-g", str(request.gap), request.text),
    ]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    samples, rate = soundfile.read(io.BytesIO(made), dtype="float32")
    sound = soxr.resample(samples, rate, RATE, quality="HQ")
    return np.clip(np.rint(sound * 2**15), -(2**15), 2**15 - 1).astype(np.int16)


def version() -> bytes:
    """What espeak-ng says of itself, without where its data lie. Errors: FileNotFoundError where it is not installed."""
    if shutil.which("espeak-ng") is None:
        raise FileNotFoundError("espeak-ng: expected it to be installed (Debian: apt-get install espeak-ng)")
    return subprocess.run(["espeak-ng", "--version"], capture_output=True, check=True).stdout.split(b" Data at")[0]


def spoken(wanted: Sequence[Request], cache: Path = CACHE, progress: Callable[[int], None] | None = None) -> Clips:
    """The clips, from a file in `cache` where they were made before; `progress` is called with how many are done."""
    name = hashlib.sha256(version() + repr(list(wanted)).encode()).hexdigest()[:16]
    path = cache / f"{name}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = []
        with ThreadPoolExecutor(2) as pool:
            for samples in pool.map(speak, wanted):
                made.append(samples)
                if progress is not None and len(made) % 1000 == 0:
                    progress(len(made))
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, sound=np.concatenate(made), lengths=[len(samples) for samples in made])
    with np.load(path) as kept:
        return Clips(np.split(kept["sound"], np.cumsum(kept["lengths"])[:-1]), list(wanted))


def altered(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A clip as another throat, room and microphone might give it, float32: faster and higher or slower and lower by up to an
    eighth, brighter or darker, with noise, and with silence before and behind it."""
    sound = sound.astype(np.float32) / 2**15
    sound = soxr.resample(sound, RATE, round(RATE * np.exp(rng.uniform(-0.12, 0.12))), quality="LQ")
    tilt = np.float32(rng.uniform(-0.5, 0.5))
    sound[1:] += tilt * sound[:-1]
    before, behind = rng.integers(0, RATE // 6, 2)
    sound = np.pad(sound, (before, behind))
    loud = np.sqrt(np.mean(sound**2))
    noise = rng.standard_normal(len(sound), np.float32)
    if rng.random() < 0.5:  # of a low voice rather than a hiss
        noise[1:] += np.float32(0.9) * noise[:-1]
    return sound + np.float32(loud * 10 ** -rng.uniform(0.75, 3)) * noise
