"""The pages in headless Chromium: no error, no request, no sideways scrolling, keys, paper."""

import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import Browser

pytestmark = pytest.mark.needs("chromium")
Command = Callable[..., Any]
SCREENS = ((1280, False), (768, True), (390, False), (390, True))
TAB = 9
ENTER = 13


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def made() -> dict[str, Path]:
    """The pages, once they are made."""
    return {}


@pytest.fixture
def pages(
    made: dict[str, Path], command: Command, captures: Path, tmp_path: Path,
    make_capture: Callable[..., Path],
) -> dict[str, Path]:  # fmt: skip
    """The call of the slides; calls over three proxies; words too long for any line, and audits."""
    if made:
        return made
    inside = ("--inside", "192.168.178.0/24", "--inside", "203.0.113.5")
    call, masked = captures / "three-proxies.pcap", tmp_path / "masked.pcap"
    assert command("replay", "-r", call, "-w", masked, "--leg", "outside", *inside).status == 0
    slides = [captures / f"slides-{side}.pcap" for side in ("inside", "outside")]
    word = "w" * 700
    start = (
        f"{word} sip:{word}@10.0.0.9 SIP/2.0\n{word}: {word}\nCall-ID: {word}\nCSeq: 1 {word}\n"
        f"Contact: <sip:{word}@10.7.7.7>\n"
    )
    answer = f"SIP/2.0 200 {word}\nCall-ID: 2{word}\nCSeq: 1 {word}\n\n"
    ways = [(f"10.0.0.{n}", f"10.0.0.{n + 1}") for n in range(1, 9)]
    long = make_capture("long.pcap", *((*way, f"{start}\n{word}") for way in ways))
    other = make_capture(
        "l.pcap", *((*way, f"{start}X: {word}\n\n{word}") for way in ways), (*ways[0], answer)
    )
    words = {
        "slides": ("diff", *slides),
        "proxies": ("diff", call, masked, *inside),
        "long": ("diff", long, other, "--inside", "10.0.0.1"),
        "audit": ("audit", "-r", slides[0], "--inside", "192.168.178.10"),
        "leaks": ("audit", "-r", other, "--inside", "10.0.0.4", "--inside", "10.0.0.1"),
    }
    found = {name: tmp_path / f"{name}.html" for name in words}
    for name, path in found.items():
        assert command(*words[name], "--html", path).status == 1
    made.update(found)
    return made


def test_no_error_no_request_no_sideways_scrolling(
    browser: Browser, pages: dict[str, Path]
) -> None:
    for path in pages.values():
        for width, dark in SCREENS:
            browser.events.clear()
            browser.open(path, width, dark=dark)
            browser.ask("for (const one of document.querySelectorAll('details')) one.open = true")
            assert browser.ask("document.documentElement.scrollWidth") <= width
            assert (
                browser.ask("document.querySelector('main').getBoundingClientRect().right") <= width
            )
            requests = [
                event["params"]["request"]["url"]
                for event in browser.events
                if event.get("method") == "Network.requestWillBeSent"
            ]
            assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
            errors = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
            assert not [event for event in browser.events if event.get("method") in errors]


