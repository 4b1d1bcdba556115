"""The page as a real browser shows it: wide and narrow, light and dark, on paper; and what stands in the data fires nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.report.page import write_report
from tests.data.inputs import profile as write
from tests.report.browser import Page
from tests.report.nights import nights, people
from tests.report.test_page import SECTIONS

CANARY = "<script>window.fired = 1</script><img src=x onerror='window.fired = 1'><svg onload='window.fired = 1'>"
SHAPE = Path(__file__).with_name("shape.js").read_text()
FIND = """(asked) => {
  const find = document.getElementById("find");
  find.value = asked;
  find.dispatchEvent(new Event("input"));
  const left = [...document.querySelectorAll("#users > details")].filter((at) => at.checkVisibility());
  return left.map((at) => at.querySelector("bdi").textContent).sort();
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A night whose titles, claims and checks carry a script."""
    folder = tmp_path_factory.mktemp("page")
    profile = write(folder)
    rows = people()
    for row in rows:
        row["evidence"][0]["title"] = row["rankings"][0]["title"] = CANARY
        row["summary"]["summary"] += CANARY
        row["summary"]["claims"][0]["claim"] = CANARY
    nights(profile, rows, fusion=CANARY, message=CANARY)
    return write_report(profile, into=folder / "night.html").as_uri()


def shape(browser: Page, address: str, **screen: Any) -> dict[str, Any]:
    browser.open(address, **screen)
    return dict(browser.run(SHAPE))


@pytest.mark.parametrize("width", [1280, 768, 375, 320])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_structure(browser: Page, address: str, width: int, theme: str) -> None:
    found = shape(browser, address, width=width, theme=theme)
    assert [each["id"] for each in found["sections"]] == list(SECTIONS)
    assert all(each["height"] > 60 and each["left"] >= 0 and each["right"] <= width for each in found["sections"])
    assert (found["width"], found["scroll"]) == (width, width), "the page itself never scrolls sideways"
    assert all(each["width"] > 20 and each["height"] > 5 for each in found["pictures"]) and len(found["pictures"]) > 20
    assert found["dim"] == [], "text stands out from its ground by 4.5 to 1"
    assert found["unnamed"] == 0
    assert found["headings"][0] == 1 and all(
        after <= before + 1 for before, after in zip(found["headings"], found["headings"][1:], strict=False)
    )


def test_dark_is_dark(browser: Page, address: str, tmp_path: Path) -> None:
    """By the pixels of screenshots."""
    import matplotlib.image

    shades = {}
    for theme in ("light", "dark"):
        browser.open(address, theme=theme)
        pixels = matplotlib.image.imread(browser.picture(tmp_path / f"{theme}.png"))
        assert pixels.shape[1] == 1280 and pixels.shape[0] > 2000
        shades[theme] = float(pixels[..., :3].mean())
    assert shades["light"] > 0.85 and shades["dark"] < 0.2


def test_no_text_of_the_data_is_run_and_nothing_is_fetched(browser: Page, address: str) -> None:
    found = shape(browser, address)
    assert found["fired"] is None
    assert {each["request"]["url"] for each in browser.said("Network.requestWillBeSent")} == {address}
    assert browser.said("Runtime.exceptionThrown") == [] and browser.said("Log.entryAdded") == []
    assert browser.run("document.querySelectorAll('bdi img, bdi script, bdi svg').length") == 0
    assert CANARY in browser.run("document.querySelector('#users bdi:nth-of-type(1)').closest('details').textContent")


def test_the_policy_stops_a_script_that_is_not_ours(browser: Page, address: str) -> None:
    browser.open(address)
    script = "const it = document.createElement('script'); it.textContent = 'window.fired = 1'; document.body.append(it)"
    browser.run(script)
    assert browser.run("window.fired ?? null") is None
    assert "Content Security Policy" in browser.said("Log.entryAdded")[0]["entry"]["text"]


def test_users_are_found_by_what_is_told_of_them(browser: Page, address: str) -> None:
    browser.open(address)
    assert browser.run(f"({FIND})('i7')") == ["dan"]
    assert browser.run(f"({FIND})('COLD')") == ["bob"]
    assert browser.run("document.getElementById('found').textContent") == "1 of 4"
    assert browser.run(f"({FIND})('')") == ["ann", "bob", "cat", "dan"]


def test_a_citation_lights_its_event(browser: Page, address: str) -> None:
    browser.open(address)
    lit = "document.querySelectorAll('.events li.meant').length"
    assert browser.run(lit) == 0
    browser.run("document.querySelector('#u1 a.cite').focus()")
    assert browser.run(lit) == 1
    browser.run("document.querySelector('#u1 a.cite').blur()")
    assert browser.run(lit) == 0
    browser.run("document.querySelector('#u1 a.cite').click()")
    target = "document.querySelector('.events li:target')"
    assert browser.run(f"{target}.id === document.querySelector('#u1 a.cite').hash.slice(1)")
    assert browser.run(f"getComputedStyle({target}).backgroundColor") != "rgba(0, 0, 0, 0)"


def test_without_scripts_everything_can_be_read(browser: Page, address: str) -> None:
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(address)
        tree = str(browser.send("DOMSnapshot.captureSnapshot", computedStyles=[])["strings"])
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
    assert "Some of the users" in tree
    assert "in place of words in which" in tree


def test_on_paper_every_user_is_open(browser: Page, address: str) -> None:
    told = "[...document.querySelectorAll('#users > details:not([open]) .own')].map((at) => at.checkVisibility())"
    browser.open(address)
    assert browser.run(told) == [False] * 3
    browser.open(address, media="print")
    assert browser.run(told) == [True] * 3
