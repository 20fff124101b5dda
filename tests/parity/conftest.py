"""One process per backend and precision for all parity tests, and the worst figures at the end of the run."""

from collections import defaultdict

import pytest

from multimodal.parity.workers import workers as start_workers
from multimodal.registry import BACKENDS

WORST: dict[tuple[str, str, str], float] = defaultdict(float)


@pytest.fixture(scope="session")
def workers(spent):
    """{(backend, dtype): worker}."""
    with start_workers(*((backend, dtype) for backend in BACKENDS for dtype in ("float64", "float32"))) as running:
        yield running
        for (backend, _), worker in running.items():
            for name, seconds in worker.cpu_seconds.items():
                spent[name, backend] += seconds


@pytest.fixture(scope="session")
def record():
    """Remembers the worst share of a budget per (class, backend, gate)."""

    def remember(class_name: str, backend: str, gate: str, share: float) -> None:
        WORST[class_name, backend, gate] = max(WORST[class_name, backend, gate], share)

    return remember


def pytest_terminal_summary(terminalreporter):
    if WORST:
        terminalreporter.section("worst error as a share of its budget")
        for (class_name, backend, gate), share in sorted(WORST.items()):
            terminalreporter.write_line(f"{class_name:<28} {backend:<5} gate {gate}  {share:.2g}")
