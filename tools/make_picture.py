"""The picture at the top of the README: a line of handwriting, what each framework reads, and the report beside it.

    .venv/bin/python tools/make_picture.py --report build/demo/parity.html     # after `make demo`

Needs Debian's chromium and chromium-driver for the report's page.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont
from selenium import webdriver

from multimodal.registry import BACKENDS, TITLES
from multimodal.tasks.reading import EMBEDDED

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "overview.png"
SIZE, MARGIN, COLUMN = (1480, 690), 40, 520
INK, FAINT, PAPER, RULE = "#1f2328", "#656d76", "#ffffff", "#d0d7de"


def main(
    report: Annotated[Path, typer.Option(help="A parity report of the embedded reader.")] = Path(
        "build/demo/parity.html"
    ),
    line: Annotated[str, typer.Option(help="Which embedded line.")] = "00.png",
    out: Annotated[Path, typer.Option(help="The picture to write.")] = PICTURE,
) -> None:
    """Read the line in the three frameworks, photograph the report, and put both on one sheet."""
    image = EMBEDDED / "images" / line
    texts = {backend: read(image, backend) for backend in BACKENDS}
    sheet = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(sheet)
    handwriting = Image.open(image).convert("RGB")
    scale = COLUMN / handwriting.width
    handwriting = handwriting.resize((COLUMN, round(handwriting.height * scale)), Image.Resampling.LANCZOS)
    top = 90
    draw.text((MARGIN, 36), "multimodal read " + line, INK, ImageFont.load_default(26))
    sheet.paste(handwriting, (MARGIN, top))
    draw.rectangle((MARGIN, top, MARGIN + COLUMN, top + handwriting.height), outline=RULE, width=2)
    top += handwriting.height + 36
    for backend, text in texts.items():
        draw.text((MARGIN, top + 6), TITLES[backend], FAINT, ImageFont.load_default(28))
        draw.text((MARGIN + 230, top), text, INK, ImageFont.load_default(40))
        top += 66
    left = 2 * MARGIN + COLUMN
    page = photograph(report, (SIZE[0] - left - MARGIN, SIZE[1] - 2 * MARGIN))
    sheet.paste(page, (left, MARGIN))
    draw.rectangle((left, MARGIN, left + page.width, MARGIN + page.height), outline=RULE, width=2)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(128).save(out, optimize=True)
    typer.echo(f"{out}: {json.dumps(texts)}, {out.stat().st_size:,} bytes")


def read(image: Path, backend: str) -> str:
    """What the command prints in one framework."""
    command = [sys.executable, "-m", "multimodal", "read", str(image), "--backend", backend]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def photograph(page: Path, size: tuple[int, int]) -> Image.Image:
    """The top of a page as Chromium shows it, at twice the density."""
    width, height = (round(side * 1.25) for side in size)
    with chromium(width, height + 200) as driver:
        driver.get(page.resolve().as_uri())
        shown = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    return shown.crop((0, 0, width, height)).resize(size, Image.Resampling.LANCZOS)


@contextlib.contextmanager
def chromium(width: int, height: int) -> Iterator[webdriver.Chrome]:
    """Chromium with a window of that size, which nobody sees."""
    options = webdriver.ChromeOptions()
    for switch in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size={width},{height}",
    ):
        options.add_argument(switch)
    options.binary_location = shutil.which("chromium") or ""
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver") or ""))
    try:
        yield driver
    finally:
        driver.quit()


if __name__ == "__main__":
    typer.run(main)
