"""Models without a framework: the neutral half of every public class around a dictionary of arrays."""

import numpy as np
import pytest

from multimodal import registry, specs
from multimodal.modeling.base import ModelBase
from multimodal.modeling.composite import EncoderDecoderBase


class Arrays(ModelBase):
    """A public class whose network is {our name: array in the layout of its backend}."""

    def __init__(self, config, *, parts=None, seed=0, dtype=None, _do_init=True):
        self._prepare(config, parts)
        self._build()
        if _do_init:
            self._initialise(seed)

    def _build(self):
        self.network = {}

    def _load(self, pairs):
        self.network |= {name: np.array(array) for name, array in pairs}

    def _fetch(self, names=None):
        return {name: array for name, array in self.network.items() if names is None or name in names}

    def _sizes(self):
        return {}

    def _reshape(self, arrays, sizes):
        self.network |= arrays

    def _ready(self):
        pass

    def get_input_embeddings(self):
        (name,) = (name for name in self.network if name.endswith("embeddings.tokens.weight"))
        return self.network[name]


class CompositeArrays(EncoderDecoderBase, Arrays):
    """The composite: its halves hold their arrays themselves."""

    def __init__(self, config=None, encoder=None, decoder=None, *, seed=0, dtype=None, _do_init=True):
        config = self._composite_config(config, encoder, decoder)
        self.given = {side: half for side, half in (("encoder", encoder), ("decoder", decoder)) if half is not None}
        super().__init__(config, _do_init=False)
        if _do_init:
            self._initialise(seed, skip=tuple(f"{side}." for side in self.given))

    def _build(self):
        super()._build()
        for side in ("encoder", "decoder"):
            half = self.given.get(side) or self.half_class(side)(getattr(self.config, side), _do_init=False)
            setattr(self, side, half)

    def _load(self, pairs):
        for name, array in pairs:
            side, _, rest = name.partition(".")
            half, key = (getattr(self, side), rest) if side in ("encoder", "decoder") else (self, name)
            half.network[key] = np.array(array)

    def _fetch(self, names=None):
        halves = {"encoder.": self.encoder, "decoder.": self.decoder}
        return self.network | {start + name: a for start, half in halves.items() for name, a in half.network.items()}


@pytest.fixture
def public(monkeypatch):
    """A function: the class of a name, with arrays in the layout of `backend`. Auto classes build such ones too."""

    def make(name, backend="pt"):
        base = CompositeArrays if name == "VisionEncoderDecoderModel" else Arrays
        return type(name, (base,), {"spec": specs.of(name), "backend": backend})

    monkeypatch.setattr(registry, "model_class", lambda backend, name: make(name, backend))
    return make
