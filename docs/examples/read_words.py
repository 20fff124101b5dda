"""Read printed words: a small ViT and TrOCR decoder that come with the library read pictures of one word each.

    python docs/examples/read_words.py
    python docs/examples/read_words.py word.png other.png --backend flax

Left to itself it reads pictures that lie beside the embedded checkpoint: words, and fonts, that nothing was trained on. They are
put on one sheet, what was read below each (docs/images/words.png).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from multimodal import hub, tasks

PICTURES = sorted((hub.EMBEDDED / "printed-words" / "images").glob("*.png"))[:12]
WIDTH, HEIGHT, CAPTION, COLUMNS = 256, 64, 32, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="*", type=Path, default=PICTURES)
    parser.add_argument("--checkpoint", default="printed-words")
    parser.add_argument("--backend", choices=["pt", "tf", "flax"])
    parser.add_argument("--sheet", type=Path, default=Path("docs/images/words.png"))
    options = parser.parse_args()
    texts = tasks.image_to_text(options.checkpoint, options.pictures, backend=options.backend)
    for path, text in zip(options.pictures, texts):
        print(f"{path.name} {text}")
    sheet(options.pictures, texts).save(options.sheet, optimize=True)


def sheet(paths: list[Path], texts: list[str]) -> Image.Image:
    """The pictures in rows of four, each with its text below."""
    rows = -(-len(paths) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * WIDTH, rows * (HEIGHT + CAPTION)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(18)
    for place, (path, text) in enumerate(zip(paths, texts)):
        left, top = place % COLUMNS * WIDTH, place // COLUMNS * (HEIGHT + CAPTION)
        with Image.open(path) as picture:
            page.paste(picture.convert("RGB").resize((WIDTH, HEIGHT)), (left, top))
        pen.text((left + WIDTH // 2, top + HEIGHT + CAPTION // 2), text, fill="#1f2328", font=font, anchor="mm")
    return page


if __name__ == "__main__":
    main()
