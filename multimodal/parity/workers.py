"""Processes that answer for one backend in one precision each: frameworks in one process fight over threads."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import traceback
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any
from unittest import mock

import numpy as np

from multimodal.parity.cases import Case

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
"""The environment of a worker: models are tiny, and threads that wait for each other cost more than they do."""


class WorkerError(RuntimeError):
    """An exception in a worker; the message is its traceback."""


class Worker:
    """One process; `fault` is the name of a deliberate fault to put in (see `parity.faults`)."""

    def __init__(self, backend: str, dtype: str, fault: str | None = None):
        self.backend, self.dtype = backend, dtype
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, backend, dtype, fault), daemon=True)
        with mock.patch.dict(os.environ, ONE_THREAD):
            self.process.start()
        theirs.close()

    def answer(
        self, case: Case, weights: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray], **options: Any
    ) -> dict[str, np.ndarray]:
        """The case's answers (`parity.run`'s names) with these weights (published names) and inputs.

        `weight.<published name>` are the tensors that the model then holds. With the option `true_inputs` the blocks get
        those arrays in the place of their inputs (see `parity.true_inputs`).
        """
        return self._ask("answer", case, dict(weights), dict(inputs), options)

    def generates(self, case: Case) -> bool:
        """Whether the backend's class of `case` has `generate`."""
        return self._ask("generates", case)

    def fault(self, name: str | None) -> None:
        """Put in another deliberate fault, or none, in the place of the last."""
        self._ask("fault", name)

    def _ask(self, *request: Any) -> Any:
        try:
            self.connection.send(request)
            state, answer = self.connection.recv()
        except (EOFError, OSError) as error:
            self.process.join(timeout=10)
            raise WorkerError(
                f"the {self.backend} {self.dtype} worker ended: exit code {self.process.exitcode}"
            ) from error
        if state == "error":
            raise WorkerError(f"in the {self.backend} {self.dtype} worker:\n{answer}")
        return answer

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.kill()


@contextlib.contextmanager
def workers(*wanted: tuple[str, str]) -> Iterator[dict[tuple[str, str], Worker]]:
    """{(backend, dtype): worker}, closed at the end."""
    running = {key: Worker(*key) for key in wanted}
    try:
        yield running
    finally:
        for worker in running.values():
            worker.close()


def _serve(connection: Connection, backend: str, dtype: str, fault: str | None) -> None:
    """The worker's side: answer requests until the other end closes."""
    from multimodal.parity import faults

    models: dict[str, Any] = {}
    active = contextlib.ExitStack()
    if fault is not None:
        active.enter_context(faults.active(fault, backend))
    while True:
        try:
            kind, *arguments = connection.recv()
        except EOFError:
            return
        try:
            if kind == "fault":
                active.close()
                models.clear()
                if arguments[0] is not None:
                    active.enter_context(faults.active(arguments[0], backend))
                connection.send(("ok", None))
            elif kind == "generates":
                connection.send(("ok", _model_class(backend, *arguments).can_generate()))
            else:
                connection.send(("ok", _answer(models, backend, dtype, *arguments)))
        except Exception:  # noqa: BLE001  # whatever it is, the asking process has to hear of it
            connection.send(("error", traceback.format_exc()))


def _model_class(backend: str, case: Case) -> Any:
    from multimodal import auto

    return auto.model_class(backend, case.class_name)


def _answer(
    models: dict[str, Any],
    backend: str,
    dtype: str,
    case: Case,
    weights: dict[str, np.ndarray],
    inputs: dict[str, np.ndarray],
    options: dict[str, Any],
) -> dict[str, np.ndarray]:
    from multimodal.checkpoints.source import MemorySource
    from multimodal.parity.run import answer, harness_of
    from multimodal.parity.true_inputs import fed

    harness = harness_of(backend)
    true_inputs = options.pop("true_inputs", ())
    models = {} if true_inputs else models  # a compiled program keeps what was fed
    with harness.precision(dtype):
        key = json.dumps([case.class_name, case.config, case.options], sort_keys=True)
        if key not in models:
            models[key] = _model_class(backend, case)(
                case.configuration(), **case.options, **harness.dtype_options(dtype), _do_init=False
            )
        models[key].load_source(MemorySource(weights))
        held = {f"weight.{name}": array for name, array in models[key].published_tensors().items()}
        with fed(backend, true_inputs):
            return {**answer(models[key], {**inputs, **case.flags}, dtype, **options), **held}
