"""The served page and its door: what comes back, who is refused, and that nobody holds up anybody else."""

import contextlib
import json
import re
import socket
import threading
import time

import pytest
from starlette.datastructures import Headers

from multimodal.serving import protocol
from multimodal.serving.app import PAGE
from multimodal.serving.guard import LOCAL, Guard
from multimodal.serving.service import Service
from multimodal.tasks.reading import EMBEDDED

LINES = sorted((EMBEDDED / "images").glob("*.png"))[:6]
DATA = LINES[0].read_bytes()
TEXT = "626185"


class Gated(Service):
    """Reads when it is let."""

    def __init__(self, *arguments, **options):
        self.gate, self.batches = threading.Event(), []
        super().__init__(*arguments, **options)

    def _read(self, pixels, settings):
        self.batches.append(len(pixels))
        assert self.gate.wait(20)
        yield from super()._read(pixels, settings)


def in_threads(function, items):
    """What the function gives for each, all at once."""
    results = [None] * len(items)
    threads = [
        threading.Thread(target=lambda place=place, item=item: results.__setitem__(place, function(item)))
        for place, item in enumerate(items)
    ]
    for thread in threads:
        thread.start()
    return threads, results


def test_a_picture_comes_back_as_lines(serving):
    lines = serving().read(DATA)
    assert [line["event"] for line in lines] == ["seen", *["token"] * len(TEXT), "done"]
    assert lines[0]["before"] == 0
    assert lines[0]["picture"].startswith("data:image/jpeg;base64,")
    assert [line["text"] for line in lines[1:-1]] == [TEXT[: n + 1] for n in range(len(TEXT))]
    assert lines[1]["grid"] == [1, 32]
    assert len(lines[1]["heat"]["peaks"]) == 3
    assert lines[-1]["text"] == TEXT


def test_a_token_is_sent_before_the_next_one_is_there(serving):
    """The server does not keep what it has until it has all."""
    wait = threading.Event()

    class Slow(Service):
        def _read(self, pixels, settings):
            for place, step in enumerate(super()._read(pixels, settings)):
                assert not place or wait.wait(20)
                yield step

    client = serving(Slow)
    with client.connect() as connection:
        connection.sendall(head(len(DATA)) + DATA)
        answer = b""
        while b'"event": "token"' not in answer:
            answer += connection.recv(65536)
        wait.set()
        while b'"event": "done"' not in answer:
            answer += connection.recv(65536)
    assert answer.count(b'"event": "token"') == len(TEXT)


def test_pictures_that_wait_are_read_together_and_each_gets_its_own(serving, until):
    client = serving(Gated)

    def read(path):
        return client.read(path.read_bytes())[-1]["text"]

    begun, first = in_threads(read, LINES[:1])
    until(lambda: client.service.batches == [1])  # the gate holds it; what comes now has to wait
    threads, results = in_threads(read, LINES[1:])
    until(lambda: len(client.service.batcher.waiting) == len(LINES) - 1)
    client.service.gate.set()
    for thread in [*begun, *threads]:
        thread.join(20)
    assert client.service.batches == [1, len(LINES) - 1]
    alone = [read(path) for path in LINES]
    assert first + results == alone
    assert len(set(alone)) == len(LINES)


def test_the_page_is_whole_and_asks_nobody_else(serving):
    client = serving()
    status, headers, body = client.ask("GET", "/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    page = body.decode()
    for path in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert path.startswith(("/", "data:,")), path
        assert path == "data:," or client.ask("GET", path)[0] == 200
    for name in ("index.html", "page.css", "page.js"):
        assert not re.search(r"https?://|//[a-z]+\.", (PAGE / name).read_text(encoding="utf-8"))
    about = json.loads(client.ask("GET", "/about")[2])
    assert about["backends"][0] == {"name": "pt", "title": "PyTorch"}
    assert client.ask("GET", f"/examples/{about['examples'] - 1}")[2].startswith(b"\x89PNG")
    assert client.refused("GET", f"/examples/{about['examples']}")[0] == 404
    assert client.ask("GET", "/../../etc/passwd")[0] == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "evillocalhost", ""]
)
def test_requests_under_another_name_are_refused(serving, host):
    """DNS rebinding: a name of elsewhere that resolves to this machine."""
    status, message = serving().refused("GET", "/about", Host=host)
    assert status == 403
    assert "expected a request to 127.0.0.1 or" in message


