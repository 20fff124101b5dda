"""Every task gives the same in three frameworks, and an index that one of them made serves the others."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from multimodal.registry import BACKENDS

VECTORS = ("x-vectors", "mean hidden states")
RUN = """
import json, pathlib, sys
from multimodal import tasks
backend, classifier, segmenter, align, photos, transcriber, voices, sounds = sys.argv[1:]
files = sorted(pathlib.Path(sounds).iterdir())
paths = sorted(pathlib.Path(photos).iterdir())
search = tasks.load(align, "image_search", backend)
print(json.dumps({
    "classes": tasks.image_classification(classifier, paths, backend=backend, batch_size=3),
    "labels": tasks.zero_shot_classification(search, paths, labels=["red", "green blue", "an image"]),
    "masks": [found.mask.tolist() for found in tasks.segmentation(segmenter, paths, backend=backend, batch_size=3)],
    "matches": [[[m.path.name, m.score] for m in row] for row in tasks.image_search(search, ["red", "blue"], folder=photos)],
    "transcripts": tasks.transcription(transcriber, files, backend=backend, batch_size=3, offsets=True),
    "searched": tasks.transcription(transcriber, files, backend=backend, words=["ab", "cd", "d", "b"]),
    "voices": [
        tasks.speaker_similarity(name, [files[:2], files[2:4], files[::4]], backend=backend, batch_size=2)
        for name in (voices, transcriber)
    ],
}))
"""


@pytest.fixture(scope="module")
def found(classifier, segmenter, align, pictures, transcriber, voices, clips, tmp_path_factory):
    """{backend: results}, each from a process of its own, with a folder of its own."""
    running, sounds = {}, tmp_path_factory.mktemp("sounds")
    for number, clip in enumerate(clips):
        soundfile.write(sounds / f"{number}.wav", clip, 100, subtype="FLOAT")
    for backend in BACKENDS:
        folder = tmp_path_factory.mktemp(backend) / "photos"
        folder.mkdir()
        for number, picture in enumerate(pictures):
            picture.save(folder / f"{number}.png")
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            RUN,
            backend,
            *map(str, (classifier, segmenter, align, folder, transcriber, voices, sounds)),
        ]
        running[backend] = (subprocess.Popen(command, stdout=subprocess.PIPE, text=True), folder)
    printed = {backend: (process.communicate(timeout=300)[0], folder) for backend, (process, folder) in running.items()}
    return {backend: (json.loads(text.splitlines()[-1]), folder) for backend, (text, folder) in printed.items()}


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_classes_labels_and_matches_are_those_of_pytorch(found, backend):
    for task in ("classes", "labels", "matches"):
        for rows, wanted in zip(found[backend][0][task], found["pt"][0][task]):
            assert [row[0] for row in rows] == [row[0] for row in wanted]
            np.testing.assert_allclose([row[1] for row in rows], [row[1] for row in wanted], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_masks_are_those_of_pytorch(found, backend):
    for mask, wanted in zip(found[backend][0]["masks"], found["pt"][0]["masks"]):
        assert np.mean(np.equal(mask, wanted)) > 0.999


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_index_of_any_framework_serves_pytorch(found, align, backend, monkeypatch):
    from multimodal import tasks
    from multimodal.tasks import searching

    monkeypatch.setattr(searching, "_image_vectors", None)  # nothing is looked at again
    results, folder = found[backend]
    rows = tasks.image_search(align, ["red", "blue"], folder=folder, backend="pt")
    for row, wanted in zip(rows, results["matches"]):
        assert [match.path.name for match in row] == [name for name, _ in wanted]


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_transcripts_with_their_times_are_those_of_pytorch(found, backend):
    for task in ("transcripts", "searched"):
        assert found[backend][0][task] == found["pt"][0][task]
    assert len({text for text, *_ in found[backend][0]["transcripts"]}) >= 4


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_voices_are_as_near_as_in_pytorch(found, backend):
    for rows, wanted, kind in zip(found[backend][0]["voices"], found["pt"][0]["voices"], VECTORS):
        assert [row[1] for row in rows] == [kind] * 3
        np.testing.assert_allclose([row[0] for row in rows], [row[0] for row in wanted], atol=1e-5)
