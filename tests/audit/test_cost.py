"""One message costs an audit as much as another: the time for any bytes grows no faster than they do,
and has a bound that is a multiple of what a message of a call costs."""

import base64
import math
import time
from collections.abc import Callable

import pytest

from tests.audit.messages import PHONE, Ends, request, scanner

USUAL = request(
    *("Max-Forwards: 69", "Contact: <sip:a@sip.example.com>", "Allow: INVITE, ACK, BYE, CANCEL"),
    *("Supported: replaces, timer", "Content-Type: application/sdp"),
    body="v=0\r\no=- 1 1 IN IP4 203.0.113.8\r\ns=-\r\nc=IN IP4 203.0.113.8\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n",
)

PIECES = {
    "colons": b":",
    "double colons": b"::1",
    "groups": b"a:",
    "zeros": b"0:",
    "groups of inside": b"2001:",
    "dots": b".",
    "numbers": b"1.",
    "third parties": b"198.51.100.7 ",
    "inside": b"10.1.1.30,",
    "percent": b"%41",
    "percent of addresses": b"%31%30%2e",
    "percent twice": b"%2531",
    "references": b"&#65;",
    "backslashes": b"\\x",
    "base64": base64.b64encode(b"10.1.1.30;"),
    "base64 of base64": base64.b64encode(base64.b64encode(b"10.1.1.30;" * 30)),
    "base64 almost": b"MTAu",
    "lines of base64": b"QUJDREVGR0hJSktM\r\n ",
    "wide": "10.1.1.30 ".encode("utf-16-le"),
    "names": b"example.com",
    "labels": b"a.",
    "parts": b"xexample.comx",
    "quotes": b'"',
    "brackets": b"<",
    "quotes and commas": b'",',
    "brackets and commas": b"<,",
    "values": b"<sip:10.1.1.30>,",
    "headers in URIs": b"&Replaces=10.1.1.30",
    "parameters": b";received=10.1.1.30",
    "dashes": b"-1-1-1",
    "hosts": b"@1.2",
    "folds": b"\r\n ",
    "fields": b"\r\nX: y",
    "encoded": b"\r\nContent-Encoding: gzip",
    "types": b"\r\nContent-Type: a/b",
    "parts of bodies": b"\r\n--x\r\nContent-Type: application/sdp\r\n\r\nc=IN IP4 10.1.1.3",
    "streams": b"\r\nc=IN IP4 10.1.1.33",
    "reversed": b"1.2.3.4.in-addr.arpa",
    "compressed": b"\x1f\x8b\x08",
}  # fmt: skip

FIELDS = (b"Record-Route: ", b"Content-Encoding: gzip\r\n\r\n")

AT_MOST = 1200
"""Times what a usual message costs: 64 kB are seventy times its length, and more is looked at there."""

STEEP = 1.2
"""The exponent with which the time may grow."""
ROUNDS = 5


def cpu(run: Callable[[], object], times: int) -> float:
    """The least CPU time of a few runs, in seconds."""
    best = math.inf
    for _ in range(times):
        before = time.process_time()
        run()
        best = min(best, time.process_time() - before)
    return best


@pytest.mark.parametrize("piece", PIECES)
def test_time_grows_no_faster_than_the_message(piece: str) -> None:
    audits = scanner()

    def usual() -> None:
        for _ in range(200):
            audits.scan(USUAL, Ends())

    usual()
    unit = cpu(usual, 3) / 200
    part = PIECES[piece]
    for field in FIELDS:
        head = request(f"Reason: {PHONE}")[:-2] + field

        def cost(size: int, head: bytes = head) -> float:
            data = head + part * (size // len(part)) + b"\r\n\r\n" + PHONE.encode()
            return cpu(lambda: audits.scan(data, Ends()), 2)

        small = large = math.inf
        for _ in range(
            ROUNDS
        ):  # others on the machine make a run dearer, and none makes it cheaper
            small, large = min(small, cost(8_000)), min(large, cost(64_000))
            if large < 20 * unit or math.log(large / small) / math.log(8) < STEEP:
                break
        assert large < AT_MOST * unit, (field, large / unit)
        if large > 20 * unit:  # what is less is noise
            steep = math.log(large / small) / math.log(8)
            assert steep < STEEP, (field, small / unit, large / unit)
