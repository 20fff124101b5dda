"""The pictures of printed words and the training on them; no font of the test, and no word of it, is in the training."""

import io
import json
import string
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image, ImageFont

from multimodal import TrOCRProcessor
from multimodal.registry import BACKENDS
from multimodal.tasks import image_to_text
from multimodal.tasks.curves import curve

GOOD = ["apple", "banana", "cherry", "winter", "garden", "stone", "river", "cloud", "table"]
READ = """
import json, sys
from multimodal import hub
from multimodal.tasks import image_to_text
paths = sorted((hub.EMBEDDED / "printed-words" / "images").glob("*.png"))
texts = image_to_text("printed-words", paths, backend=sys.argv[1], batch_size=40)
print(json.dumps({path.name: text for path, text in zip(paths, texts)}))
"""
BAD = ["Paris", "it's", "internationally", "ox", "naïve"]


@pytest.fixture(scope="module")
def words(training):
    return training("printed_words")


@pytest.fixture
def everywhere(words, monkeypatch, tmp_path):
    """The same where Debian's fonts and list are not installed: one font that Pillow brings, and a short list."""
    brought = ImageFont.load_default(20).path
    files: dict[int, ImageFont.FreeTypeFont] = {}

    def load(name, size):
        assert name in words.FONTS
        if size not in files:
            brought.seek(0)
            files[size] = ImageFont.truetype(io.BytesIO(brought.read()), size, layout_engine=ImageFont.Layout.BASIC)
        return files[size]

    (tmp_path / "list").write_text("\n".join(map("".join, many_words())), encoding="utf-8")
    monkeypatch.setattr(words, "load", load)
    monkeypatch.setattr(words, "WORD_LIST", tmp_path / "list")
    return words


def many_words():
    rng = np.random.default_rng(0)
    return rng.choice(list(string.ascii_lowercase), (300, 5))


def drawn(words, part, fonts, count=400, seed=0):
    return words.requests(count, part, fonts, np.random.default_rng(seed))


def test_twelve_fonts_of_which_three_are_held_out(words):
    assert len(words.FONTS) == 12
    assert len({font.file for font in words.FONTS.values()}) == 12
    assert len(words.HELD_OUT) == 3
    assert {*words.TRAINING, *words.HELD_OUT} == set(words.FONTS)
    assert not {*words.TRAINING} & {*words.HELD_OUT}


def test_no_font_and_no_word_of_the_test_is_in_a_batch_of_training(everywhere, training, monkeypatch):
    train_words, real, printed = training("train_words"), everywhere.printed, []
    recipe = train_words.Recipe(batch=200, width=8, layers=1, decoder_layers=1)
    begun = train_words.Training(recipe, 0, everywhere.TRAINING)
    tested, _ = everywhere.held_out(500)
    monkeypatch.setattr(everywhere, "printed", lambda wanted, *rest: printed.extend(wanted) or real(wanted[:1], *rest))
    for step in range(5):
        begun.batch(step)
    train_words.validation(everywhere.TRAINING, 200)
    assert len(printed) == 1200
    assert {font for _, font in printed} == set(everywhere.TRAINING)
    assert {font for _, font in tested} == set(everywhere.HELD_OUT)
    assert not {text for text, _ in printed} & {text for text, _ in tested}


def test_parts_share_no_word(everywhere):
    listed = [set(everywhere.listed(part)) for part in everywhere.PARTS]
    assert all(listed)
    assert sum(map(len, listed)) == len(set.union(*listed)) == len({"".join(word) for word in many_words()})
    made = [{text for text, _ in drawn(everywhere, part, everywhere.TRAINING)} for part in everywhere.PARTS]
    assert sum(map(len, made)) == len(set.union(*made))


