"""Pictures that wait: who is read with whom, in what order, and that nobody holds up anybody else."""

import asyncio
import threading

import numpy as np
import pytest

from multimodal.serving.batching import Batcher, Finished, Full, Job
from multimodal.serving.limits import Limits, Settings

PLAIN, OTHER = Settings("pt"), Settings("tf")
DRAWN = Settings("pt", temperature=1.0)


class Reader:
    """Stands for a model: each picture's text is its own number, as many steps long, once `gate` is open."""

    def __init__(self, fault=None):
        self.batches, self.gate, self.steps, self.fault = [], threading.Event(), 0, fault
        self.begun, self.closed = threading.Event(), threading.Event()

    def __call__(self, pixels, settings):
        numbers = [int(picture.flat[0]) for picture in pixels]
        self.batches.append((settings.backend, numbers))
        self.begun.set()
        assert self.gate.wait(10)
        if self.fault is not None and numbers[0] == 0:
            raise self.fault
        try:
            for step in range(1, max(numbers) + 2):
                self.steps += 1
                yield [number if step <= number else None for number in numbers]
        finally:
            self.closed.set()


def job(number, settings=PLAIN, seconds=10.0, shape=(1, 1, 1)):
    return Job(np.full(shape, number), settings, seconds)


async def ending(job):
    """(what was given, how it ended)"""
    found = []
    while not isinstance(item := await job.get(), Finished | ValueError):
        found.append(item)
    return found, item


def reading(scenario, reader=None, **limits):
    """What the coroutine `scenario(batcher, reader)` gives, with a batcher at work."""
    reader = reader or Reader()

    async def run():
        batcher = Batcher(reader, Limits(**limits))
        batcher.start()
        try:
            return await scenario(batcher, reader)
        finally:
            batcher.close()
            reader.gate.set()
            await asyncio.to_thread(batcher.join, 10)
            assert not batcher._thread.is_alive()

    return asyncio.run(run())


async def behind_the_first(batcher, reader, *jobs):
    """Submit jobs while another is read; the endings of all."""
    first = job(1)
    batcher.submit(first)
    await asyncio.to_thread(reader.begun.wait, 10)
    before = [batcher.submit(one) for one in jobs]
    reader.gate.set()
    return before, [await ending(one) for one in (first, *jobs)]


def test_what_waits_with_the_same_settings_is_read_at_once_and_the_oldest_first():
    async def scenario(batcher, reader):
        jobs = [job(2), job(3, OTHER), job(4), job(5, OTHER), job(6), job(7)]
        before, endings = await behind_the_first(batcher, reader, *jobs)
        assert before == [1, 2, 3, 4, 5, 6]
        assert [(found, type(end)) for found, end in endings] == [([n] * n, Finished) for n in (1, 2, 3, 4, 5, 6, 7)]
        assert reader.batches == [("pt", [1]), ("pt", [2, 4, 6]), ("tf", [3, 5]), ("pt", [7])]

    reading(scenario, batch=3)


def test_what_is_drawn_is_read_alone():
    async def scenario(batcher, reader):
        await behind_the_first(batcher, reader, job(2, DRAWN), job(3, DRAWN), job(4))
        assert reader.batches == [("pt", [1]), ("pt", [2]), ("pt", [3]), ("pt", [4])]

    reading(scenario)


def test_pictures_of_other_sizes_are_read_apart():
    async def scenario(batcher, reader):
        await behind_the_first(batcher, reader, job(2), job(3, shape=(1, 1, 2)), job(4))
        assert reader.batches == [("pt", [1]), ("pt", [2, 4]), ("pt", [3])]

    reading(scenario)


def test_a_text_that_ends_early_is_told_before_the_others_end():
    async def scenario(batcher, reader):
        order = []
        short, long = job(1), job(50)
        for one in (short, long):
            one.put = lambda item, one=one: order.append((one, item))
        reader.gate.set()
        batcher._read([short, long])
        told = [(one is short, isinstance(item, Finished)) for one, item in order]
        assert told[:4] == [(True, False), (False, False), (True, True), (False, False)]
        assert told.count((True, True)) == told.count((False, True)) == 1

    reading(scenario)


def test_more_than_may_wait_is_refused_and_who_gave_up_does_not_count():
    async def scenario(batcher, reader):
        batcher.submit(job(1))
        await asyncio.to_thread(reader.begun.wait, 10)
        waiting = [job(2), job(3)]
        for one in waiting:
            batcher.submit(one)
        assert batcher.is_full
        with pytest.raises(Full, match="2 pictures are waiting"):
            batcher.submit(job(4))
        waiting[0].given_up = True
        assert not batcher.is_full
        batcher.submit(job(5))
        reader.gate.set()
        await ending(waiting[1])
        assert reader.batches == [("pt", [1]), ("pt", [3, 5])]

    reading(scenario, waiting=2)


def test_what_waits_too_long_is_not_read():
    async def scenario(batcher, reader):
        batcher.submit(job(1))
        await asyncio.to_thread(reader.begun.wait, 10)
        late, patient = job(2, seconds=0.05), job(3)
        batcher.submit(late)
        batcher.submit(patient)
        with pytest.raises(TimeoutError):
            await late.get()
        reader.gate.set()
        await ending(patient)
        assert reader.batches == [("pt", [1]), ("pt", [3])]

    reading(scenario)


def test_a_batch_that_nobody_waits_for_any_more_ends():
    async def scenario(batcher, reader):
        long = job(10**6)
        batcher.submit(long)
        reader.gate.set()
        await long.get()
        long.given_up = True
        assert await asyncio.to_thread(reader.closed.wait, 10)
        assert reader.steps < 10**6

    reading(scenario)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ValueError("max_length: expected less"), "max_length: expected less"),
        (ImportError("multimodal.tf needs TensorFlow"), "needs TensorFlow"),
        (ZeroDivisionError("a fault of ours"), "could not read the picture; its log says why"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_told_to_its_batch_and_the_next_one_is_read(fault, told, caplog):
    async def scenario(batcher, reader):
        first, second = job(0), job(1)
        reader.gate.set()
        batcher.submit(first)
        found, end = await ending(first)
        assert found == []
        assert told in str(end)
        batcher.submit(second)
        assert (await ending(second))[0] == [1]

    reading(scenario, Reader(fault))
    assert ("a fault of ours" in caplog.text) == isinstance(fault, ZeroDivisionError)


def test_at_the_end_everyone_is_told():
    async def scenario(batcher, reader):
        running, waiting = job(5), job(6)
        batcher.submit(running)
        await asyncio.to_thread(reader.begun.wait, 10)
        batcher.submit(waiting)
        batcher.close()
        for one in (running, waiting):
            assert "the server is stopping" in str((await ending(one))[1])
        with pytest.raises(Full, match="stopping"):
            batcher.submit(job(7))
        assert reader.batches == [("pt", [5])]

    reading(scenario)
