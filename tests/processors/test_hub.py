"""Names and paths to local files, without a network: folders, MULTIMODAL_CHECKPOINTS, the hub's cache."""

from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest

from multimodal import hub
from multimodal.processors.bert import BertTokenizerFast

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "checkpoint"
    (made / "part").mkdir(parents=True)
    (made / "config.json").write_text("{}")
    (made / "part" / "vocab.txt").write_text("a\n")
    return made


@pytest.fixture
def cache(tmp_path):
    """A hub cache as huggingface_hub lays it out, with one snapshot of owner/name."""
    snapshot = tmp_path / "cache" / "models--owner--name" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    refs = tmp_path / "cache" / "models--owner--name" / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    return tmp_path / "cache"


def test_a_folder_is_used_as_it_is(folder):
    assert hub.find_folder(folder, ["config.json"]) == folder
    assert hub.find_folder(str(folder)) == folder


def test_a_subfolder_is_looked_into(folder):
    assert hub.find_file(folder, "vocab.txt", subfolder="part") == folder / "part" / "vocab.txt"
    assert hub.find_file(folder, "vocab.txt") is None


def test_a_name_under_the_checkpoints_variable_is_found(folder, monkeypatch):
    monkeypatch.setenv("MULTIMODAL_CHECKPOINTS", str(folder.parent))
    assert hub.find_folder("checkpoint", ["*.json"]) == folder


def test_an_owner_and_name_under_the_checkpoints_variable_is_found(tmp_path, monkeypatch):
    (tmp_path / "google" / "vit").mkdir(parents=True)
    monkeypatch.setenv("MULTIMODAL_CHECKPOINTS", str(tmp_path))
    assert hub.find_folder("google/vit") == tmp_path / "google" / "vit"


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_the_hub_cache_is_read_offline(cache, revision):
    found = hub.find_file("owner/name", "config.json", cache_dir=cache, local_files_only=True, revision=revision)
    assert found is not None
    assert found.read_text() == "{}"


