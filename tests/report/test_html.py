"""The pages of `diff --html` and `audit --html`: what stands in them, and that nothing else can."""

import base64
import hashlib
import json
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.report.reading import Reading

Command = Callable[..., Any]
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"
TAGS = frozenset(
    {
        *("html", "head", "meta", "link", "title", "style", "body", "header", "main", "section"),
        *("nav", "h1", "h2", "h3", "p", "a", "strong", "span", "div", "dl", "dt", "dd", "ol", "ul"),
        *("li", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "code", "del"),
        *("ins", "mark", "figure", "figcaption", "svg", "g", "text", "tspan", "line", "path"),
        *("polygon", "rect"),
    }
)


@pytest.fixture
def page(command: Command, tmp_path: Path) -> Callable[..., Reading]:
    """Run a report with --html, and read its page."""

    def make(*words: str | Path, status: int = 1) -> Reading:
        path = tmp_path / "page.html"
        assert command(*words, "--html", path).status == status
        return Reading(path.read_text("utf-8"))

    return make


@pytest.fixture
def slides(captures: Path) -> tuple[Path, Path]:
    return captures / "slides-inside.pcap", captures / "slides-outside.pcap"


def facts(page: Reading) -> dict[str, str]:
    values = [value.split("\n")[0] for value in page.of["strong"]]
    return dict(zip(page.of["dt"], values, strict=True))


def test_the_slide_call(page: Callable[..., Reading], slides: tuple[Path, Path]) -> None:
    made = page("diff", *slides)
    assert facts(made) == {
        "Messages": "6",
        "Changed": "5",
        "Bytes added": "+347",
        "Leaks": "not judged",
        "Media addresses shown": "2",
    }
    assert "989804978-40416-6@BJC.BGI.BHI.CH" in made.of["h3"][0]
    token = "sip:10.1.1.10;line=sr-ORylIHvlTJS.IXenCXNciHvPItcZTMWfC6m.T5**"  # on the slides
    assert made.of["del"][1] == "sip:105@192.168.178.27:40416"
    assert made.of["ins"][1] == token
    arrows = [label for label in made.of["text"] if re.match("INVITE|BYE|200", label)]
    assert arrows == ["INVITE", "INVITE +101", "200 Ok +67", "200 Ok +37", "BYE +37", "BYE +105"]
    assert len(made.all("a", class_="arrow changed")) == 5


def test_side_by_side_is_the_whole_message(
    page: Callable[..., Reading], slides: tuple[Path, Path]
) -> None:
    made = page("diff", *slides)
    code = set(made.of["code"])
    for path in slides:
        for line in re.findall(rb"\n([A-Z][A-Za-z-]+: [^\r\n]+)", path.read_bytes()):
            assert line.decode() in code, line


