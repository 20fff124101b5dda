"""`datasets` without a network: what the examples load, a picture and recordings."""

import math

from requests import photograph


class Audio:
    """What a column of sound says of itself."""

    sampling_rate = 16000


class Recordings:
    """Rows of a data set of speech: one by its number, several as columns."""

    def __init__(self, rows):
        self.rows, self.features = list(rows), {"audio": Audio}

    def sort(self, column):
        return Recordings(sorted(self.rows, key=lambda row: row[column]))

    def __getitem__(self, at):
        rows = self.rows[at]
        return rows if isinstance(rows, dict) else {name: [row[name] for row in rows] for name in rows[0]}


def tone(samples, pitch):
    """A clip of a tone that swells."""
    import numpy as np

    time = np.arange(samples) / 16000
    return (np.sin(2 * math.pi * pitch * time) * time / time[-1]).astype(np.float32)


def recordings():
    """Two clips, as long as the documented shapes say, and shorter."""
    rows = (("1272-1", "MISTER QUILTER", 93680, 220.0), ("1272-2", "NOR IS", 77040, 330.0))
    return Recordings(
        {"id": name, "text": text, "audio": {"array": tone(samples, pitch), "sampling_rate": 16000}}
        for name, text, samples, pitch in rows
    )


def load_dataset(name, *parts, **options):
    """The data sets that there are. Errors: KeyError for any other."""
    known = {
        "huggingface/cats-image": lambda: {"test": {"image": [photograph()]}},
        "hf-internal-testing/librispeech_asr_demo": recordings,
    }
    return known[name]()