def test_the_offline_variable_of_the_hub_is_honoured(cache, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert hub.find_folder("owner/name", ["config.json"], cache_dir=cache).name == COMMIT


def test_an_unknown_name_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIMODAL_CHECKPOINTS", str(tmp_path))
    with pytest.raises(hub.CheckpointNotFound, match=r"the folder no/such.*MULTIMODAL_CHECKPOINTS.*hub's local cache"):
        hub.find_folder("no/such", cache_dir=tmp_path, local_files_only=True)


def test_an_unknown_revision_is_named(cache):
    with pytest.raises(hub.CheckpointNotFound, match="revision 'v2'"):
        hub.find_folder("owner/name", cache_dir=cache, local_files_only=True, revision="v2")


def test_a_folder_without_the_wanted_files_says_what_is_wanted_and_what_is_there(folder):
    with pytest.raises(hub.CheckpointNotFound, match=r"one of model\.safetensors, model\.bin.*config\.json, part/"):
        hub.find_folder(folder, ["model.safetensors", "model.bin"])


@pytest.mark.parametrize("name", ["/no/such/folder", "./relative", "a/b/c", "../up", "~/nowhere-at-all"])
def test_a_path_that_does_not_exist_is_not_asked_of_the_hub(name):
    with pytest.raises(hub.CheckpointNotFound, match="no such folder"):
        hub.find_folder(name)


@pytest.mark.parametrize("name", ["x" * 300, "../" * 3000, "owner/" + "x" * 300, "x\0y", "\ud800"])
def test_a_name_that_nothing_can_have_is_not_found(name, folder, monkeypatch):
    for checkpoints in (None, str(folder.parent)):
        if checkpoints:
            monkeypatch.setenv(hub.CHECKPOINTS_VARIABLE, checkpoints)
        with pytest.raises(hub.CheckpointNotFound):
            hub.find_folder(name, local_files_only=True)
    if "\0" not in name:
        with pytest.raises(ValueError, match="subfolder"):
            hub.find_folder(folder, subfolder=name)


def test_a_file_is_no_checkpoint(folder):
    with pytest.raises(hub.CheckpointNotFound, match="got a file"):
        hub.find_folder(folder / "config.json")


@pytest.mark.parametrize("name", [None, "", 3])
def test_a_name_of_a_wrong_type_is_named(name):
    with pytest.raises(ValueError, match="name_or_path"):
        hub.find_folder(name)


@pytest.mark.parametrize("subfolder", ["../other", "/absolute", "missing"])
def test_a_subfolder_stays_inside(folder, subfolder):
    with pytest.raises(ValueError, match="subfolder"):
        hub.find_folder(folder, subfolder=subfolder)


def test_hub_keywords_are_told_from_others():
    options, rest = hub.split_options({"revision": "main", "token": None, "size": 3, "trust_remote_code": True})
    assert options == {"revision": "main", "token": None}
    assert rest == {"size": 3}


def test_a_tokenizer_loads_by_name(tmp_path, monkeypatch, make):
    make(BertTokenizerFast).save_pretrained(tmp_path / "unc-nlp" / "lxmert")
    monkeypatch.setenv("MULTIMODAL_CHECKPOINTS", str(tmp_path))
    assert BertTokenizerFast.from_pretrained("unc-nlp/lxmert", revision="main").name_or_path == "unc-nlp/lxmert"


@pytest.mark.parametrize("subfolder", ["..", "part/../..", "../other", "/"])
def test_a_subfolder_outside_of_the_checkpoint_is_refused_though_it_is_there(folder, subfolder):
    (folder.parent / "other").mkdir()
    assert (folder / subfolder).is_dir()
    with pytest.raises(ValueError, match="subfolder: expected a relative path inside the checkpoint"):
        hub.find_folder(folder, subfolder=subfolder)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, {}),
        ({"revision": "v2", "cache_dir": "/cache"}, {"revision": "v2", "cache_dir": "/cache"}),
        ({"local_files_only": True, "force_download": True}, {"local_files_only": True, "force_download": True}),
        ({"token": "t"}, {"token": "t"}),
        ({"use_auth_token": "old"}, {"token": "old"}),
        ({"token": "t", "use_auth_token": "old", "resume_download": True, "proxies": {}}, {"token": "t"}),
        ({"subfolder": "part"}, {"allow_patterns": ["part/*.txt"]}),
    ],
    ids=str,
)
def test_the_hub_is_asked_with_the_options_of_the_call(folder, given, asked, monkeypatch):
    seen = []
    monkeypatch.delenv("MULTIMODAL_CHECKPOINTS", raising=False)
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **options: seen.append((name, options)) or folder
    )
    (folder / "vocab.txt").touch()
    hub.find_folder("owner/model", ["*.txt"], **given)
    defaults = {"revision": None, "cache_dir": None, "local_files_only": False, "token": None, "force_download": False}
    assert seen == [("owner/model", {**defaults, "allow_patterns": ["*.txt"], **asked})]


BROUGHT = sorted(path.name for path in hub.EMBEDDED.iterdir())


@pytest.mark.parametrize("name", BROUGHT)
def test_what_the_library_brings_is_found_by_its_name_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(hub.CHECKPOINTS_VARIABLE, raising=False)
    assert (hub.find_folder(name, ["config.json"]) / "model.safetensors").is_file()


def test_what_the_library_brings_is_named_where_names_are_explained():
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    for text in (hub.__doc__ or "", readme):
        assert [name for name in BROUGHT if f"`{name}`" not in text] == []


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    (tmp_path / "digit-lines").mkdir()
    monkeypatch.chdir(tmp_path)
    assert hub.find_folder("digit-lines") == Path("digit-lines")


@pytest.mark.parametrize("name", ["mymodel", "./mymodel", "models/my_modle", "digit-line"])
def test_a_name_with_a_slip_gets_the_one_that_is_there_and_no_essay(name, tmp_path, monkeypatch):
    for folder in ("my_model", "models/my_model"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(hub.CheckpointNotFound) as raised:
        hub.find_folder(name, local_files_only=True)
    message = str(raised.value)
    wanted = "digit-lines" if name == "digit-line" else str(Path(name).with_name("my_model"))
    assert f"did you mean {wanted}?" in message
    assert len(message) < 500
    assert "\n" not in message