def test_the_policy_allows_nothing_but_the_style(
    command: Command, slides: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    command("diff", *slides, "--html", path)
    text = path.read_text("utf-8")
    [style] = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    [policy] = re.findall('"Content-Security-Policy" content="([^"]*)"', text)
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    made = Reading(text)
    links = [attributes.get("href", "#") for _, attributes in made.elements]
    assert all(link.startswith("#") or link == "data:," for link in links)
    anchors = {attributes["id"] for _, attributes in made.elements if "id" in attributes}
    assert {link[1:] for link in links if link != "#" and link.startswith("#")} <= anchors
    assert not [name for _, attributes in made.elements for name in attributes if name == "style"]


def test_nothing_in_a_message_is_markup(
    page: Callable[..., Reading], make_capture: Callable[..., Path]
) -> None:
    text = (
        f"INVITE sip:{EVIL.replace(' ', '')}@h SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1;x={EVIL}\n"
        f"From: {EVIL} <sip:a@h>;tag=1\nTo: <sip:b@h>\nCall-ID: {EVIL.replace(' ', '')}\n"
        f"CSeq: 1 INVITE\n{EVIL.replace(' ', '')}: x\n"
        f"Contact: <sip:a@10.9.9.9>\nSubject: \x1b[2J\x00\x85\u202e\n"
        f"Content-Type: application/sdp\n\nv=0\nc=IN IP4 {EVIL}\n"
    )
    first = text.replace("\n", "\r\n").encode() + b"\xff\xfe</code>\xc3\x28"
    second = first.replace(b"x=<script>", b"x=</td><script>").replace(b"\x1b[2J", b"\x1b[3J")
    ends = ("10.0.0.5", "203.0.113.9")
    answer = f"SIP/2.0 200 {EVIL}\nCall-ID: 2\nCSeq: 1 INVITE\n\n"
    broken = b"INVITE sip:a SIP/2.0\r\n<script>\r\n\r\n"
    before = make_capture("<b>&a.pcap", (*ends, first), (*ends, answer), (*ends, broken))
    after = make_capture("b.pcap", (*ends, second), (*ends, answer))
    inside = ("--inside", "10.0.0.0/8")
    for words in (["diff", before, after, *inside], ["audit", "-r", before, *inside]):
        made = page(*words)
        assert {tag for tag, _ in made.elements} <= TAGS
        assert not [n for _, attributes in made.elements for n in attributes if n.startswith("on")]
        assert EVIL in made.text
        assert "<b>&a.pcap" in made.text
        assert "\\xff\\xfe</code>" in made.text
        assert "\\x1b[2J\\x00" in made.text
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", made.text)


def test_leaks_are_marked(
    command: Command, page: Callable[..., Reading], slides: tuple[Path, Path]
) -> None:
    judged = command("audit", "-r", slides[0], "--inside", "192.168.178.10", "--json")
    leaks = json.loads(judged.out)["leaks"]
    made = page("audit", "-r", slides[0], "--inside", "192.168.178.10")
    assert facts(made)["Leaks"] == str(len(leaks))
    assert {leak["shown"] for leak in leaks} <= set(made.of["mark"])
    leaking = {leak["packet"] for leak in leaks}
    cards = made.all("details", class_="card leak")
    assert len(cards) == len(leaking)
    assert all("open" in card for card in cards)


def test_leaks_of_after_in_a_diff(
    command: Command, page: Callable[..., Reading], slides: tuple[Path, Path]
) -> None:
    for after in slides:
        made = page(
            "diff", slides[0], after, "--inside", "192.168.178.10", status=after != slides[0]
        )
        judged = command("audit", "-r", after, "--inside", "192.168.178.10", "--json")
        assert facts(made)["Leaks"] == str(len(json.loads(judged.out)["leaks"]))


def test_leaks_that_nobody_could_judge_are_not_none(
    command: Command, slides: tuple[Path, Path], tmp_path: Path
) -> None:
    words = ("--html", tmp_path / "page.html", "--inside", "203.0.113.9")
    status, out, err = command("diff", *slides, *words)
    assert (status, out) == (2, "")
    assert f"{slides[1]}: nothing was judged" in err
    assert not (tmp_path / "page.html").exists()


def test_a_bounded_page_says_what_it_leaves_out(
    page: Callable[..., Reading], captures: Path
) -> None:
    call = captures / "three-proxies.pcap"
    made = page("diff", call, call, "--max", "5", status=0)
    assert len([tag for tag, a in made.elements if a.get("class", "").startswith("card ")]) == 5
    assert facts(made)["Messages"] == "27"
    assert "first 5 messages of 27, and 1 of 2 calls" in made.text


def test_a_huge_message_is_cut(
    page: Callable[..., Reading], make_capture: Callable[..., Path]
) -> None:
    start = "OPTIONS sip:b@h SIP/2.0\nCall-ID: x\nCSeq: 1 OPTIONS\n"
    text = start + f"Subject: {'s' * 9000}\n" + "X: y\n" * 1000 + "\n"
    path = make_capture("a.pcap", ("10.0.0.1", "203.0.113.9", text))
    made = page("diff", path, path, status=0)
    assert f"{9000 + len('Subject: ') - 4096} characters left out" in made.text
    assert "605 more lines left out of this page" in made.text  # 3 + 1 + 1000, the body's empty one
    assert "s" * 4097 not in made.text


def test_lost_and_added_are_listed(page: Callable[..., Reading], make_capture: Any) -> None:
    def text(number: int) -> tuple[str, str, str]:
        start = f"OPTIONS sip:b@h SIP/2.0\nCall-ID: x\nCSeq: {number} OPTIONS\n\n"
        return "10.0.0.1", "203.0.113.9", start

    before = make_capture("a.pcap", text(1), text(2), text(3), text(4))
    after = make_capture("b.pcap", text(3), text(1), text(4), text(5))
    made = page("diff", before, after)
    assert facts(made)["Lost, added or reordered"] == "3"
    assert "1 only in BEFORE, 1 only in AFTER, 1 in another order" in made.text
    assert made.of["text"].count("OPTIONS (moved)") == 1
    [lost] = made.all("details", class_="card only_before")
    assert "open" not in lost


@pytest.mark.parametrize("target", ["", "missing/page.html", "/dev/full"])
def test_what_cannot_be_written_is_2(
    command: Command, slides: tuple[Path, Path], tmp_path: Path, target: str
) -> None:
    path = tmp_path / target
    status, out, err = command("diff", *slides, "--html", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"inline-topo: {path}: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_page_is_not_written_over_an_input(
    command: Command, slides: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.pcap"
    copy.write_bytes(slides[0].read_bytes())
    for words in (["diff", copy, slides[1]], ["audit", "-r", copy, "--inside", "192.168.178.10"]):
        status, _, err = command(*words, "--html", copy)
        assert (status, err) == (
            2,
            f"inline-topo: {copy}: is an input too, give the page another name\n",
        )
    assert copy.read_bytes() == slides[0].read_bytes()


def test_standard_output_is_for_the_results(
    command: Command, slides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = command("diff", *slides, "--html", "-")
    assert (status, out, list(tmp_path.iterdir())) == (2, "", [])


def test_half_a_page_is_none(slides: tuple[Path, Path], tmp_path: Path) -> None:
    """The disk is full half way: the page of before stays, and nothing else."""

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    path = tmp_path / "page.html"
    path.write_text("the page of before")
    done = subprocess.run(
        [sys.executable, "-m", "inline_topo", "diff", *slides, "--html", path],
        capture_output=True,
        text=True,
        preexec_fn=small_files,
    )
    assert (done.returncode, done.stderr) == (2, f"inline-topo: {path}: file too large\n")
    assert path.read_text() == "the page of before"
    assert list(tmp_path.iterdir()) == [path]