def test_the_policy_stops_what_slips_in(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    """Were there markup from a capture, no browser would follow it: the net below the escaping."""
    text = pages["slides"].read_text("utf-8")
    bad = tmp_path / "bad.html"
    evil = (
        "<script>document.title = 'owned'</script><img src='http://192.0.2.1/x.png'"
        " onerror=\"document.title = 'owned'\"><p style='position:fixed' id='styled'>x</p>"
    )
    bad.write_text(text.replace("<main>", f"<main>{evil}"), "utf-8")
    browser.open(bad, 1280)
    assert browser.ask("document.title") == "What the wire showed, before and after"
    assert browser.ask("getComputedStyle(document.getElementById('styled')).position") == "static"


def test_light_and_dark(browser: Browser, pages: dict[str, Path]) -> None:
    """Both schemes, with the contrast that WCAG 2.1 asks for (1.4.3: 4.5 to 1)."""
    for name in ("slides", "audit"):
        grounds = set()
        for dark in (False, True):
            browser.open(pages[name], 1280, dark=dark)
            ground, texts = browser.ask(COLOURS)
            grounds.add(tuple(ground))
            assert min(texts) >= 4.5, (name, dark)
        assert len(grounds) == 2


# The ground of the page, and the contrast of every element that has text of its own with the ground
# that is painted behind it (relative luminance as WCAG 2.1 defines it).
COLOURS = """(() => {
  const rgb = text => text.match(/[0-9.]+/g).map(Number);
  const light = color => {
    const [r, g, b] = color.map(c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = node => {
    for (; node; node = node.parentElement) {
      const color = rgb(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const own = node => [...node.childNodes].some(one => one.nodeType === 3 && one.data.trim());
  const texts = [...document.body.querySelectorAll('*')].filter(own)
    .filter(node => node.tagName !== 'title').map(node => {
    const style = getComputedStyle(node);
    const color = rgb(node instanceof SVGElement ? style.fill : style.color).slice(0, 3);
    const [dim, bright] = [light(color), light(behind(node))].sort((a, b) => a - b);
    return (bright + .05) / (dim + .05);
  });
  return [behind(document.body), texts];
})()"""


def test_the_keyboard_reaches_everything(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["slides"], 1280)
    reached = []
    wanted = browser.ask("document.querySelectorAll('summary, a, .scroll').length")
    for _ in range(wanted):
        browser.press("Tab", TAB)
        reached.append(
            browser.ask(
                "[document.activeElement.tagName.toLowerCase(),"
                " document.activeElement.getAttribute('class') || '',"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
    assert reached[0][:2] == ["a", "skip"]
    names = [tag for tag, *_ in reached]
    assert (names.count("summary"), names.count("a"), names.count("div")) == (7, 7, 1)
    for tag, name, outline in reached:
        assert outline != "none" or name.startswith("arrow"), tag  # an arrow's row is outlined


def test_an_arrow_opens_its_message(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["proxies"], 1280)
    closed = "[...document.querySelectorAll('.card')].map(card => card.open)"
    assert not any(browser.ask(closed))
    browser.ask("document.querySelectorAll('a.arrow')[2].focus()")
    browser.press("Enter", ENTER)
    browser.ask("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    assert [position for position, is_open in enumerate(browser.ask(closed)) if is_open] == [2]


def test_the_phone_stacks_what_the_desktop_sets_side_by_side(
    browser: Browser, pages: dict[str, Path]
) -> None:
    ends = (
        "['before', 'after'].map(side => {"
        " const box = document.querySelector(`.card[open] tr.changed .${side}`)"
        ".getBoundingClientRect(); return [box.left, box.top]; })"
    )
    browser.open(pages["slides"], 1280)
    (left, top), (other_left, other_top) = browser.ask(ends)
    assert left < other_left
    assert top == other_top
    browser.open(pages["slides"], 390)
    (left, top), (other_left, other_top) = browser.ask(ends)
    assert left == other_left
    assert top < other_top
    box = "document.querySelector('figure .scroll')"
    assert browser.ask(f"{box}.scrollWidth > {box}.clientWidth")  # the ladder scrolls by itself


def test_paper_shows_every_message(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["proxies"], 1280)
    assert not browser.ask("document.querySelectorAll('.card[open]').length")
    closed = pages_of(browser.pdf())
    browser.ask("for (const one of document.querySelectorAll('details')) one.open = true")
    assert pages_of(browser.pdf()) == closed
    browser.ask("for (const one of document.querySelectorAll('.card > div')) one.remove()")
    assert pages_of(browser.pdf()) <= closed / 2


def pages_of(pdf: bytes) -> int:
    """How many pages a PDF counts (ISO 32000-1, 7.7.3.2), wherever its page tree stands."""
    streams = [
        zlib.decompressobj().decompress(found)
        for found in re.findall(rb"/FlateDecode[^>]*>>\s*stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    ]
    counts = [int(n) for text in (pdf, *streams) for n in re.findall(rb"/Count (\d+)", text)]
    return max(counts)