@pytest.mark.parametrize("host", ["localhost:9", "LOCALHOST", "127.0.0.1", "[::1]:8000"])
def test_requests_under_this_machine_s_names_are_not(serving, host):
    assert serving().ask("GET", "/about", Host=host)[0] == 200


def test_other_names_are_the_owner_s_to_allow():
    guard = Guard(None, LOCAL | {"Pictures.lan"})
    assert guard.reason(Headers({"host": "pictures.lan:8000"})) is None
    assert guard.reason(Headers({"host": "photos.lan"})) is not None
    assert Guard(None).reason(Headers({"host": "pictures.lan"})) is not None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
    ids=str,
)
def test_pages_from_elsewhere_cannot_have_pictures_read(serving, headers):
    client = serving()
    assert client.refused("POST", "/read", DATA, Host="localhost:2", **headers)[0] == 403
    own = {"Origin": "http://localhost:2", "Sec_Fetch_Site": "same-origin"}
    assert client.ask("POST", "/read", DATA, Host="localhost:2", **own)[0] == 200


@pytest.mark.parametrize(
    ("data", "query", "status", "message"),
    [
        (b"hello", "", 400, "image: expected a whole picture in the upload"),
        (DATA[:-200], "", 400, "expected a whole picture of at most 40000000 pixels"),
        (b"", "", 400, "expected the bytes of a picture, got none"),
        (bytes(200_001), "", 413, "expected a file of at most 0.2 MB"),
        (bytes(2_000_000), "", 413, "expected a file of at most 0.2 MB"),
        (DATA, "?backend=mxnet", 400, "backend: expected"),
        (DATA, "?max_new_tokens=many", 400, "max_new_tokens: expected a whole number"),
    ],
    ids=["text", "cut off", "empty", "large", "huge", "backend", "number"],
)
def test_what_cannot_be_read_is_a_message(serving, data, query, status, message):
    client = serving(upload_bytes=200_000)
    got, told = client.refused("POST", f"/read{query}", data)
    assert got == status
    assert message in told
    assert "Traceback" not in told
    assert client.read(DATA)[-1]["text"] == TEXT, "the next one is read"


def test_other_ways_in_are_refused(serving):
    client = serving()
    assert client.refused("GET", "/read")[0] == 405
    assert client.refused("POST", "/")[0] == 405
    assert client.refused("GET", "/nothing")[0] == 404


def test_settings_that_the_model_cannot_do_are_an_error_in_the_stream(serving):
    lines = serving().read(DATA, "?max_new_tokens=500")
    assert [line["event"] for line in lines] == ["seen", "error"]
    assert "max_length: expected at most" in lines[1]["message"]


def test_more_than_may_wait_is_refused(serving, until):
    client = serving(Gated, waiting=2)
    threads, results = in_threads(client.read, [DATA])
    until(lambda: client.service.batches)
    more, waited = in_threads(client.read, [DATA] * 2)
    until(lambda: client.service.batcher.is_full)
    status, headers, body = client.ask("POST", "/read", bytes(8_000_000))
    assert status == 503
    assert headers["Retry-After"] == "1"
    assert "try again soon" in json.loads(body)["error"]
    client.service.gate.set()
    for thread in (*threads, *more):
        thread.join(20)
    assert all(lines[-1]["text"] == TEXT for lines in results + waited)


def test_what_takes_too_long_is_told_and_the_next_is_read(serving):
    client = serving(Gated, seconds=0.3)
    lines = client.read(DATA)
    assert [line["event"] for line in lines] == ["seen", "error"]
    assert "the text was not there within 0.3 seconds" in lines[-1]["message"]
    client.service.gate.set()
    assert client.read(DATA)[-1]["text"] == TEXT


