"""The page of `multimodal serve` in a real browser: pictures in, text and heat out, by hand, by keyboard and by bad files."""

import threading
import time

import pytest
from looking import CONTRAST, PHONE, WIDE, evaluate, show
from PIL import Image

from multimodal.serving.limits import Limits
from multimodal.serving.server import Server, bound, configured
from multimodal.serving.service import Service
from multimodal.tasks.reading import EMBEDDED

pytestmark = pytest.mark.nightly

LINES = sorted((EMBEDDED / "images").glob("*.png"))
TEXT = "626185"


class Patient(Service):
    """Waits before every token but the first, while `gate` is closed."""

    gate = threading.Event()

    def _read(self, pixels, settings):
        for place, step in enumerate(super()._read(pixels, settings)):
            assert not place or self.gate.wait(20)
            yield step


@pytest.fixture(scope="module")
def page():
    """The address of a page that is served."""
    service = Patient("digit-lines", "pt", Limits(upload_bytes=200_000))
    service.gate.set()
    listening = bound("127.0.0.1", 0)
    server = Server(configured(service, "127.0.0.1"), service)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(20)


def wait_for(browser, script, seconds=30.0):
    """What the script gives once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := evaluate(browser, script)):
        assert time.monotonic() < deadline, evaluate(browser, "return document.body.innerText")
        time.sleep(0.02)
    return found


def opened(browser, page, size=WIDE, scheme="light"):
    browser.get_log("browser")
    browser.get_log("performance")
    show(browser, page, size, scheme)
    wait_for(browser, "return document.querySelectorAll('#examples button').length === 8")


def give(browser, *paths):
    """Choose files, as a person does in the dialogue."""
    from selenium.webdriver.common.by import By

    browser.find_element(By.ID, "files").send_keys("\n".join(map(str, paths)))


DONE = "return document.querySelector('.card')?.dataset.state"
SHOWN = "return document.querySelector('.card .text').textContent"
CHIPS = "return [...document.querySelectorAll('.card:first-child .tokens button')].map((chip) => chip.textContent)"
BRIGHTEST = """
const canvas = document.querySelector(".card canvas"), { width, height } = canvas;
const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
let best = 0;
for (let i = 0; i < width * height; i++) if (data[4 * i + 1] > data[4 * best + 1]) best = i;
return [best % width, width, height];
"""
BOX = "const r = document.querySelector('.card TAG').getBoundingClientRect(); return [r.x, r.y, r.width, r.height]"
DROP = """
const [number, done] = arguments;
fetch("/examples/" + number).then((response) => response.blob()).then((blob) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([blob], "dropped.png"));
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  done();
});
"""


def test_a_picture_is_read_and_each_token_shows_where_it_stands(browser, page):
    opened(browser, page)
    give(browser, LINES[0])
    assert wait_for(browser, DONE) == "done"
    assert evaluate(browser, SHOWN) == TEXT
    assert evaluate(browser, CHIPS) == list(TEXT)
    places = []
    for number in range(len(TEXT)):
        evaluate(browser, f"document.querySelectorAll('.card:first-child .tokens button')[{number}].click()")
        place, width, height = evaluate(browser, BRIGHTEST)
        assert (width, height) == (32, 1)
        places.append(place)
    assert places == sorted(places)
    assert len(set(places)) >= 5, "digits stand beside each other"
    assert "of the attention" in evaluate(browser, "return document.querySelector('.legend').textContent")
    image, canvas = (evaluate(browser, BOX.replace("TAG", tag)) for tag in ("img", "canvas"))
    assert image == pytest.approx(canvas, abs=1), "the map lies over the picture"
    assert image[2] / image[3] == pytest.approx(128 / 24, rel=0.02)


def test_text_is_there_before_it_is_whole(browser, page):
    opened(browser, page)
    Patient.gate.clear()
    try:
        give(browser, LINES[0])
        assert wait_for(browser, SHOWN.replace("').", "')?.")) == TEXT[0]
        assert not evaluate(browser, DONE)
    finally:
        Patient.gate.set()
    assert wait_for(browser, DONE) == "done"
    assert evaluate(browser, SHOWN) == TEXT


def test_layers_are_chosen_and_tokens_walked_by_keyboard(browser, page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    opened(browser, page)
    give(browser, LINES[0])
    wait_for(browser, DONE)
    chips = browser.find_elements(By.CSS_SELECTOR, ".tokens button")
    chips[1].send_keys(Keys.ENTER)
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    pressed = "return [...document.querySelectorAll('.tokens button')].findIndex((c) => c.ariaPressed === 'true')"
    assert evaluate(browser, pressed) == 2
    options = evaluate(browser, "return [...document.querySelector('.looked select').options].map((o) => o.text)")
    assert options == ["mean of all", "layer 1", "layer 2"]
    drawn = "return [...document.querySelector('.card canvas').getContext('2d').getImageData(0, 0, 32, 1).data]"
    maps = []
    for _ in options:
        maps.append(evaluate(browser, drawn))
        browser.find_element(By.CSS_SELECTOR, ".looked select").send_keys(Keys.ARROW_DOWN)
    assert len({str(one) for one in maps}) == 3


def test_pictures_are_read_however_they_come(browser, page):
    """Dropped, several at once, and the examples."""
    opened(browser, page)
    browser.execute_async_script(DROP, 0)
    assert wait_for(browser, DONE) == "done"
    assert evaluate(browser, SHOWN) == TEXT
    assert "dropped.png, PyTorch" in evaluate(browser, "return document.querySelector('.card .status').textContent")
    give(browser, *LINES[:4])
    wait_for(browser, "return document.querySelectorAll('.card[data-state=done]').length === 5")
    evaluate(browser, "document.querySelector('#examples button').click()")
    wait_for(browser, "return document.querySelectorAll('.card[data-state=done]').length === 6")
    assert evaluate(browser, SHOWN) == TEXT


def test_what_is_no_picture_is_a_message(browser, page, tmp_path):
    opened(browser, page)
    files = {"letter.txt": b"hello", "cut.png": LINES[0].read_bytes()[:-200], "large.png": bytes(300_000)}
    wanted = {"letter.txt": "got no format", "cut.png": "expected a whole picture", "large.png": "at most 0.2 MB"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        give(browser, tmp_path / name)
        wait_for(browser, f"return document.querySelector('.card .status').textContent.startsWith('{name}: ')")
        assert wanted[name] in evaluate(browser, "return document.querySelector('.card .status').textContent")
    Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")
    give(browser, tmp_path / "bomb.png")
    wait_for(browser, "return document.querySelector('.card .status').textContent.includes('9000 x 9000 pixels')")
    give(browser, LINES[0])
    assert wait_for(browser, DONE) == "done"


def test_settings_go_with_the_picture(browser, page):
    from selenium.webdriver.common.by import By

    opened(browser, page)
    browser.find_element(By.ID, "max_new_tokens").send_keys("3")
    give(browser, LINES[0])
    wait_for(browser, DONE)
    assert evaluate(browser, SHOWN) == TEXT[:3]
    titles = evaluate(
        browser, "return [...document.querySelectorAll('#backends label')].map((l) => l.innerText.trim())"
    )
    assert titles == ["PyTorch", "TensorFlow", "Flax"]


def test_the_framework_is_switched_and_loaded_when_it_is_first_asked_for(browser, page):
    opened(browser, page)
    evaluate(browser, "document.querySelector('[name=backend][value=flax]').click()")
    give(browser, LINES[0])
    status = "return document.querySelector('.card .status')?.textContent"
    wait_for(browser, f"{status} === 'loading the model in Flax'")
    assert wait_for(browser, DONE, seconds=90) == "done"
    assert evaluate(browser, SHOWN) == TEXT
    assert ", Flax, " in evaluate(browser, status)


def test_nothing_is_fetched_from_elsewhere_and_nothing_is_logged(browser, page):
    import json

    opened(browser, page)
    give(browser, LINES[0])
    wait_for(browser, DONE)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert f"{page}page.js" in addresses
    assert [url for url in addresses if not url.startswith((page, "data:", "blob:"))] == []
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE, (320, 700)], ids=str)
def test_the_page_fits_and_can_be_read(browser, page, size, scheme):
    opened(browser, page, size, scheme)
    give(browser, LINES[0])
    wait_for(browser, DONE)
    assert evaluate(browser, "return document.documentElement.scrollWidth") <= size[0]
    assert evaluate(browser, CONTRAST) == []
