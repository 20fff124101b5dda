"""`multimodal.tasks.image_to_text` and `multimodal read`: every kind of picture is read right, or refused by name."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from multimodal import tasks
from multimodal.commands import read
from multimodal.tasks import reading

LINE = reading.EMBEDDED / "images" / "00.png"
TRUTH = json.loads((LINE.parent / "labels.json").read_text(encoding="utf-8"))
WANTED = TRUTH[LINE.name]


@pytest.fixture(scope="module")
def reader():
    return tasks.load("digit-lines", "image_to_text", "pt")


@pytest.fixture
def command():
    """`command(*arguments)`: what `multimodal read` prints."""
    app = typer.Typer()
    app.command()(read.command)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def line():
    """The first embedded picture, grey."""
    return Image.open(LINE)


def read_one(reader, path, **options):
    (text,) = tasks.image_to_text(reader, [path], **options)
    return text


def transparent(line):
    """Black ink on nothing: what is transparent is black in most files."""
    alpha = Image.fromarray(255 - np.asarray(line))
    return Image.merge("RGBA", [Image.new("L", line.size)] * 3 + [alpha])


KINDS = {
    "grey": lambda line: line,
    "colour": lambda line: line.convert("RGB"),
    "grey with alpha": lambda line: line.convert("LA"),
    "colour with alpha": lambda line: line.convert("RGBA"),
    "transparent paper": transparent,
    "palette": lambda line: line.convert("P"),
    "adaptive palette": lambda line: line.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE),
    "16 bits": lambda line: Image.fromarray(np.asarray(line).astype(np.uint16) * 257),
    "three times the size": lambda line: line.resize((line.width * 3, line.height * 3), Image.Resampling.BICUBIC),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_reads_the_same_in_every_kind_of_picture(reader, line, tmp_path, kind):
    KINDS[kind](line).save(tmp_path / "line.png")
    assert read_one(reader, tmp_path / "line.png") == WANTED


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "RGB", "L"])
def test_a_line_reads_the_same_in_colour_spaces_of_print_and_video(reader, line, tmp_path, mode):
    name = "line.tif" if mode in ("CMYK", "YCbCr") else "line.jpg"
    line.convert("RGB").convert(mode).save(tmp_path / name, quality=95)
    assert read_one(reader, tmp_path / name) == WANTED


def test_sixteen_bits_of_other_formats_are_scaled(tmp_path, line):
    wide = np.asarray(line).astype(np.uint16) * 257
    (tmp_path / "line.pgm").write_bytes(b"P5 %d %d 65535\n" % line.size + wide.astype(">u2").tobytes())
    Image.fromarray(wide).save(tmp_path / "line.tif")
    for name in ("line.pgm", "line.tif"):
        picture = tasks.open_picture(tmp_path / name)
        np.testing.assert_array_equal(np.asarray(picture)[..., 0], np.asarray(line))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(tmp_path, orientation):
    colours = np.zeros((2, 3, 3), np.uint8)
    colours[0, 0], colours[1, 2] = (250, 10, 10), (10, 10, 250)
    upright = Image.fromarray(colours)
    undo = [None, None, *(Image.Transpose(t) for t in (0, 3, 1, 5, 2, 6, 4))][orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if undo is None else upright.transpose(undo)
    stored.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(tasks.open_picture(tmp_path / "turned.png")), colours)


def test_the_smallest_picture_is_read(reader, tmp_path):
    Image.new("L", (1, 1), 200).save(tmp_path / "dot.png")
    assert isinstance(read_one(reader, tmp_path / "dot.png"), str)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_extreme_proportions_are_read(reader, tmp_path, size):
    Image.new("L", size, 200).save(tmp_path / "stripe.png")
    assert isinstance(read_one(reader, tmp_path / "stripe.png"), str)


def _png_of(width, height):
    """A PNG whose header alone is there: it claims a size and has next to no data."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def _image(picture, kind):
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


