"""A server in this process, and clients that behave, or do not."""

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

from multimodal.serving.limits import Limits
from multimodal.serving.server import Server, bound, configured
from multimodal.serving.service import Service
from multimodal.tasks.loading import load


class Client:
    """Speaks to a server at a port of this machine."""

    def __init__(self, service, port):
        self.service, self.port = service, port

    def connect(self):
        """A connection to write anything to."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def ask(self, method, path, body=None, **headers):
        """(status, headers, body) of a whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def refused(self, *arguments, **headers):
        """(status, message) of an answer that says what is wrong."""
        status, _, body = self.ask(*arguments, **headers)
        return status, json.loads(body)["error"]

    def read(self, data, query=""):
        """The lines that come back for a picture."""
        status, headers, body = self.ask("POST", f"/read{query}", data)
        assert status == 200, body
        assert headers["Content-Type"] == "application/x-ndjson"
        return [json.loads(line) for line in body.splitlines()]


@pytest.fixture(scope="session")
def loaded():
    return load("digit-lines", "image_to_text", "pt")


@pytest.fixture
def serving(loaded):
    """`serving(service class, limits...)`: a client of a server at work."""
    running = []

    def start(kind=Service, **limits):
        service = kind("digit-lines", "pt", Limits(**limits), loader=lambda *arguments: loaded)
        listening = bound("127.0.0.1", 0)
        client = Client(service, listening.getsockname()[1])
        server = Server(configured(service, "127.0.0.1"), service)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        running.append((server, thread))
        return client

    yield start
    for server, _ in running:
        server.should_exit = True
    for _, thread in running:
        thread.join(20)
        assert not thread.is_alive()


def until(true, seconds=10.0):
    """Wait for something to be so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(name="until")
def until_fixture():
    return until
