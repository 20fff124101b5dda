"""Pictures that wait, and the one thread that reads them: several of the same settings at once, each streamed to its own."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from multimodal.serving.limits import Limits, Settings

logger = logging.getLogger("multimodal.serving")

Read = Callable[[list[np.ndarray], Settings], Iterator[Sequence[Any]]]
"""(pictures, settings) -> for each step what there is for each picture; None for those that have ended."""


class Full(Exception):
    """No more pictures are taken on."""


class Finished:
    """Comes behind all that there is for a picture."""


class Job:
    """A picture to be read. Made and waited for in an event loop, given to by the reading thread."""

    def __init__(self, pixels: np.ndarray, settings: Settings, seconds: float):
        self.pixels, self.settings = pixels, settings
        self.deadline = time.monotonic() + seconds
        self.given_up = False
        """Nobody waits for it any more."""
        self._loop, self._found = asyncio.get_running_loop(), asyncio.Queue()

    @property
    def wanted(self) -> bool:
        """Whether it is worth going on with."""
        return not self.given_up and time.monotonic() < self.deadline

    def put(self, item: Any) -> None:
        """Give something, from any thread. How fast it is taken holds up nothing."""
        try:
            self._loop.call_soon_threadsafe(self._found.put_nowait, item)
        except RuntimeError:  # the loop has been closed: nobody waits
            self.given_up = True

    async def get(self) -> Any:
        """What was given next. Errors: TimeoutError where the time that the picture has is over."""
        async with asyncio.timeout(self.deadline - time.monotonic()):
            return await self._found.get()


class Batcher:
    """Reads what was submitted, oldest first, together with what waits behind it with the same settings."""

    def __init__(self, read: Read, limits: Limits):
        self.read, self.limits = read, limits
        self.waiting: deque[Job] = deque()
        self.running: list[Job] = []
        self._changed, self._closed = threading.Condition(), False
        self._thread = threading.Thread(target=self._work, name="reading", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> int:
        """Take a picture on; how many are before it. Errors: `Full`."""
        with self._changed:
            self._drop_unwanted()
            if self._closed:
                raise Full("the server is stopping")
            if len(self.waiting) >= self.limits.waiting:
                raise Full(
                    f"{len(self.waiting)} pictures are waiting, which is all that the server takes on: try again soon"
                )
            self.waiting.append(job)
            self._changed.notify()
            return len(self.waiting) - 1 + len(self.running)

    @property
    def is_full(self) -> bool:
        """Whether a picture would be refused now."""
        with self._changed:
            self._drop_unwanted()
            return self._closed or len(self.waiting) >= self.limits.waiting

    def close(self) -> None:
        """Take on no more and tell those that wait; what is being read ends with its next step."""
        with self._changed:
            self._closed = True
            stopped = [*self.waiting, *self.running]
            self.waiting.clear()
            self._changed.notify()
        for job in stopped:
            job.put(ValueError("the server is stopping"))
            job.given_up = True

    def join(self, seconds: float) -> None:
        """Wait for the reading thread to end, after `close`."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _drop_unwanted(self) -> None:
        self.waiting = deque(job for job in self.waiting if job.wanted)

    def _work(self) -> None:
        while batch := self._next():
            self._read(batch)
            with self._changed:
                self.running = []

    def _next(self) -> list[Job]:
        """The oldest and those that can be read with it; nothing at the end."""
        with self._changed:
            while True:
                self._drop_unwanted()
                if self._closed:
                    return []
                if self.waiting:
                    break
                self._changed.wait()
            first = self.waiting[0]
            size = 1 if first.settings.alone else self.limits.batch
            alike = (job for job in self.waiting if job.settings == first.settings and _fits(job, first))
            self.running = list(itertools.islice(alike, size))
            self.waiting = deque(job for job in self.waiting if job not in self.running)
            return self.running

    def _read(self, batch: list[Job]) -> None:
        """Give every job of a batch what there is for it, and how it ended."""
        ended: set[Job] = set()
        steps = self.read([job.pixels for job in batch], batch[0].settings)
        try:
            for step in steps:
                for job, item in zip(batch, step):
                    if job.given_up:
                        continue
                    if item is not None:
                        job.put(item)
                    elif job not in ended:
                        job.put(Finished())
                        ended.add(job)
                if not any(job.wanted for job in batch if job not in ended):
                    return
            left: Any = Finished()
        except (ValueError, OSError, ImportError) as error:
            left = ValueError(str(error))
        except Exception:  # whatever one batch runs into, the next has to be read
            logger.exception("a batch of %d could not be read", len(batch))
            left = ValueError("the server could not read the picture; its log says why")
        finally:
            if hasattr(steps, "close"):
                steps.close()
        for job in batch:
            if job not in ended:
                job.put(left)


def _fits(job: Job, first: Job) -> bool:
    return job.pixels.shape == first.pixels.shape