def test_of_a_list_only_lower_case_words_of_three_to_eight_letters_count(words, monkeypatch, tmp_path):
    (tmp_path / "list").write_text("\n".join([*BAD, *GOOD]), encoding="utf-8")
    monkeypatch.setattr(words, "WORD_LIST", tmp_path / "list")
    assert sorted(word for part in words.PARTS for word in words.listed(part)) == sorted(GOOD)


def test_words_have_every_length_and_every_letter(everywhere):
    texts = [everywhere.invented("training", np.random.default_rng(seed)) for seed in range(500)]
    assert {len(text) for text in texts} == set(range(3, 9))
    assert set("".join(texts)) == set(string.ascii_lowercase)


def test_the_same_seed_gives_the_same_pictures(everywhere):
    first, second, other = (
        everywhere.printed(drawn(everywhere, "training", everywhere.TRAINING, 12, seed), np.random.default_rng(seed))
        for seed in (5, 5, 6)
    )
    assert first.texts == second.texts != other.texts
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.centres, second.centres)
    assert not np.array_equal(first.images, other.images)


def test_strength_turns_a_word_and_its_absence_leaves_it_straight(everywhere):
    """Ink of a row of dashes: the column of each letter has its ink where the one before has it, unless it is turned."""

    def slopes(strength):
        wanted = [("zzzzzzzz", everywhere.TRAINING[0])] * 20
        pictures = everywhere.printed(wanted, np.random.default_rng(3), strength)
        ink = np.median(pictures.images, axis=(1, 2), keepdims=True) - pictures.images.astype(float)
        ink = np.where(ink > 30, ink, 0)
        rows = np.arange(everywhere.HEIGHT)[:, None]
        half = pictures.centres[:, 4]
        heights = []
        for picture, middle in zip(ink, half):
            left, right = picture[:, : int(middle)], picture[:, int(middle) :]
            heights.append((rows * right).sum() / right.sum() - (rows * left).sum() / left.sum())
        return np.abs(heights)

    assert slopes(0.0).max() < 0.5
    assert slopes(1.0).max() > 1.5


def test_words_are_inside_of_their_pictures_and_letters_where_it_is_said(everywhere):
    """In a column with a letter's centre there is ink of that letter: of an "l", the darkest."""
    wanted = [("lll", everywhere.TRAINING[0])] * 30 + [("wwwwwwww", everywhere.TRAINING[0])] * 30
    pictures = everywhere.printed(wanted, np.random.default_rng(0), 0.5)
    assert pictures.images.shape == (60, everywhere.HEIGHT, everywhere.WIDTH)
    assert pictures.images.dtype == np.uint8
    used = pictures.centres >= 0
    assert used.sum(axis=1).tolist() == [3] * 30 + [8] * 30
    assert (np.diff(pictures.centres, axis=1)[used[:, 1:]] > 0).all()
    assert (pictures.centres[used] > 2).all()
    assert (pictures.centres[used] < everywhere.WIDTH - 2).all()
    for image, centres in zip(pictures.images[:30], pictures.centres):
        light = np.median(image)
        columns = np.sort(np.argsort(np.minimum(image.astype(float), light).sum(axis=0), kind="stable")[:3])
        ink = light - np.minimum(image.astype(float), light)
        assert all(ink[:, max(0, round(c) - 2) : round(c) + 3].max() > 0.5 * ink.max() for c in centres[:3]), columns


def test_what_is_not_installed_is_named_with_its_package(words, monkeypatch, tmp_path):
    monkeypatch.setitem(words.FONTS, "Gentium", words.Font(tmp_path / "file", "fonts-sil-gentium"))
    monkeypatch.setattr(words, "WORD_LIST", tmp_path / "list")
    with pytest.raises(ValueError, match=r"/file: expected a font of Debian's fonts-sil-gentium .*got no such file"):
        words.load("Gentium", 21)
    with pytest.raises(ValueError, match=r"/list: expected Debian's word list .*wamerican.*got no such file"):
        words.listed("test")


