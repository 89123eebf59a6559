"""What is done fast for most messages gives what the thorough way gives for all of them."""

import re
from collections.abc import Callable
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inline_topo.bounds import TooMuch
from inline_topo.masking import elements, rest, uris
from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.base import Codec, SealError
from inline_topo.masking.codecs.kamailio import Kamailio
from inline_topo.masking.flow import Flow
from inline_topo.masking.hidden import is_hidden, is_named, is_not_own
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.out import IN_URI
from inline_topo.sip import address, message, names, peek
from inline_topo.sip.names import FieldNames
from tests.masking.network import PEER, PROXY, RING, datagram, gateway, judge
from tests.properties.messages import BRACKETED, HOST, MESSAGE, PARAMETERS, PORT, SCHEME, joined

NEVER: Final = re.compile(rb"(?!)")
CODECS: dict[str, Codec] = {"aes-siv": AesSiv(RING), "kamailio": Kamailio(b"my secret here")}
DECISIONS = [is_hidden, is_named, is_not_own]


def made() -> tuple[Hosts, Flow, uris.Uris]:
    """The hosts of the small network, what leaves in it, and what edits URIs there."""
    border = gateway(protected=["corp.example", "pbxhost"])
    strategy: Any = border._strategy
    flow = border._find_flow(bytes([192, 0, 2, 10, 198, 51, 100, 20, 19, 196, 19, 196]))
    return strategy.hosts, flow, uris.Uris(CODECS["aes-siv"], strategy.hosts)


HOSTS, FLOW, URIS = made()

# --- addresses -------------------------------------------------------------------------------------------

PIECE = st.sampled_from(
    [
        *("sip:a@h", "Bob", '"', "\\", "<", ">", ";", ",", "?", " ", "x=1", "\r\n ", ":", "@"),
        *('"x;y"', "<sip:b@h>", ';+i="<urn:u>"', "10.0.0.5", "\t", "*"),
    ]
)


def read_slowly(text: str, *, route: bool) -> tuple[str, bool] | None:
    """The URI of a value, character by character, as address.locate says it."""
    before, in_quotes, bracket = "", False, -1
    begins_with_uri = re.match(r'[A-Za-z][A-Za-z0-9+.-]*:|[^\s:;,?<>"@]+@[^\s;,?<>"@]*[;,?]', text)
    at = 0
    while at < len(text):
        character = text[at]
        if in_quotes:
            at += character == "\\"
            in_quotes = character != '"'
        elif character == '"':
            in_quotes = True
        elif character == "<":
            bracket = at
            break
        elif character in ";,?" and begins_with_uri and '"' not in before:
            break
        before += text[at : at + 1]
        at += 1
    if in_quotes:
        return None
    if bracket >= 0:
        end = text.find(">", bracket)
        inner = text[bracket + 1 : end].strip(" \t\r\n") if end >= 0 else ""
        return (inner, False) if inner else None
    if text[:1] == '"':
        return None
    ends = ' \t\r\n\x0b\x0c,<>"' + ("" if route else ";")
    stop = next((i for i, character in enumerate(text) if character in ends), len(text))
    if text[stop : stop + 1] == '"':
        stop = max(text.rfind(";", 0, stop), text.rfind("?", 0, stop), 0)
    uri = text[:stop]
    is_quad = re.fullmatch(r"\d+\.\d+\.\d+\.\d+", uri)
    is_one = ":" in uri[1:] and not uri.startswith(":")
    return (uri, True) if is_one or re.fullmatch(r"[^:@]+@[^:@]+", uri) or is_quad else None


@given(st.lists(PIECE, max_size=7).map("".join), st.booleans())
def test_the_uri_of_a_value_is_what_a_slow_reader_finds(text: str, route: bool) -> None:
    data = f"x, {text}".encode()
    where = address.locate(data, 3, len(data), route=route)
    found = (data[where.start : where.end].decode(), where.bare) if where else None
    assert found == read_slowly(text, route=route)


# --- routes ------------------------------------------------------------------------------------------------

USER = st.sampled_from(
    ["", "", "r@", "10.0.0.5@", "pbxhost@", "a-pbxhost-b@", "x%40@", "ip-10-0-0-5@", "AAoAAAUTxA@"]
)
BESIDE = st.lists(
    st.sampled_from(
        [
            *(";lr", ";lr=on", ";ftag=1", ";r2=on", ";ob", ";x=10.0.0.5", ";x=pbxhost", ";pbxhost"),
            *(";received=sip:10.0.0.9:5060", ";x=fd00::5", ";ftag=10-0-0-5", ";x=0a000005"),
            *(";maddr=10.0.0.9", ";out=x", ";alias=10.0.0.7~22~1", ";x=CgAABQ"),
        ]
    ),
    max_size=3,
).map("".join)
ROUTE = joined(st.just("<"), SCHEME, USER, HOST | st.just("pbxhost"), PORT, BESIDE, st.just(">"))


@pytest.mark.interpreted
@given(ROUTE | BRACKETED, st.sampled_from(DECISIONS))
def test_a_route_is_masked_as_without_a_quick_look(text: str, decide: uris.Decision) -> None:
    data = text.encode()
    span = (0, len(data))

    def masked() -> object:
        return list(URIS.mask(data, span, FLOW, names.ROUTE, decide, route=True))

    fast = masked(), URIS.host_of(data, span)
    with patch.object(uris, "_PLAIN_ROUTE", NEVER), patch.object(uris, "_SIMPLE_ROUTE", NEVER):
        assert (masked(), URIS.host_of(data, span)) == fast


