"""What is said in a sound file, and when: a small Data2Vec-audio that comes with the library writes down spoken words.

    python docs/examples/transcribe_words.py
    python docs/examples/transcribe_words.py speech.flac --checkpoint facebook/data2vec-audio-base-960h --backend flax
    python docs/examples/transcribe_words.py --words yes no stop

The embedded checkpoint knows ten digits and ten command words of English; left to itself, it listens to a clip that lies beside it,
in a voice that it never learnt from. The words are drawn over the clip's spectrogram, each where it is said
(docs/images/transcript.png). With a list of words nothing else is written down.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from multimodal import hub, tasks
from multimodal.processors.audio import drawing
from multimodal.processors.audio.clips import read_recording


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=hub.EMBEDDED / "spoken-words" / "clips" / "00.flac")
    parser.add_argument("--checkpoint", default="spoken-words")
    parser.add_argument("--backend", choices=["pt", "tf", "flax"])
    parser.add_argument("--words", nargs="+", help="the only words that may be said")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/transcript.png"))
    options = parser.parse_args()
    (found,) = tasks.transcription(
        options.checkpoint,
        [options.file],
        backend=options.backend,
        words=options.words,
        offsets=True,
        resample=True,
        to_mono=True,
    )
    print(found.text)
    for word in found.words or []:
        print(f"{word.start:5.2f} s to {word.end:5.2f} s  {word.text}")
    drawn(options.file, found).quantize(128).save(options.picture, optimize=True)


def drawn(file: Path, found: tasks.Transcript) -> Image.Image:
    """The file's spectrogram with the words, each between two lines where it begins and ends."""
    clip, rate = read_recording(file, to_mono=True)
    picture, seconds, _ = drawing.draw(clip, rate)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(20)
    bottom = drawing.TOP + drawing.HEIGHT
    for word in found.words or []:
        left, right = (drawing.LEFT + drawing.WIDTH * time / seconds for time in (word.start, word.end))
        for x in (left, right):
            pen.line((x, drawing.TOP, x, bottom), fill="white", width=2)
        pen.text(
            ((left + right) / 2, drawing.TOP + 10), word.text, "white", font, "ma", stroke_width=3, stroke_fill="black"
        )
    return picture


if __name__ == "__main__":
    main()