def to_the_end(connection):
    """What comes until the other side closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            found += part
    return found


def head(length):
    return f"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


def test_slow_and_broken_uploads_hold_nobody_up(serving, until):
    client = serving(upload_seconds=1.0)
    service = client.service
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(client.connect()) for _ in range(8)]
        for connection in slow:
            connection.sendall(head(len(DATA)) + DATA[:100])
        until(lambda: service.uploads == 8)
        with client.connect() as broken:
            broken.sendall(head(len(DATA)) + DATA[:100])
            until(lambda: service.uploads == 9)
        until(lambda: service.uploads == 8)
        assert client.read(DATA)[-1]["text"] == TEXT
        assert service.uploads == 8, "they were still on their way"
        answers = [to_the_end(connection) for connection in slow]
    assert all(answer.startswith(b"HTTP/1.1 408") and b"within 1 seconds" in answer for answer in answers)
    assert service.uploads == 0


def test_only_so_many_uploads_are_on_their_way(serving, until):
    client = serving(uploads=2)
    with client.connect() as first, client.connect() as second:
        for connection in (first, second):
            connection.sendall(head(len(DATA)))
        until(lambda: client.service.uploads == 2)
        assert client.refused("POST", "/read", DATA)[0] == 503
    until(lambda: client.service.uploads == 0)
    assert client.read(DATA)[-1]["text"] == TEXT


def test_who_waits_for_a_word_before_sending_too_much_is_told_at_once(serving):
    with serving(upload_bytes=1000).connect() as connection:
        connection.sendall(head(2000).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(("number", "begun"), [(1, b""), (1, b"GET /about HTT"), (2, b"GET /about HTT")])
def test_a_head_that_does_not_end_is_not_waited_for(serving, monkeypatch, number, begun):
    """Of a connection's first request and of one behind it."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    with serving().connect() as connection:
        started = time.monotonic()
        if number == 2:
            connection.sendall(b"GET /about HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(1) == b"H"
        connection.sendall(begun)
        to_the_end(connection)
        assert time.monotonic() - started < 3


def test_the_rest_of_a_request_that_has_its_answer_is_not_waited_for(serving, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    with serving().connect() as connection:
        started = time.monotonic()
        connection.sendall(b"GET /about HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - started < 3:
                connection.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() - started < 3


def test_a_request_that_takes_longer_than_a_head_may_is_not_cut_off(serving, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    client = serving()
    with client.connect() as connection:
        connection.sendall(head(len(DATA)))
        time.sleep(0.4)
        connection.sendall(DATA)
        answer = b""
        while b'"done"' not in answer:
            answer += (part := connection.recv(65536))
            assert part


def test_who_does_not_take_what_is_sent_is_hung_up_on(serving, monkeypatch, until):
    monkeypatch.setattr(protocol, "STALLED_SECONDS", 0.5)
    much = "x" * 3_000_000

    class Talkative(Service):
        def _read(self, pixels, settings):
            for step in super()._read(pixels, settings):
                yield [token and token._replace(text=much) for token in step]

    client = serving(Talkative)
    jobs, submit = [], client.service.batcher.submit
    client.service.batcher.submit = lambda job: jobs.append(job) or submit(job)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", client.port))
        connection.sendall(head(len(DATA)) + DATA)
        until(lambda: jobs and jobs[0].given_up)
        assert client.read(DATA)[-1]["event"] == "done"


def test_who_hangs_up_is_not_read_for_any_more(serving, until):
    client = serving(Gated)
    with client.connect() as connection:
        connection.sendall(head(len(DATA)) + DATA)
        until(lambda: client.service.batcher.running)
        (job,) = client.service.batcher.running
    until(lambda: job.given_up)
    client.service.gate.set()


def test_at_the_end_who_waits_is_told(loaded, serving, until):
    client = serving(Gated)
    threads, results = in_threads(client.read, [DATA])
    until(lambda: client.service.batches)
    client.service.close()
    client.service.gate.set()
    threads[0].join(20)
    assert "the server is stopping" in results[0][-1]["message"]
    assert client.refused("POST", "/read", DATA)[0] == 503
