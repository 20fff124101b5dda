"""Serves the page for minutes under a bounded load, with clients that misbehave beside those that do not.

    python tools/soak_page.py [--seconds 600] [--clients 4] [--backends pt] [--growth 16]

Good clients have pictures read one after the other: each has to come back with the right text. Beside them there are slow
uploads that arrive, uploads that never end, that break off, clients that take what they get slowly or hang up, heads of
requests that do not end, and files that are no pictures: each has to get what it should get. The server's memory, files
and threads are noted every second. Exit code 1 where a request failed, the server did not end well, or memory grew by more
than `--growth` megabytes: the median of the last fifth of the time less that of the second fifth, when everything is warm.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from multimodal.tasks.reading import EMBEDDED

LINES = [path.read_bytes() for path in sorted((EMBEDDED / "images").glob("*.png"))]
LARGEST = 1_000_000
COMMAND = [sys.executable, "-W", "ignore", "-c", "from multimodal.cli import main; main()", "serve"]
COMMAND += ["--port", "0", "--upload-mb", str(LARGEST / 1e6)]


@dataclass
class Soak:
    """The clients of one server, and what they found."""

    port: int
    texts: dict[int, str]
    """{number of a picture: what it says}"""
    backends: list[str]
    counts: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """That good requests took."""
    over: threading.Event = field(default_factory=threading.Event)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def post(self, data: bytes, backend: str) -> tuple[int, list[dict]]:
        """(status, lines) of a request."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)) as connection:
            connection.request("POST", f"/read?backend={backend}", data)
            response = connection.getresponse()
            return response.status, [json.loads(line) for line in response.read().splitlines()]

    def repeat(self, kind: Callable[[Soak, random.Random], None], seed: int) -> None:
        """One client after the other of a kind, until it is over."""
        rng = random.Random(seed)
        while not self.over.is_set():
            try:
                kind(self, rng)
                self.counts[kind.__name__] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the request has failed
                self.failures.append(f"{kind.__name__}: {type(error).__name__} {error}"[:300])
            self.over.wait(rng.uniform(0, 0.1))


def head(length: int) -> bytes:
    return f"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


def to_the_end(connection: socket.socket, pause: float = 0.0, at_once: int = 65536) -> bytes:
    """What comes until the other side closes, or the answer is whole."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(at_once):
            found += part
            if found.endswith(b"\r\n0\r\n\r\n"):
                break
            time.sleep(pause)
    return found


def expect(holds: bool, got: object) -> None:
    if not holds:
        raise ValueError(f"got {str(got)[-200:]}")


def good(soak: Soak, rng: random.Random) -> None:
    """Sends a picture and waits for its text."""
    number, started = rng.randrange(len(LINES)), time.monotonic()
    status, lines = soak.post(LINES[number], rng.choice(soak.backends))
    expect(status == 200 and lines[-1].get("text") == soak.texts[number], (status, lines[-1]))
    soak.seconds.append(time.monotonic() - started)


def slow_upload(soak: Soak, rng: random.Random) -> None:
    """Sends a picture in drops, and gets its text."""
    with soak.connect() as connection:
        connection.sendall(head(len(LINES[0])))
        for at in range(0, len(LINES[0]), 100):
            connection.sendall(LINES[0][at : at + 100])
            time.sleep(0.2)
        expect(b'"event": "done"' in (found := to_the_end(connection)), found)


def endless_upload(soak: Soak, rng: random.Random) -> None:
    """Never sends the end: told so after a while."""
    with soak.connect() as connection:
        connection.sendall(head(len(LINES[0])) + LINES[0][:-1])
        expect((found := to_the_end(connection)).startswith(b"HTTP/1.1 408"), found)


def broken_upload(soak: Soak, rng: random.Random) -> None:
    """Hangs up in the middle."""
    with soak.connect() as connection:
        connection.sendall(head(len(LINES[0])) + LINES[0][: rng.randrange(len(LINES[0]))])
        time.sleep(rng.uniform(0, 0.2))


def slow_listener(soak: Soak, rng: random.Random) -> None:
    """Takes what it gets a little at a time."""
    with soak.connect() as connection:
        connection.sendall(head(len(LINES[0])) + LINES[0])
        expect(b'"event": "done"' in (found := to_the_end(connection, 0.05, 512)), found)


def deserter(soak: Soak, rng: random.Random) -> None:
    """Hangs up before its text is there."""
    with soak.connect() as connection:
        connection.sendall(head(len(LINES[0])) + LINES[0])
        time.sleep(rng.uniform(0, 0.05))


def half_head(soak: Soak, rng: random.Random) -> None:
    """Never asks for anything: hung up on."""
    with soak.connect() as connection:
        connection.sendall(b"POST /read HT")
        expect((found := to_the_end(connection)) == b"", found)


def no_picture(soak: Soak, rng: random.Random) -> None:
    """Sends something else, or a picture that is cut off or too large."""
    line = LINES[rng.randrange(len(LINES))]
    data, wanted = rng.choice([(rng.randbytes(2000), 400), (line[:-150], 400), (bytes(LARGEST + 1), 413)])
    status, lines = soak.post(data, "pt")
    expect(status == wanted and set(lines[0]) == {"error"}, (status, lines))


BESIDE = (slow_upload, endless_upload, broken_upload, slow_listener, deserter, half_head, no_picture)


def state_of(process: int) -> tuple[float, int, int]:
    """(megabytes of memory, open files, threads) of a process, as Linux tells them."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1e3, len(os.listdir(f"/proc/{process}/fd")), int(status["Threads"])


