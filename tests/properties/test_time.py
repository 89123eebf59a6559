"""No packet takes long to judge, whatever its sender has made of it: time grows with length alone."""

import time

import pytest

from inline_topo.assemble import Leg
from tests.masking.network import CODECS, PEER, PROXY, datagram, gateway, judge

SIZE = 60_000
SECONDS = 0.5  # of processor; quadratic ways take from one second to twenty
TOKEN = b"A" * 30 + b";line=sr-AAAA,"  # so that what enters is looked at closely

FILLED = {
    "escaped quotes": (b"Contact: ,", b'"\\'),
    "escaped quotes in what may be a token": (b"Route: " + TOKEN, b'"\\'),
    "open brackets": (b"Contact: ,", b"<"),
    "open brackets and quotes": (b"Refer-To: " + TOKEN, b'<"'),
    "empty quotes": (b"Contact: ", b'"" '),
    "commas": (b"Contact: ", b","),
    "semicolons": (b"Contact: <sip:a@10.0.0.5>", b";"),
    "blanks, then a word": (b"To: <sip:a@10.0.0.5>x", b" "),
    "folds": (b"Contact: <sip:a@h>", b"\r\n "),
    "folds of an Event": (b"Event: dialog", b"\r\n "),
    "blanks in a Via": (b"Via: SIP/2.0/UDP h\r\nVia: SIP/2.0/UDP h", b" "),
    "a long host of a Via": (b"Via: SIP/2.0/UDP h\r\nVia: SIP/2.0/UDP ", b"a."),
    "colons in a Via": (b"Via: SIP/2.0/UDP h\r\nVia: SIP/2.0/UDP ", b":"),
    "Vias that may be tokens": (
        b"Via: SIP/2.0/UDP h\r\n",
        b"Via: SIP/2.0/UDP h;branch=z9hG4bKsr-AAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
    ),
    "what may be tokens": (b"Refer-To: <sip:h;", b"A" * 27 + b";"),
    "one long token": (b"Route: <sip:", b"A"),
    "users": (b"Contact: <sip:", b"a@"),
    "numbers in a Call-ID": (b"Call-ID: ", b"1."),
    "colons in a Call-ID": (b"Call-ID: ", b"1::"),
    "markers in a Call-ID": (b"Call-ID: ", b"!!!:"),
    "prefixes of Call-IDs": (b"In-Reply-To: ", b"!!:AAAA,"),
    "methods": (b"Contact: <sip:10.0.0.5", b";method="),
    "headers of a URI": (b"Refer-To: <sip:h", b"?Replaces="),
    "percent signs": (b"Refer-To: <sip:h?Replaces=", b"%"),
    "short lines": (b"", b"X:\r\n"),
    "Replaces": (b"", b"Replaces: x;\r\n"),
}
STARTS = [
    b"INVITE sip:a@h SIP/2.0\r\n",
    b"SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\nVia: SIP/2.0/UDP h\r\n",
]
WHOLE = {
    "lines without a start line": b"\n" * SIZE + b"SIP/2.0",
    "words without a start line": b"a b " * (SIZE // 4) + b"SIP/2.0 x\r\n",
    "blanks in the start line": b"INVITE a" + b" " * SIZE + b"SIP/2.0x",
    "many start lines": b"INVITE x\n" * (SIZE // 9) + b" SIP/2.0 x",
    "a long version": b"SIP/" + b"1" * SIZE,
    "a long status": b"SIP/2.0" + b" " * SIZE,
}
GATEWAYS = [gateway(codec, leg, topoh__mask_callid=True) for codec in CODECS for leg in Leg]


def check(payload: bytes) -> None:
    for source, target in ((PROXY, PEER), (PEER, PROXY)):
        packet = datagram(payload[:65_000], source, target)
        for each in GATEWAYS:
            started = time.process_time()
            verdict = judge(each, packet)
            assert time.process_time() - started < SECONDS, verdict.outcome


@pytest.mark.parametrize(("before", "unit"), FILLED.values(), ids=FILLED.keys())
def test_messages(before: bytes, unit: bytes) -> None:
    for start in STARTS:
        check(start + before + unit * (SIZE // len(unit)) + b"x\r\n\r\n")


@pytest.mark.parametrize("payload", WHOLE.values(), ids=WHOLE.keys())
def test_start_lines(payload: bytes) -> None:
    check(payload)