@pytest.mark.nightly
def test_all_fonts_are_installed_and_have_every_letter(words):
    """Nightly tests need the packages that `printed_words.FONTS` names, and wamerican."""
    for name in words.FONTS:
        shapes = {bytes(words.load(name, 20).getmask(letter)) for letter in string.ascii_lowercase}
        assert len(shapes) == 26, name
    _, first = words.held_out(20)
    _, second = words.held_out(20)
    np.testing.assert_array_equal(first.images, second.images)
    assert min(len(words.listed(part)) for part in words.PARTS) > 3000


@pytest.fixture
def small(training):
    return training("train_words").Recipe(steps=4, batch=6, warmup=2, width=16, layers=1, decoder_layers=1)


def trained(training, words, recipe, folder, resume=False, until=None):
    train_words, runs = training("train_words"), training("runs")
    run = runs.Run(folder, asdict(recipe), resume=resume, minutes=0)
    training_of = train_words.Training(recipe, 0, words.TRAINING[:2])
    if until is not None:
        keep = run.keep

        def stop(step, parts, **options):
            keep(step, parts, **options)
            if step == until:
                raise InterruptedError

        run.keep = stop
        with pytest.raises(InterruptedError):
            training_of.steps(run, print, every=1, check=2)
    else:
        training_of.steps(run, print, every=1, check=2)
    return training_of, run


def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_weights(everywhere, training, small, tmp_path):
    whole, run = trained(training, everywhere, small, tmp_path / "whole")
    trained(training, everywhere, small, tmp_path / "stopped", until=2)
    log = tmp_path / "stopped" / "log.jsonl"
    log.write_text(log.read_text() + json.dumps({"step": 3, "seconds": 1.0, "loss": 99.0}) + '\n{"step": 4, "lo')
    resumed, again = trained(training, everywhere, small, tmp_path / "stopped", resume=True)
    for name, tensor in whole.model.named_tensors().items():
        np.testing.assert_array_equal(tensor.detach().numpy(), resumed.model.named_tensors()[name].detach().numpy())
    assert [record["step"] for record in again.records()] == [1, 2, 3, 4]
    for a, b in zip(run.records(), again.records(), strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}
    assert all(record["loss"] > 0 for record in run.records())
    assert ["character errors" in record for record in run.records()] == [False, True, False, True]
    assert again.seconds > 0
    picture = curve(again.records(), ("loss", "character errors"), "loss")
    assert len(picture.getcolors(10000)) > 4


def test_a_folder_of_another_run_is_refused(training, tmp_path):
    runs = training("runs")
    first = runs.Run(tmp_path, {"rate": 1e-3}, resume=True)
    first.keep(3, {}, now=True)
    assert runs.Run(tmp_path, {"rate": 1e-3}, resume=True).restore({}) == 3
    with pytest.raises(
        ValueError, match=r"expected a folder without a run, or --resume, got one with state.pt and log"
    ):
        runs.Run(tmp_path, {"rate": 1e-3}, resume=False)
    with pytest.raises(ValueError, match=r"rate: expected 0.001, with which .* was started, got 0.002"):
        runs.Run(tmp_path, {"rate": 2e-3}, resume=True)


def test_a_curve_of_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"records: expected some with loss, got none"):
        curve([{"step": 1, "rate": 1.0}], ["loss"], "")


def test_what_is_saved_is_a_reader_that_multimodal_s_tasks_take(everywhere, training, small, tmp_path):
    train_words = training("train_words")
    model, processor = train_words.build(small, 0), train_words.make_processor()
    train_words.save(model, processor, tmp_path)
    assert model.generation_config.decoder_start_token_id == train_words.END
    labels = TrOCRProcessor.from_pretrained(tmp_path)(text=["abc", "winter"], padding=True)["input_ids"]
    assert labels == [[0, 4, 5, 6, 2, 1, 1, 1], [0, 26, 12, 17, 23, 8, 21, 2]]
    pictures = everywhere.printed(drawn(everywhere, "test", everywhere.HELD_OUT, 3), np.random.default_rng(0))
    texts = image_to_text(tmp_path, [Image.fromarray(image) for image in pictures.images], backend="pt")
    assert all(set(text) <= set(string.ascii_lowercase) and len(text) <= 10 for text in texts)