def growth_of(memory: list[float]) -> float:
    """Megabytes between the second fifth of the time and the last."""
    fifth = max(1, len(memory) // 5)
    return statistics.median(memory[-fifth:]) - statistics.median(memory[fifth : 2 * fifth])


def main(
    seconds: Annotated[float, typer.Option(help="How long.")] = 600,
    clients: Annotated[int, typer.Option(help="Good clients at the same time.")] = 4,
    backends: Annotated[str, typer.Option(help="Those that good clients ask for, with commas.")] = "pt",
    growth: Annotated[float, typer.Option(help="Most megabytes that memory may grow.")] = 16,
) -> None:
    """Serve, watch, and print what was found as JSON."""
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        soak = Soak(int(address.rstrip("/").rsplit(":", 1)[1]), {}, backends.split(","))
        for backend in soak.backends:  # loads it, and says what is right
            soak.texts = {number: soak.post(line, backend)[1][-1]["text"] for number, line in enumerate(LINES)}
        kinds = [good] * clients + list(BESIDE)
        threads = [threading.Thread(target=soak.repeat, args=(kind, seed)) for seed, kind in enumerate(kinds)]
        for thread in threads:
            thread.start()
        states, deadline = [], time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            states.append(state_of(process.pid))
            time.sleep(1)
        soak.over.set()
        for thread in threads:
            thread.join()
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    grew = growth_of([memory for memory, _, _ in states])
    times = sorted(soak.seconds)
    found = {
        "seconds": round(seconds),
        "requests": dict(soak.counts),
        "failed": len(soak.failures),
        "failures": sorted(set(soak.failures))[:10],
        "good_ms": {f"p{p}": round(1000 * times[int((len(times) - 1) * p / 100)]) for p in (50, 99, 100)}
        if times
        else {},
        "memory_mb": {"begin": round(states[0][0], 1), "end": round(states[-1][0], 1), "grew": round(grew, 1)},
        "most_files": max(files for _, files, _ in states),
        "most_threads": max(count for _, _, count in states),
        "exit_code": code,
    }
    typer.echo(json.dumps(found, indent=2))
    if soak.failures or grew > growth or code or not times:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
