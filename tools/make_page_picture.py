"""The picture of the served page in the README: two lines of handwriting, read, and where the model looked for one of the digits.

    .venv/bin/python tools/make_page_picture.py

Needs Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from make_picture import chromium
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from multimodal.serving.server import Server, bound, configured
from multimodal.serving.service import Service

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "serve.png"
SIZE = (960, 790)
EXAMPLES, TOKEN = (3, 0), 2
"""Which examples are read, the last one on top, and which of its tokens is shown."""


def main(out: Annotated[Path, typer.Option(help="The picture to write.")] = PICTURE) -> None:
    """Serve, look, and end."""
    service = Service("digit-lines", "pt")
    listening = bound("127.0.0.1", 0)
    server = Server(configured(service, "127.0.0.1"), service)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        with chromium(*SIZE) as driver:
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": SIZE[0], "height": SIZE[1], "deviceScaleFactor": 1, "mobile": False
            })  # fmt: skip
            driver.get(f"http://127.0.0.1:{listening.getsockname()[1]}/")
            shown = photographed(driver)
    finally:
        server.should_exit = True
        thread.join()
    shown.save(out, optimize=True)
    typer.echo(f"{out}: {out.stat().st_size:,} bytes")


def photographed(driver: webdriver.Chrome) -> Image.Image:
    """The page with the examples read."""
    driver.implicitly_wait(20)
    for count, number in enumerate(EXAMPLES, 1):
        driver.find_elements(By.CSS_SELECTOR, "#examples button")[number].click()
        driver.find_element(By.CSS_SELECTOR, f".card[data-state=done]:nth-last-child({count})")
    driver.find_elements(By.CSS_SELECTOR, ".card:first-child .tokens button")[TOKEN].click()
    time.sleep(0.5)  # until it is drawn
    return Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")


if __name__ == "__main__":
    typer.run(main)
