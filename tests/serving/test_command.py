"""`multimodal serve`: it says where the page is, ends with Ctrl-C, and says what is wrong."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from multimodal.cli import app
from multimodal.parity.workers import ONE_THREAD
from multimodal.registry import BACKENDS
from multimodal.tasks.reading import EMBEDDED

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-W", "ignore", "-c", "from multimodal.cli import main; main()", "serve"]
DATA = (EMBEDDED / "images" / "00.png").read_bytes()


def started(*arguments):
    """(the process, the page's address)"""
    environment = os.environ | ONE_THREAD
    command = [*COMMAND, "--port", "0", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    line = process.stdout.readline()
    found = re.match(r"(http://127\.0\.0\.1:\d+/) +\(Ctrl-C ends it\)$", line)
    assert found, (line, process.stderr.read() if process.poll() is not None else "")
    return process, found[1]


def test_ctrl_c_ends_it_cleanly_whatever_is_going_on():
    process, address = started("--backend", "pt")
    with socket.create_connection(("127.0.0.1", int(address.split(":")[-1].strip("/")))) as upload:
        upload.sendall(b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n12345")
        with urllib.request.urlopen(urllib.request.Request(f"{address}read", DATA)) as response:
            lines = response.read().splitlines()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert b'"done"' in lines[-1]
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.nightly
def test_one_process_serves_the_three_frameworks_and_they_look_at_the_same_places():
    process, address = started("--timeout", "300")
    found = {}
    for backend in BACKENDS:
        request = urllib.request.Request(f"{address}read?backend={backend}", DATA)
        with urllib.request.urlopen(request) as response:
            found[backend] = [json.loads(line) for line in response.read().splitlines()]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    truth = found.pop("pt")
    assert truth[-1]["text"] == "626185"
    for lines in found.values():
        assert [line.get("text") for line in lines] == [line.get("text") for line in truth]
        for line, wanted in zip(lines[1:-1], truth[1:-1]):
            np.testing.assert_allclose(line["heat"]["peaks"], wanted["heat"]["peaks"], atol=2e-5)
            maps = [np.frombuffer(base64.b64decode(one["heat"]["maps"]), np.uint8) for one in (line, wanted)]
            np.testing.assert_allclose(*(one.astype(int) for one in maps), atol=1)


def test_an_address_that_is_taken_is_a_message(loaded, monkeypatch):
    from multimodal.serving import service

    monkeypatch.setattr(service.Service.__init__, "__defaults__", (None, None, lambda *arguments: loaded))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(app, ["serve", "--port", str(port)])
    assert done.exit_code == 2
    assert f"error: --host, --port: expected an address that is free, got 127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["python-topics"], "expected a checkpoint for image_to_text"),
        (["no/such/folder"], "no/such/folder"),
        (["--backend", "mxnet"], "backend: expected one of pt, tf, flax, got 'mxnet'"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_a_message(arguments, message):
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_package_is_a_message_with_its_remedy(package):
    code = f"import sys; sys.modules[{package!r}] = None\nfrom multimodal.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "serve"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert (
        done.stderr == f'error: serve needs {package}, which is not installed: pip install "multimodal-parity[serve]"\n'
    )
