"""Whatever the audit calls a leak, the masker has masked, by another code: an inside host in any spelling, in
any field that the profile masks. Without `audit = "enforce"` here: nobody else may have to refuse it."""

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.audit.findings import LEAK
from inline_topo.audit.scan import Context
from inline_topo.config import load
from inline_topo.gateway import Action, Ask
from inline_topo.stores.memory import MemoryStore
from tests.masking.network import PEER, RING, datagram, payload_of

PROXY, PHONE = "203.0.113.5", "10.0.0.7"
ENDS = bytes((203, 0, 113, 5, 198, 51, 100, 20, 19, 196, 19, 196))
PACKED = bytes((10, 0, 0, 7))
FLOW = bytes(range(200, 210)) + b"\1" + bytes((10, 0, 0, 2, 19, 196)) + PACKED + bytes((19, 196))

HOSTS = [
    *(
        "10.0.0.7",
        "010.0.0.7",
        "10..0.7",
        "012.0.0.7",
        "167772167",
        "0xa000007",
        "10.7",
        "266.0.0.7",
    ),
    *("ip-10-0-0-7.eu-west-1.compute.internal", "10_0_0_7.region.example", "10.0.0.7.nip.example"),
    *(
        "[::ffff:10.0.0.7]",
        "[fd00:1::7]",
        "pbxhost",
        "PBXhost.",
        "a.corp.example.com",
        "10%2e0%2e0%2e7",
    ),
    *(PROXY, PEER, "example.com", "7.0.0.10.in-addr.arpa"),
]
PIECES = [
    *("0a000007", "0A000007", "167772167", "x-0a000007-y", "CgAABw==", "CgAABw"),
    base64.b64encode(FLOW).decode(),
    base64.urlsafe_b64encode(FLOW + b"\xff\xfe\xfd").decode().rstrip("="),
    base64.urlsafe_b64encode(b"ab" + FLOW).decode().replace("=", "%3D"),
    FLOW.hex(),
    "a" + FLOW.hex(),
    *(
        "105%4010.0.0.7",
        "105%2540ip-10-0-0-7.internal",
        "pbxhost",
        "10.0.0.7",
        "alice",
        "ip-10-0-0-7",
    ),
]
DIGITS = st.text("AaBb09+/_-CcgGwWxX", min_size=4, max_size=32)
TEXT = base64.b64encode(
    b"sip:10.0.0.7:5060"
).decode()  # beside a URI the audit alone reads such a text
USER = st.one_of(st.just(""), st.sampled_from([*PIECES, TEXT]), DIGITS).map(lambda u: u and u + "@")
NAMES = ["x", "flow", "maddr", "received", "alias", "node", "ftag", "line", "host"]
PARAMETER = st.builds(
    lambda name, value: f";{name}={value}",
    st.sampled_from(NAMES),
    st.one_of(st.sampled_from([*PIECES, *HOSTS]), DIGITS),
)
URI = st.builds(
    lambda user, host, port, parameters: f"sip:{user}{host}{port}{parameters}",
    USER,
    st.sampled_from(HOSTS),
    st.sampled_from(["", ":5060"]),
    st.one_of(
        st.just(""),
        st.just(";lr"),
        PARAMETER,
        st.just(";lr;ob").flatmap(lambda a: PARAMETER.map(lambda b: a + b)),
    ),
)
FIELDS = [
    *(
        "Contact",
        "Record-Route",
        "Route",
        "Path",
        "Refer-To",
        "Referred-By",
        "Reply-To",
        "Diversion",
    ),
    *("History-Info", "P-Asserted-Identity", "Remote-Party-ID"),
]
FIELD = st.tuples(st.sampled_from(FIELDS), URI, st.sampled_from(["<{}>", "<{}>;tag=x", "{}"]))
START = ["INVITE {} SIP/2.0", "REGISTER {} SIP/2.0", "SIP/2.0 200 OK", "SIP/2.0 302 Moved"]

