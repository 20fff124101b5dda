"""Processes that compute for one backend in one precision each: frameworks in one process fight over threads."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from multimodal.checkpoints.formats import safetensors_file
from multimodal.checkpoints.source import MemorySource
from multimodal.parity.cases import Case

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
"""The environment of a worker: models are tiny, and threads that wait for each other cost more than they do."""


KEPT = 16
"""How many models a worker keeps. A compiled program of JAX takes memory maps, of which Linux gives a process 65,530:
300 to 800 for each (measured), and several programs for a model."""


class WorkerError(RuntimeError):
    """An exception in a worker; the message is its traceback."""


FRAMEWORKS = {"pt": "torch", "tf": "tensorflow", "flax": "jax"}
"""The module that a backend's worker imports, and that no other worker does."""


@dataclass(frozen=True)
class Evidence:
    """What a worker shows beside its outputs: that they are those of its own framework."""

    frameworks: frozenset[str]
    """Which of `FRAMEWORKS` its process has imported."""
    models: frozenset[str]
    """The packages (`multimodal.tf`) of the classes that made its outputs."""
    cpu_seconds: float
    """What the request cost its process."""

    @classmethod
    def of(cls, models: Iterable[Any], start: float) -> Evidence:
        """Of this process, whose request began at `start` (`time.process_time`)."""
        packages = frozenset(".".join(type(model).__module__.split(".")[:2]) for model in models)
        imported = frozenset(module for module in FRAMEWORKS.values() if module in sys.modules)
        return cls(imported, packages, time.process_time() - start)

    def check(self, backend: str) -> None:
        """Errors: WorkerError where another framework than that of `backend` took part, or its own did not."""
        expected = (frozenset({FRAMEWORKS[backend]}), frozenset({f"multimodal.{backend}"}))
        if self.models and (self.frameworks, self.models) != expected:
            raise WorkerError(
                f"the {backend} worker: expected outputs of multimodal.{backend} in a process with "
                f"{FRAMEWORKS[backend]} alone, got {sorted(self.models)} with {sorted(self.frameworks)}"
            )


PLAIN_PROGRAMS = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
"""Of a float64 worker: what a model means does not hang on XLA's optimisations, and compiling takes half the time."""
LARGE = 2**24
"""Arrays of more bytes than this travel in a file that the other side maps, not through the pipe."""


@dataclass(frozen=True)
class Shelf:
    """Arrays by name in a file. Whoever takes them removes it; the arrays stay readable as long as they are held."""

    file: Path

    def take(self) -> dict[str, np.ndarray]:
        source = safetensors_file.open_file(self.file)
        self.file.unlink()
        return {name: source.read(name) for name in source.shapes()}


def shelved(value: Any, folder: str) -> Any:
    """`value`, or a shelf in the place of a dictionary of large arrays."""
    if not isinstance(value, dict) or not all(isinstance(array, np.ndarray) for array in value.values()):
        return value
    if sum(array.nbytes for array in value.values()) < LARGE:
        return value
    handle, name = tempfile.mkstemp(dir=folder)
    os.close(handle)
    safetensors_file.write_file(Path(name), MemorySource(value))
    return Shelf(Path(name))


def taken(value: Any) -> Any:
    """What `shelved` was given."""
    return value.take() if isinstance(value, Shelf) else value


class Worker:
    """One process; `fault` is the name of a deliberate fault to put in (see `parity.faults`)."""

    def __init__(self, backend: str, dtype: str, fault: str | None = None):
        self.backend, self.dtype = backend, dtype
        self.cpu_seconds: dict[str, float] = {}
        """{class name: what its requests cost the process}"""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.folder = tempfile.TemporaryDirectory(prefix="multimodal-parity-")
        arguments = (theirs, backend, dtype, fault, self.folder.name)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        with mock.patch.dict(os.environ, ONE_THREAD | (PLAIN_PROGRAMS if dtype == "float64" else {})):
            self.process.start()
        theirs.close()

    def outputs(
        self, case: Case, weights: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray], **options: Any
    ) -> dict[str, np.ndarray]:
        """The case's outputs (`parity.run`'s names) with these weights (published names) and inputs.

        `weight.<published name>` are the tensors that the model then holds, unless the option `held` is false. With the
        option `true_inputs` (a dictionary, which may be empty) the blocks get those arrays in the place of their inputs,
        and what goes into each and comes out is added (see `parity.true_inputs`).
        """
        return self._ask("outputs", case, dict(weights), dict(inputs), options)

    def generates(self, case: Case) -> bool:
        """Whether the backend's class of `case` has `generate`."""
        return self._ask("generates", case)

    def fault(self, name: str | None) -> None:
        """Put in another deliberate fault, or none, in the place of the last."""
        self._ask("fault", name)

    def _ask(self, *request: Any) -> Any:
        try:
            self.connection.send(tuple(shelved(part, self.folder.name) for part in request))
            state, reply, evidence = self.connection.recv()
        except (EOFError, OSError) as error:
            self.process.join(timeout=10)
            raise WorkerError(
                f"the {self.backend} {self.dtype} worker ended: exit code {self.process.exitcode}"
            ) from error
        if state == "error":
            raise WorkerError(f"in the {self.backend} {self.dtype} worker:\n{reply}")
        evidence.check(self.backend)
        name = next((part.class_name for part in request if isinstance(part, Case)), "")
        self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + evidence.cpu_seconds
        return taken(reply)

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.kill()
        self.folder.cleanup()