def test_labels_end_with_the_last_token_and_padding_is_not_learned(everywhere, training):
    train_words = training("train_words")
    pictures = everywhere.printed([("abc", "Gentium"), ("winter", "Gentium")], np.random.default_rng(0))
    inputs = train_words.encoded(train_words.make_processor(), pictures)
    assert inputs["labels"].tolist() == [[0, 4, 5, 6, 2, -100, -100, -100], [0, 26, 12, 17, 23, 8, 21, 2]]
    grey = pictures.images[:, None].astype(np.float32)
    wanted = np.broadcast_to((grey / 255 - train_words.MEAN) / train_words.DEVIATION, (2, 3, 32, 128))
    np.testing.assert_allclose(inputs["pixel_values"].numpy(), wanted, atol=1e-5)


def test_the_guide_is_told_the_letter_of_each_column_and_its_place(training, words):
    train_words = training("train_words")
    centres = np.full((1, words.LONGEST), -1.0)
    centres[0, :3] = 10.0, 21.0, 30.0
    pictures = words.Pictures(np.zeros((1, 32, 128), np.uint8), ["cab"], centres)
    letters, places = train_words.column_labels(pictures, (2, 16)).numpy()[:, 0]
    assert letters.tolist() == [2, 2, 0, 1, 1, *[26] * 11] * 2
    assert places.tolist() == [1, 1, 2, 3, 3, *[0] * 11] * 2


def test_character_errors_count_characters_of_all_texts_together(training):
    assert training("text_scores").character_errors(["abc", "d"], ["abd", "de"]) == 2 / 5


def test_errors_of_a_font_are_those_of_its_words_alone(training):
    of_font = training("eval_words").errors_where
    texts, truth = ["abc", "d", "xyz"], ["abd", "de", "xyz"]
    assert of_font([True, False, True], texts, truth) == 1 / 6
    assert of_font([False, True, False], texts, truth) == 1 / 2
    assert np.isnan(of_font([False] * 3, texts, truth))


@pytest.fixture(scope="module")
def truth(words):
    return json.loads((words.FOLDER / "images" / "labels.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def texts():
    """{backend: {image: text}}, each from a process of its own."""
    running = {
        backend: subprocess.Popen(
            [sys.executable, "-c", READ, backend], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for backend in BACKENDS
    }
    printed = {backend: process.communicate(timeout=300) for backend, process in running.items()}
    said = [line for _, errors in printed.values() for line in errors.splitlines()]
    assert [line for line in said if line.startswith("E0")] == []  # TensorFlow's mark of an error
    return {backend: json.loads(lines) for backend, (lines, _) in printed.items()}


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_the_embedded_words_fewer_than_12_of_100_letters_are_wrong(texts, truth, training, backend):
    """On 1,200 words `training/eval_words.py` holds it."""
    found = [texts[backend][name] for name in truth]
    assert training("text_scores").character_errors(found, list(truth.values())) <= 0.12


def test_the_three_frameworks_read_the_same(texts):
    assert texts["pt"] == texts["tf"] == texts["flax"]


def test_the_checkpoint_is_small(words, truth):
    assert len(truth) == 40
    assert (words.FOLDER / "model.safetensors").stat().st_size < 3_000_000


@pytest.mark.nightly
def test_the_embedded_pictures_are_the_first_held_out_ones(words, truth):
    """Where Debian's fonts and list are installed in the versions that made them."""
    _, pictures = words.held_out()
    assert list(truth.values()) == pictures.texts[: len(truth)]
    for name, image in zip(truth, pictures.images):
        np.testing.assert_array_equal(np.asarray(Image.open(words.FOLDER / "images" / name)), image)
