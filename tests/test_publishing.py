"""`push_to_hub`, against a server on this computer that takes what the hub takes."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from multimodal import BertConfig, BertModel, BertTokenizer, GenerationConfig, ViTImageProcessor
from multimodal.publishing import NotUploaded


def bert():
    return BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=6,
    )  # fmt: skip


def vocabulary(folder):
    path = folder / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"]) + "\n")
    return path


class Hub(BaseHTTPRequestHandler):
    """Repositories, and commits of plain files."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.seen.append((self.path, self.headers.get("Authorization"), body))
        if self.path == self.server.refused:
            return self.answer(403, {"error": "not yours"})
        if self.path == "/api/repos/create":
            owner, _, name = json.loads(body)["name"].rpartition("/")
            asked = json.loads(body)
            owner = asked.get("organization") or owner or "somebody"
            return self.answer(200, {"url": f"{self.server.address}/{owner}/{name}"})
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            return self.answer(200, {"files": [{**f, "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        if "/commit/" in self.path:
            url = f"{self.server.address}{self.path.replace('/api/models', '')}/abc"
            return self.answer(200, {"commitUrl": url, "commitOid": "abc", "pullRequestUrl": None, "success": True})
        return self.answer(200, {})

    def answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.seen, server.refused = [], None
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
    server.server_close()


def uploaded(server):
    """{path: content} of the one commit, and its headline."""
    (body,) = [body for path, _, body in server.seen if "/commit/" in path]
    lines = [json.loads(line) for line in body.splitlines()]
    files = {e["value"]["path"]: base64.b64decode(e["value"]["content"]) for e in lines if e["key"] == "file"}
    return files, next(e["value"]["summary"] for e in lines if e["key"] == "header")


def written(thing, folder, **options):
    thing.save_pretrained(folder, **options)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


THINGS = {
    "model": lambda folder: BertModel(bert()),
    "configuration": lambda folder: bert(),
    "settings": lambda folder: GenerationConfig(num_beams=3),
    "pictures": lambda folder: ViTImageProcessor(size=8),
    "tokenizer": lambda folder: BertTokenizer(vocabulary(folder)),
}


@pytest.mark.parametrize("what", THINGS)
def test_what_is_saved_is_what_is_uploaded(server, tmp_path, what):
    thing = THINGS[what](tmp_path)
    info = thing.push_to_hub("somebody/thing", token="secret", private=True)
    files, headline = uploaded(server)
    assert files == written(thing, tmp_path / "saved")
    assert headline == f"Upload {type(thing).__name__}"
    assert info.oid == "abc"
    created = next(json.loads(body) for path, _, body in server.seen if path == "/api/repos/create")
    assert created.get("private") or created.get("visibility") == "private"  # by the hub library's version
    assert {authorization for _, authorization, _ in server.seen} == {"Bearer secret"}


def test_options_of_saving_count_and_a_branch_is_made(server, tmp_path):
    model = BertModel(bert())
    model.push_to_hub("thing", revision="draft", commit_message="a draft", token="secret", safe_serialization=False)
    files, headline = uploaded(server)
    assert files.keys() == {"config.json", "pytorch_model.bin"}
    assert headline == "a draft"
    paths = [path for path, _, _ in server.seen]
    assert "/api/models/somebody/thing/branch/draft" in paths
    assert "/api/models/somebody/thing/commit/draft" in paths


def test_a_refusal_and_a_bad_name_are_errors_that_say_so(server):
    server.refused = "/api/repos/create"
    with pytest.raises(NotUploaded, match="somebody/thing: not uploaded"):
        bert().push_to_hub("somebody/thing", token="secret")
    with pytest.raises(ValueError, match="repo_id: expected `name` or `owner/name`, got 'a/b/c'"):
        bert().push_to_hub("a/b/c")