@contextlib.contextmanager
def workers(*wanted: tuple[str, str]) -> Iterator[dict[tuple[str, str], Worker]]:
    """{(backend, dtype): worker}, closed at the end."""
    running = {key: Worker(*key) for key in wanted}
    try:
        yield running
    finally:
        for worker in running.values():
            worker.close()


def _serve(connection: Connection, backend: str, dtype: str, fault: str | None, folder: str) -> None:
    """The worker's side: serve requests until the other end closes."""
    from multimodal import banner
    from multimodal.parity import faults

    models = Models()
    active = contextlib.ExitStack()
    if fault is not None:
        active.enter_context(faults.active(fault, backend))
    while True:
        start = time.process_time()
        try:
            kind, *arguments = map(taken, connection.recv())
        except EOFError:
            return
        try:
            banner.start(backend)
            if kind == "fault":
                active.close()
                models.within_fault(arguments[0] is not None)
                if arguments[0] is not None:
                    active.enter_context(faults.active(arguments[0], backend))
                reply = None
            elif kind == "generates":
                reply = _model_class(backend, *arguments).can_generate()
            else:
                reply = shelved(_outputs(models, backend, dtype, *arguments), folder)
            del arguments
            connection.send(("ok", reply, Evidence.of(models.current.values(), start)))
            del reply
        except Exception:  # noqa: BLE001  # whatever it is, the asking process has to hear of it
            connection.send(("error", traceback.format_exc(), None))


class Models:
    """The models that a worker has made, by what makes them."""

    def __init__(self):
        self.sound: dict[str, Any] = {}
        self.current = self.sound
        self.made = 0

    def within_fault(self, faulty: bool) -> None:
        """A model made inside a fault keeps it; those made outside wait for its end."""
        self.current = {} if faulty else self.sound

    def of(self, key: str, make: Callable[[], Any], forget: Callable[[], None]) -> Any:
        """The model of `key`, made where there is none; `forget` drops the programs of those that go."""
        if key not in self.current:
            if self.made == KEPT:
                self.sound.clear()
                self.current.clear()
                forget()
                self.made = 0
            self.current[key] = make()
            self.made += 1
        return self.current[key]


def _model_class(backend: str, case: Case) -> Any:
    from multimodal import registry

    return registry.model_class(backend, case.class_name)


def _outputs(
    models: Models,
    backend: str,
    dtype: str,
    case: Case,
    weights: dict[str, np.ndarray],
    inputs: dict[str, np.ndarray],
    options: dict[str, Any],
) -> dict[str, np.ndarray]:
    from multimodal.parity.run import harness_of, outputs_of
    from multimodal.parity.true_inputs import watched

    harness = harness_of(backend)
    true_inputs, rounding = options.pop("true_inputs", None), options.pop("rounding", None)
    with harness.precision(dtype):
        key = json.dumps([case.class_name, case.config, case.options], sort_keys=True)
        types = harness.dtype_options(dtype)

        def make():
            return _model_class(backend, case)(case.configuration(), **case.options, **types, _do_init=False)

        model = models.of(key, make, harness.forget)
        model.load_source(MemorySource(weights))
        tensors = model.published_tensors() if options.pop("held", True) else {}
        held = {f"weight.{name}": np.array(array) for name, array in tensors.items()}  # training changes state in place
        nothing = contextlib.nullcontext({})
        rounded = nothing if rounding is None else harness.Rounding(*rounding)
        with rounded, nothing if true_inputs is None else watched(model, true_inputs) as seen:
            return {**outputs_of(model, {**inputs, **case.flags}, dtype, **options), **held, **seen}