SETTINGS: list[dict[str, Any]] = [
    {"profile": profile, "mode": mode, "topoh.codec": codec}
    for profile in ("default", "strict", "topoh")
    for mode in ("topoh", "topos")
    for codec in ("aes-siv", "kamailio")
]


def made(words: dict[str, Any]) -> Any:
    settings = {
        "inside": ["10.0.0.0/24", "fd00:1::/64", PROXY],
        "own": [PROXY],
        "protected": ["pbxhost", "corp.example.com"],
        **words,
    }
    if words["mode"] == "topos":
        settings["topos.store"] = "memory:"
    if words["topoh.codec"] == "kamailio":
        settings["topoh.mask_key"] = "a key of the tests"
    is_siv = words["topoh.codec"] == "aes-siv"
    config = load(None, env={}, overrides=settings, key_ring_given=is_siv)
    ring = RING if is_siv else None
    flow = assemble.flows(config, assemble.hosts(config), assemble.policy(config)).find(ENDS)
    scanner = assemble.scanner(config, assemble.codec(config, ring))
    return assemble.gateway(config, Leg.GATEWAY, ring=ring), scanner, flow


MADE = {str(words): made(words) for words in SETTINGS}


def message(start: str, uri: str, lines: list[tuple[str, str, str]]) -> bytes:
    start = start.format(uri) if start.startswith("INVITE") else start.format("sip:198.51.100.20")
    method = "REGISTER" if start.startswith("REGISTER") or "200" in start else "INVITE"
    text = [
        start,
        f"Via: SIP/2.0/UDP {PROXY if 'SIP/2.0 ' not in start else PEER};branch=z9hG4bKabcdefghijklmnopqrst",
        "From: <sip:a@example.com>;tag=1",
        "To: <sip:b@example.com>;tag=2",
        "Call-ID: c",
        f"CSeq: 1 {method}",
        *(f"{name}: {form.format(uri)}" for name, uri, form in lines),
        "Content-Length: 0",
    ]
    return "\r\n".join([*text, "", ""]).encode()


LINES = st.lists(FIELD, min_size=1, max_size=3)


@pytest.mark.parametrize(
    "words",
    [
        # Without --full each profile, mode and codec is met.
        pytest.param(words, marks=[] if number in (0, 3, 6, 8) else [pytest.mark.full])
        for number, words in enumerate(SETTINGS)
    ],
    ids=lambda words: "-".join(words.values()),
)
@settings(max_examples=40)
@given(st.sampled_from(START), URI, LINES)
def test_what_the_audit_calls_a_leak_is_masked(
    words: dict[str, Any], start: str, uri: str, lines: list[tuple[str, str, str]]
) -> None:
    check(words, start, uri, lines)


@pytest.mark.nightly
@pytest.mark.parametrize("words", SETTINGS, ids=lambda words: "-".join(words.values()))
@settings(max_examples=2_000)
@given(st.sampled_from(START), URI, LINES)
def test_what_the_audit_calls_a_leak_is_masked_at_length(
    words: dict[str, Any], start: str, uri: str, lines: list[tuple[str, str, str]]
) -> None:
    check(words, start, uri, lines)


def check(words: dict[str, Any], start: str, uri: str, lines: list[tuple[str, str, str]]) -> None:
    gateway, scanner, flow = MADE[str(words)]
    data = message(start, uri, lines)
    store = MemoryStore()
    verdict = gateway.handle(datagram(data, PROXY, PEER), 0.0)
    while isinstance(verdict, Ask):
        [answer] = store.perform([verdict.effect])
        verdict = verdict.resume(answer)
    assert not verdict.outcome.endswith("error"), verdict
    if verdict.action is Action.DROP:
        return
    payload = payload_of(verdict.packet)
    found = scanner.scan(payload, flow, Context(before=data))
    assert [one for one in found if one.cause == LEAK] == [], payload
