"""A checkpoint that is read with, in every backend that is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from multimodal import banner, hub
from multimodal.registry import TITLES
from multimodal.serving.batching import Batcher
from multimodal.serving.limits import FORMATS, MOST_TOKENS, Limits, Settings
from multimodal.serving.reader import Seen, Token, prepare, read
from multimodal.serving.uploads import opened
from multimodal.tasks.loading import Loaded, installed_backends, load

MOST_EXAMPLES = 8


class Service:
    """The models, the threads that decode and read, and what is at work. `start` it before, `close` it after use."""

    def __init__(
        self,
        checkpoint: str,
        backend: str | None = None,
        limits: Limits | None = None,
        loader: Callable[[str, str, str | None], Loaded] = load,
    ):
        """Load the checkpoint in its first backend. Errors: ValueError, ImportError as `tasks.load`."""
        self.checkpoint, self.limits, self.loader = checkpoint, limits or Limits(), loader
        first = loader(checkpoint, "image_to_text", backend)
        self.loaded = {first.backend: first}
        self.backends = [first.backend, *(name for name in installed_backends() if name != first.backend)]
        self.batcher = Batcher(self._read, self.limits)
        self.uploads = 0
        """How many pictures are on their way, or wait to be decoded."""
        folder = hub.find_folder(checkpoint, ["config.json"]) / "images"
        self.examples = sorted(folder.glob("*.png"))[:MOST_EXAMPLES]
        self._processor, self._decoding = first.image_processor, ThreadPoolExecutor(1, "decoding")

    def start(self) -> None:
        """Begin to read."""
        self.batcher.start()

    def close(self) -> None:
        """Tell everyone who waits that it is over."""
        self.batcher.close()
        self._decoding.shutdown(wait=False, cancel_futures=True)

    async def prepared(self, data: bytes) -> Seen:
        """A file's bytes as the model sees them; decoded off the event loop, one after the other. Errors: ValueError."""
        return await asyncio.get_running_loop().run_in_executor(self._decoding, self._prepare, data)

    def _prepare(self, data: bytes) -> Seen:
        return prepare(self._processor, opened(data, self.limits))

    def _read(self, pixels: list[np.ndarray], settings: Settings) -> Iterator[Sequence[Token | None]]:
        """What the reading thread does. A backend's model is loaded when it is first asked for."""
        if settings.backend not in self.loaded:
            banner.start(settings.backend)
            self.loaded[settings.backend] = self.loader(self.checkpoint, "image_to_text", settings.backend)
        yield from read(self.loaded[settings.backend], pixels, settings)

    def about(self) -> dict[str, Any]:
        """What the page has to know."""
        return {
            "checkpoint": Path(self.checkpoint).name,
            "backends": [{"name": name, "title": TITLES[name]} for name in self.backends],
            "examples": len(self.examples),
            "formats": FORMATS,
            "most_bytes": self.limits.upload_bytes,
            "most_tokens": MOST_TOKENS,
        }
