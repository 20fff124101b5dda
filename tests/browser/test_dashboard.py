"""The parity report in a real browser: wide and phone, light and dark, by hand and by keyboard."""

import importlib.util
from pathlib import Path

import pytest
from looking import CONTRAST, PHONE, WIDE, evaluate, show

from multimodal.parity.cells import ERROR, FAILED
from multimodal.parity.report import page as report
from multimodal.parity.report import store

pytestmark = pytest.mark.nightly

_spec = importlib.util.spec_from_file_location("dashboard", Path(__file__).parents[1] / "parity" / "dashboard.py")
dashboard = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(dashboard)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report with every state in it."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    run = dashboard.run({"semantics": FAILED, "precision": ERROR})
    run.faults = {"tf": {"caught": ["one", "two"], "missed": [], "not_run": {}}}
    older = [dashboard.run({}, "2025-03-01T10:00:00+00:00")]
    store.date_failures(run, older)
    report.write(path, run, older)
    return path.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE, (768, 900), (320, 700)], ids=str)
def test_the_page_fits_and_can_be_read(browser, page, size, scheme):
    show(browser, page, size, scheme)
    assert evaluate(browser, "return document.documentElement.scrollWidth") <= size[0]
    assert evaluate(browser, CONTRAST) == []
    ground = evaluate(browser, "return getComputedStyle(document.body).backgroundColor")
    assert (int(ground.split("(")[1].split(",")[0]) < 128) == (scheme == "dark")


def test_nothing_is_fetched_and_nothing_is_logged(browser, page):
    browser.get_log("performance")
    show(browser, page, WIDE, "light")
    requests = [e["message"] for e in browser.get_log("performance") if "Network.requestWillBeSent" in e["message"]]
    assert [r for r in requests if '"url":"http' in r] == []
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=str)
def test_the_verdict_and_what_broke_are_on_the_first_screen(browser, page, size):
    show(browser, page, size, "light")
    bottom = evaluate(browser, "return document.querySelector('.broken h3').getBoundingClientRect().bottom")
    assert bottom < size[1]
    sentence = evaluate(browser, "return document.querySelector('.sentence').innerText")
    assert "TensorFlow goes wrong at decoder block 2" in sentence


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=str)
def test_a_cell_opens_with_its_command_and_closes_again(browser, page, size):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, page, size, "dark")
    cell = browser.find_element(By.CSS_SELECTOR, "button.cell.failed")
    cell.send_keys(Keys.ENTER)
    opened = browser.find_element(By.CSS_SELECTOR, "[popover]:popover-open")
    assert "--backends tf --checks semantics" in opened.text
    assert "decoder block 2" in opened.text
    box = opened.rect
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size[0]
    opened.find_element(By.CSS_SELECTOR, ".head button").click()
    assert browser.find_elements(By.CSS_SELECTOR, "[popover]:popover-open") == []


def test_the_theme_can_be_chosen(browser, page):
    from selenium.webdriver.common.by import By

    show(browser, page, WIDE, "dark")
    button = browser.find_element(By.ID, "theme")
    grounds = []
    for _ in range(3):
        grounds.append(evaluate(browser, "return getComputedStyle(document.body).backgroundColor"))
        button.click()
    assert grounds[0] == grounds[2] != grounds[1], "as the system (dark), light, dark"


def test_the_copy_button_copies_the_command(browser, page):
    from selenium.webdriver.common.by import By

    show(browser, page, WIDE, "light")
    grant = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.execute_cdp_cmd("Browser.grantPermissions", grant)
    browser.find_element(By.CSS_SELECTOR, ".broken [data-copy]").click()
    copied = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0], arguments[0])")
    assert copied == "multimodal parity here --backends tf --checks semantics"


def test_the_plot_shows_every_backend_and_rings_what_is_beyond_the_budget(browser, page):
    show(browser, page, WIDE, "light")
    script = "return [...document.querySelectorAll('#plot-semantics .wide {}')].map((e) => e.textContent)"
    titles = evaluate(browser, script.format("g g > title"))
    assert {title.split(",")[0] for title in titles} == {"PyTorch", "TensorFlow", "Flax"}
    assert len(evaluate(browser, script.format(".over"))) == 2


def test_the_matrix_stays_a_table_for_those_who_listen(browser, page):
    for size in (WIDE, PHONE):
        show(browser, page, size, "light")
        tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = [node["role"]["value"] for node in tree if "role" in node]
        assert roles.count("columnheader") >= 4
        assert roles.count("cell") >= 9
