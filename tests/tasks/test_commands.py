"""`multimodal classify`, `segment` and `search`: what they print, the pictures they write, and what they say of bad input."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from multimodal import tasks
from multimodal.cli import app
from multimodal.tasks import drawing


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def failed(done, *words):
    """Whether a command ended with a message and nothing else."""
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ") or "Error" in done.stderr  # the latter of the parser of options
    assert all(word in done.stderr.replace("\n", " ") for word in words), done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout
    return True


@pytest.fixture
def paths(folder):
    return sorted(folder.iterdir())


# classify


def test_given_labels_are_printed_with_their_scores(align, paths, pictures):
    labels = ["red", "green blue", "an image"]
    (wanted,) = tasks.zero_shot_classification(align, [pictures[0]], labels=labels)
    done = run("classify", paths[0], "--labels", *labels, "--checkpoint", align, "--backend", "pt")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [f"{entry.score:.4f}\t{entry.label}" for entry in wanted]


def test_labels_may_be_said_one_at_a_time_and_options_may_stand_in_between(align, paths):
    whole = run("classify", paths[0], "--labels", "red", "green", "--checkpoint", align, "--template", "an {}")
    apart = run(
        "classify", "--template=an {}", "--labels=red", "--checkpoint", align, "--labels", "green", "--", paths[0]
    )
    assert whole.stdout == apart.stdout
    assert len(whole.stdout.splitlines()) == 2


def test_classes_that_were_learned_are_printed_of_several_pictures(classifier, paths, pictures):
    done = run("classify", *paths[:2], "--checkpoint", classifier, "--top", 2)
    wanted = tasks.image_classification(classifier, pictures[:2], top_k=2)
    assert done.stdout.splitlines() == [
        f"{path}\t{entry.score:.4f}\t{entry.label}" for path, ranked in zip(paths, wanted) for entry in ranked
    ]


def test_classify_prints_json_and_fails_for_a_picture_that_is_none(classifier, paths, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    done = run("classify", tmp_path / "notes.txt", paths[0], "--checkpoint", classifier, "--top", 1, "--json")
    broken, fine = json.loads(done.stdout)
    assert "notes.txt" in broken["error"]
    assert fine["path"] == str(paths[0])
    assert [sorted(entry) for entry in fine["labels"]] == [["label", "score"]]
    assert done.exit_code == 2


def test_classify_says_what_it_needs(align, classifier, segmenter, paths):
    assert failed(run("classify", paths[0]), "--labels: expected texts to choose from, or --checkpoint")
    assert failed(run("classify", paths[0], "--labels"), "--labels", "requires an arg")
    assert failed(run("classify", "--labels", "red", paths[0], "--checkpoint", align), "Missing argument")
    assert failed(run("classify", paths[0], "--checkpoint", align), "image_classification", "'align'")
    assert failed(run("classify", paths[0], "--labels", "red", "--checkpoint", classifier), "'data2vec-vision'")
    assert failed(run("classify", paths[0], "--checkpoint", segmenter), "without the weights of classifier")
    assert failed(run("classify", paths[0], "--checkpoint", "no/such"), "no/such")
    assert failed(run("classify", paths[0], "--labels", "a", "--checkpoint", align, "--backend", "x"), "backend", "'x'")
    assert failed(run("classify", paths[0], "--checkpoint", classifier, "--top", 0), "--top")
    assert failed(run("classify", paths[0], "--labels", "a", "a", "--checkpoint", align), "labels", "each once")


# segment


def test_segment_prints_the_classes_and_writes_the_overlay(segmenter, paths, pictures, tmp_path):
    (found,) = tasks.segmentation(segmenter, pictures[:1])
    done = run("segment", paths[0], "--overlay", tmp_path / "out.png", "--checkpoint", segmenter)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"{100 * found.shares[index]:.1f} %\t{label}" for index, label in found.labels.items()
    ]
    wanted = drawing.overlay(pictures[0], found)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(wanted))


def test_segment_prints_json(segmenter, paths):
    found = json.loads(run("segment", paths[0], "--checkpoint", segmenter, "--json").stdout)
    assert (found["path"], found["height"], found["width"], found["overlay"]) == (str(paths[0]), 20, 30, None)
    assert sum(entry["share"] for entry in found["classes"]) == pytest.approx(1)


@pytest.mark.parametrize("name", ["none/out.png", ".", "out.txt", "out"])
def test_segment_checks_where_the_overlay_goes_before_the_work(paths, tmp_path, name):
    done = run("segment", paths[0], "--overlay", tmp_path / name, "--checkpoint", "no/such")
    assert failed(done, "--overlay: expected", str(tmp_path / name))


def test_segment_says_what_it_needs(segmenter, classifier, paths, tmp_path):
    assert failed(run("segment", tmp_path / "no.png", "--checkpoint", segmenter), "no.png")
    assert failed(run("segment", paths[0], "--checkpoint", classifier), "segmentation", "decode_head")
    assert failed(run("segment", paths[0], "--checkpoint", "no/such"), "no/such")
    assert failed(run("segment", paths[0], "--checkpoint", "digit-lines"), "data2vec-vision", "vision-encoder-decoder")


# search


def test_search_prints_the_nearest_first_and_writes_the_sheet(align, folder, tmp_path):
    (wanted,) = tasks.image_search(align, ["red"], folder=folder, top=3)
    done = run("search", folder, "red", "--top", 3, "--sheet", tmp_path / "out.png", "--checkpoint", align)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [f"{match.score:.3f}\t{match.path}" for match in wanted]
    sheet = drawing.contact_sheet(wanted, "red")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(sheet))


def test_search_names_and_skips_what_it_cannot_read(align, folder):
    (folder / "broken.png").write_bytes(b"")
    done = run("search", folder, "red", "--checkpoint", align, "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["text"] == "red"
    assert len(found["matches"]) == 4
    assert [one["path"] for one in found["skipped"]] == [str(folder / "broken.png")]
    assert done.stderr.startswith("skipped: ")
    assert "broken.png" in done.stderr


def test_search_says_what_it_needs(align, classifier, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"")
    assert failed(run("search", tmp_path / "none", "red", "--checkpoint", align), "got none", "none")
    assert failed(run("search", tmp_path / "empty", "red", "--checkpoint", align), "at least one picture")
    assert failed(run("search", folder / "0.png", "red", "--checkpoint", align), "got a file")
    assert failed(run("search", folder, "", "--checkpoint", align), "expected a text")
    assert failed(run("search", folder, "red", "--checkpoint", align, "--top", 0), "--top")
    assert failed(run("search", folder, "red", "--checkpoint", classifier), "image_search", "align")
    assert failed(run("search", folder, "red", "--checkpoint", "no/such"), "no/such")
    assert failed(run("search", folder, "red", "--checkpoint", align, "--sheet", "out.txt"), "--sheet: expected a name")
    done = run("search", tmp_path / "broken", "red", "--checkpoint", align)
    assert done.exit_code == 2
    assert "expected a picture that can be read" in done.stderr