BAD = {
    "text": b"a picture is worth a thousand words",
    "empty": b"",
    "only a signature": b"\x89PNG\r\n\x1a\n",
    "truncated png": LINE.read_bytes()[:400],
    "truncated jpeg": _image(Image.open(LINE), "JPEG")[:500],
    "wrong checksum": LINE.read_bytes()[:60] + b"\0\0\0\0" + LINE.read_bytes()[64:],
    "enormous": _png_of(60_000, 60_000),
    "large and cut off": _png_of(10_000, 10_000),
    "no pixels": _png_of(0, 10),
    "floating values": _image(Image.new("F", (4, 4), 0.5), "TIFF"),
    "32 bits": _image(Image.new("I", (4, 4), 100_000), "TIFF"),
    "32 bits, dark": _image(Image.new("I", (4, 4), 100), "TIFF"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_picture_is_an_error_with_its_name(tmp_path, kind):
    path = tmp_path / "suspect.png"
    path.write_bytes(BAD[kind])
    with pytest.raises(ValueError, match=r"expected a .*picture") as error:
        tasks.open_picture(path)
    assert "suspect.png" in str(error.value)


@pytest.mark.parametrize("name", ["missing.png", ""])
def test_a_missing_file_and_a_folder_are_errors_with_their_names(tmp_path, name):
    with pytest.raises(ValueError, match="expected a whole picture") as error:
        tasks.open_picture(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_the_texts_do_not_depend_on_the_size_of_a_batch(reader):
    paths = [LINE.parent / name for name in list(TRUTH)[:7]]
    alone = tasks.image_to_text(reader, paths, batch_size=1)
    assert tasks.image_to_text(reader, paths, batch_size=3) == alone
    assert tasks.image_to_text(reader, paths[::-1], batch_size=3) == alone[::-1]


def test_bad_pictures_among_good_ones_can_be_left_out(reader, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    failed = {}
    texts = tasks.image_to_text(reader, [bad, LINE, bad], on_error=failed.__setitem__)
    assert texts == [None, WANTED, None]
    assert sorted(failed) == [0, 2]
    assert all(str(bad) in str(error) for error in failed.values())


def test_max_length_cuts_the_text(reader):
    assert read_one(reader, LINE, max_length=3) == WANTED[:2]


def test_no_pictures_are_no_readings(reader):
    assert tasks.image_to_text(reader, []) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "mxnet"}, "backend: expected one of pt, tf, flax"),
        ({"batch_size": 0}, "batch_size: expected a positive integer"),
        ({"model_or_name": "no/such/folder/here"}, "no/such/folder/here"),
        ({"max_length": 1}, "max_length: expected more"),
    ],
)
def test_bad_options_are_errors_that_name_them(options, message):
    with pytest.raises(ValueError, match=message):
        tasks.image_to_text(**{"model_or_name": "digit-lines", "inputs": [LINE], **options})


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "vit"}', encoding="utf-8")
    with pytest.raises(ValueError, match="image_to_text, a model_type among vision-encoder-decoder, got 'vit'"):
        tasks.image_to_text(tmp_path, [LINE])


def test_the_command_prints_the_text_of_one_picture(command):
    done = command(LINE)
    assert (done.exit_code, done.stdout) == (0, f"{WANTED}\n")


def test_the_command_names_the_pictures_where_there_are_several(command):
    paths = [LINE.parent / name for name in list(TRUTH)[:2]]
    done = command(*paths, "--backend", "pt")
    assert done.exit_code == 0
    assert [row.split("\t")[0] for row in done.stdout.splitlines()] == [str(path) for path in paths]


def test_the_command_prints_json(command, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    done = command(LINE, tmp_path / "notes.txt", "--json")
    first, second = json.loads(done.stdout)
    assert first == {"path": str(LINE), "text": WANTED}
    assert "notes.txt" in second["error"]
    assert done.exit_code == 2


def test_the_command_reads_the_good_pictures_and_fails_for_the_bad(command, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    done = command(tmp_path / "notes.txt", LINE)
    assert done.exit_code == 2
    assert WANTED in done.stdout
    assert "notes.txt" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", [("--backend", "mxnet"), ("--checkpoint", "no/such/folder")])
def test_bad_options_of_the_command_are_errors_without_a_traceback(command, option):
    done = command(LINE, *option)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not done.stdout