VALUE = st.one_of(
    ROUTE,
    BRACKETED,
    joined(SCHEME, USER, HOST, PORT, PARAMETERS, BESIDE),
    joined(st.just("<"), SCHEME, USER, HOST, st.just("?Subject=10.0.0.5>"), BESIDE),
    st.sampled_from(["bob@10.0.0.5", "24 May", '"10.0.0.5', "*", "<sip:a@x.example;out=1>"]),
)


@pytest.mark.interpreted
@given(st.lists(VALUE, min_size=1, max_size=3), st.sampled_from([names.ROUTE, names.CONTACT]))
def test_the_last_look_is_the_same_without_a_quick_one(texts: list[str], name: str) -> None:
    data = ", ".join(texts).encode()
    whole = message.Message(data, b"INVITE", 0, (0, 0))
    looked = rest.Rest(HOSTS, URIS)

    def sealed() -> object:
        taken = rest.Taken([])
        try:
            return list(looked._line(whole, (0, len(data)), FLOW, name, taken))
        except SealError as error:
            return str(error)

    fast = sealed()
    with patch.object(rest.Rest, "_look", lambda *_: rest._SEVERAL):
        looked._lines.clear()
        assert sealed() == fast


# --- tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@given(BRACKETED.map(lambda text: text.partition("<sip:")[2].partition(">")[0]), st.text())
def test_what_opens_is_never_passed_by(codec: Codec, uri: str, before: str) -> None:
    clear = b"sip:" + (uri.partition("?")[0] or "a@10.0.0.5").encode()
    token = codec.seal_uri(clear, b"192.0.2.10", stable=True, bare=0)
    text = before.encode("utf-8", "replace") + b"<" + token + b">"
    assert codec.open_uri(token) is not None
    assert codec.may_open(text, 0, len(text))


# --- messages ----------------------------------------------------------------------------------------------

FIRST_LINE = st.lists(
    st.sampled_from(
        [
            *("INVITE", "x-y", " ", "  ", "\t", "sip:a@h", "SIP/2.0", "SIP/2.0 200", "\r", "OK"),
            *("sip/2.0", "200", "2000", "SIP/3.0", "\x0b", "\0", "é", ":"),
        ]
    ),
    max_size=7,
).map("".join)
ODD_LINE = st.builds(
    "INVITE {}sip:a{}h{} SIP/2.0\r".format,
    *[st.sampled_from(["", " ", "\t", "\r", "\x0b", "\0", "é"])] * 3,
)
USUAL_LINE = st.sampled_from(["INVITE sip:a@h SIP/2.0\r", "SIP/2.0 200 OK\r", "SIP/2.0 486 \r"])


def start_of(find: Callable[[bytes], Any], data: bytes) -> object:
    try:
        found = find(data)
    except message.Malformed:
        return "malformed"
    return found and (found[0].method, found[0].status, found[0].request_uri, found[1])


@settings(max_examples=300)
@given(FIRST_LINE | ODD_LINE | USUAL_LINE, st.sampled_from(["\r\n", "\n", ""]))
def test_a_usual_start_line_is_read_as_an_unusual_one(line: str, end: str) -> None:
    data = f"{line}{end}Via: x\r\n\r\n".encode()
    slow = start_of(message._find_unusual_start_line, data)
    assert start_of(message._find_start_line, data) == slow


@given(MESSAGE)
def test_the_call_id_is_that_of_the_header_fields(data: bytes) -> None:
    data = data.rstrip(b"\r\n") + b"\r\n\r\nCall-ID: of-the-body\r\ni: x\r\n"
    parsed = message.parse(data, FIELDS, FIELDS)
    assert parsed
    call_ids = parsed.fields.get(names.CALL_ID, [])
    if len(call_ids) == 1 and parsed.first(names.CALL_ID):
        assert peek.call_id(data) == parsed.first(names.CALL_ID).split()[0]


FIELDS = FieldNames([names.CALL_ID, names.CONTACT, names.VIA])


@given(
    st.lists(st.sampled_from(["a", ",", "\r\nm: ", "\r\nv: ", "\r\nX: "]), max_size=60), st.data()
)
def test_bounds_are_the_same_without_a_quick_look(pieces: list[str], data: st.DataObject) -> None:
    times = data.draw(st.sampled_from([1, 20, 200]))
    text = "INVITE sip:a@h SIP/2.0\r\nm: " + "".join(pieces) * times + "\r\n\r\n"
    parsed = message.parse(text.encode(), FIELDS, FIELDS)
    assert parsed

    def bounded(look: Callable[[message.Message], object]) -> bool:
        try:
            look(parsed)
        except TooMuch:
            return False
        return True

    assert bounded(elements.check) == bounded(elements.count)


def test_these_gateways_are_of_use() -> None:
    """The decisions differ, the network hides, and a mark is what it says."""
    data = b"<sip:r@10.0.0.9;lr>"
    edits = URIS.mask(data, (0, len(data)), FLOW, names.ROUTE, is_not_own, route=True)
    assert len(edits) == 1
    assert IN_URI == b";out="
    verdict = judge(gateway(), datagram(b"INVITE sip:a@h SIP/2.0\r\n\r\n", PROXY, PEER))
    assert verdict.outcome == "unchanged"
