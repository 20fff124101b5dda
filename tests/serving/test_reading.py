"""What is read of pictures, what the decoder looked at meanwhile, and what a request may ask for."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from multimodal import DeiTImageProcessor, ViTConfig, tasks
from multimodal.serving import heat
from multimodal.serving.limits import Limits, Settings, settings_of
from multimodal.serving.reader import prepare, read
from multimodal.serving.uploads import opened
from multimodal.tasks.reading import EMBEDDED

LINES = sorted((EMBEDDED / "images").glob("*.png"))[:5]


@pytest.fixture(scope="module")
def reader():
    return tasks.load("digit-lines", "image_to_text", "pt")


@pytest.fixture(scope="module")
def seen(reader):
    return [prepare(reader.image_processor, opened(path.read_bytes(), Limits())) for path in LINES]


def columns(steps):
    """The tokens of each picture, without what comes behind their ends."""
    return [[token for token in column if token is not None] for column in zip(*steps)]


def texts(steps):
    return [column[-1].text if column else "" for column in columns(steps)]


def test_a_batch_is_read_as_the_task_reads_and_as_each_by_itself(reader, seen):
    pixels = [one.pixels for one in seen]
    found = texts(read(reader, pixels, Settings("pt")))
    assert found == tasks.image_to_text(reader, LINES)
    assert len({len(text) for text in found}) > 1, "they end at different steps"
    assert [texts(read(reader, [one], Settings("pt")))[0] for one in pixels] == found


def test_pieces_make_the_text_and_come_with_their_chances(reader, seen):
    for column in columns(read(reader, [one.pixels for one in seen], Settings("pt"))):
        assert "".join(token.piece for token in column) == column[-1].text
        assert [token.text for token in column] == [column[-1].text[: n + 1] for n in range(len(column))]
        assert all(0.3 < token.chance <= 1 for token in column)


def test_the_heat_is_the_cross_attention_that_generate_gives(reader, seen):
    import torch

    pixels = [one.pixels for one in seen[:3]]
    found = columns(read(reader, pixels, Settings("pt")))
    asked = {"output_attentions": True, "return_dict_in_generate": True}
    output = reader.model.generate(torch.from_numpy(np.stack(pixels)), **asked)
    for row, column in enumerate(found):
        for place, token in enumerate(column):
            layers = [layer[row, :, -1].mean(0).numpy() for layer in output.cross_attentions[place]]
            wanted = np.stack([np.mean(layers, axis=0), *layers])
            np.testing.assert_allclose(token.heat.maps[:, 0], wanted[:, 1:], atol=1e-6)
            np.testing.assert_allclose(token.heat.elsewhere, wanted[:, 0], atol=1e-6)


def test_the_reader_looks_at_the_digit_that_it_reads(reader, seen):
    """From left to right, as the digits stand."""
    (column,) = columns(read(reader, [seen[0].pixels], Settings("pt")))
    places = [int(token.heat.maps[0, 0].argmax()) for token in column]
    assert places == sorted(places)
    assert len(places) == 6


def test_fewer_tokens_can_be_asked_for_and_a_seed_draws_the_same_again(reader, seen):
    pixels = [seen[0].pixels]
    assert len(texts(read(reader, pixels, Settings("pt", max_new_tokens=2)))[0]) == 2
    drawn = [texts(read(reader, pixels, Settings("pt", temperature=9.0, seed=seed)))[0] for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 2


def test_what_is_shown_is_what_is_left_of_a_picture_that_is_cut():
    picture = Image.new("RGB", (100, 100), "red")
    picture.paste("white", (20, 20, 80, 80))
    processor = DeiTImageProcessor(size={"height": 20, "width": 20}, crop_size={"height": 10, "width": 10})
    made = prepare(processor, picture)
    assert made.pixels.shape == (3, 10, 10)
    shown = np.asarray(Image.open(io.BytesIO(made.shown)))
    assert shown.shape == (770, 770, 3), "77 times the size, at least 768"
    assert shown.min() > 240, "the border is cut off"


def test_maps_are_laid_out_by_the_grid_and_the_rest_is_told_apart():
    crossed = np.zeros((2, 1, 1, 1 + 6), np.float32)
    crossed[0, 0, 0] = [0.4, 0.1, 0, 0.3, 0, 0.2, 0]
    first, second = heat.heats([crossed, 3 * crossed], (2, 3))
    np.testing.assert_allclose(first.maps[0], 2 * np.array([[0.1, 0, 0.3], [0, 0.2, 0]]), rtol=1e-6)
    np.testing.assert_allclose(first.elsewhere, [0.8, 0.4, 1.2], rtol=1e-6)
    told = first.to_json()
    np.testing.assert_allclose(told["peaks"], [0.6, 0.3, 0.9], rtol=1e-6)
    sent = np.frombuffer(base64.b64decode(told["maps"]), np.uint8).reshape(3, 2, 3)
    assert (sent == np.array([[85, 0, 255], [0, 170, 0]])).all()
    assert not second.maps.any()
    assert second.to_json()["peaks"] == [0, 0, 0], "nothing is divided by zero"


def test_the_newest_position_of_a_step_counts():
    crossed = np.zeros((1, 1, 3, 2), np.float32)
    crossed[0, 0] = [[1, 0], [1, 0], [0, 1]]
    (found,) = heat.heats([crossed], (1, 2))
    assert found.maps[0].tolist() == [[0, 1]]


def test_the_grid_is_the_encoder_s_or_follows_from_the_picture():
    config = ViTConfig(image_size=(24, 128), patch_size=(24, 4))
    assert heat.grid_of(config, (24, 128), 33) == (1, 32)
    assert heat.grid_of(config, (24, 128), 20) is None
    assert heat.grid_of(object(), (224, 224), 49) == (7, 7)
    assert heat.grid_of(object(), (64, 128), 32) == (4, 8)
    assert heat.grid_of(object(), (224, 224), 50) is None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"backend": "mxnet"}, "backend: expected one of pt, flax, got 'mxnet'"),
        ({"backend": "tf"}, r"backend: .*got 'tf' \(not installed\)"),
        ({"max_new_tokens": "0"}, "max_new_tokens: expected a whole number from 1 to 512, got '0'"),
        ({"max_new_tokens": "2.5"}, "max_new_tokens: expected a whole number"),
        ({"temperature": "nan"}, "temperature: expected a number from 0.01 to 100, got 'nan'"),
        ({"temperature": "0"}, "temperature: expected"),
        ({"seed": "-1", "temperature": "1"}, "seed: expected a whole number"),
        ({"seed": "1"}, "seed: expected it with a temperature"),
        ({"num_beams": "4"}, "'num_beams': expected backend"),
    ],
    ids=str,
)
def test_what_a_request_may_not_ask_for_is_named(query, message):
    with pytest.raises(ValueError, match=message):
        settings_of(query, ["pt", "flax"])


def test_what_a_request_asks_for_is_what_is_generated():
    plain = {"num_beams": 1, "num_beam_groups": 1, "num_return_sequences": 1, "diversity_penalty": 0.0}
    plain |= {"penalty_alpha": 0.0, "do_sample": False}
    assert settings_of({}, ["flax", "pt"]) == Settings("flax")
    assert settings_of({}, ["pt"]).generation() == plain
    drawn = settings_of({"temperature": "0.5", "seed": "3", "max_new_tokens": "7", "backend": "pt"}, ["flax", "pt"])
    assert drawn.alone
    assert drawn.generation() == plain | {"do_sample": True, "temperature": 0.5, "seed": 3, "max_new_tokens": 7}


def file_of(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


SMALL = Image.effect_noise((40, 30), 90)
PNG = file_of(SMALL, "PNG")
BROKEN = {
    "text": (b"hello", "got no format that is one of PNG"),
    "cut off": (PNG[:-200], "expected a whole picture of at most 1000000 pixels .* in the upload"),
    "a bomb": (file_of(Image.new("1", (20_000, 20_000)), "PNG"), "expected a whole picture .* got"),
    "too many pixels": (file_of(Image.new("1", (1001, 1000)), "PNG"), "got 1001 x 1000 pixels"),
    "another program's": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "got no format"),
    "an icon": (file_of(SMALL, "ICO"), "got no format that is one of PNG"),
    "floats": (file_of(SMALL.convert("F"), "TIFF"), "image: expected a picture of 8 or 16 bits"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_picture_is_refused_in_a_line(name):
    data, message = BROKEN[name]
    with pytest.raises(ValueError, match=message) as error:
        opened(data, Limits(pixels=10**6))
    assert "\n" not in str(error.value)
    assert "BytesIO" not in str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_formats_that_are_named_are_read(kind):
    assert opened(file_of(SMALL, kind), Limits(pixels=1200)).size == SMALL.size


@pytest.mark.parametrize("given", [{"batch": 0}, {"upload_bytes": True}, {"seconds": 0}], ids=str)
def test_limits_are_positive(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))}: expected a positive"):
        Limits(**given)
