"""Rule 5 of trust, for responses: lower Vias that name the inside in clear do not enter.

We sealed those of every request that left, so nobody honest has them: a proxy would send the response
to whom they name.
"""

from typing import Any

import pytest

from inline_topo import assemble
from inline_topo.assemble import Leg
from inline_topo.config import load
from inline_topo.edits import Edit
from inline_topo.gateway import Action, Ask, Strategy
from inline_topo.masking.flow import Direction, Flow
from inline_topo.sip.message import Message
from inline_topo.sip.names import FieldNames
from tests.masking.network import (
    CODECS,
    PEER,
    PROXY,
    RING,
    datagram,
    enter,
    gateway,
    judge,
    leave,
    wire,
)
from tests.masking.topos_network import Node

ANSWER = """
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP {proxy};branch=z9hG4bKanything
    Via: {lower}
    From: <sip:eve@example.com>;tag=1
    To: <sip:eve@example.com>;tag=2
    Call-ID: 1
    CSeq: 1 {method}
"""

CLAIMS = (
    "SIP/2.0/UDP 10.0.0.77:22",
    "SIP/2.0/UDP pbx.corp.example",
    "SIP/2.0/UDP 010.00.0.077",
    "SIP/2.0/UDP 198.51.100.20;received=10.0.0.77",
    "SIP/2.0/UDP 198.51.100.20;maddr=10.0.0.77",
    "SIP/2.0/TCP [fd00::5]:5061;branch=1",
    "SIP/2.0/UDP 198.51.100.20;branch=1, SIP/2.0/UDP 10.0.0.77",
    "SIP/2.0/UDP 198.51.100.20;x=10.0.0.77~22~1",
    "not a via of 10.0.0.77",
)
NO_CLAIMS = (
    "SIP/2.0/UDP 198.51.100.20;branch=1",
    "SIP/2.0/UDP 192.0.2.10;branch=1",  # own, though it lies inside
    "SIP/2.0/UDP example.com;branch=1;received=203.0.113.30",
    "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
)


def answer(lower: str, method: str = "INVITE", proxy: str = PROXY) -> bytes:
    return wire(ANSWER.format(lower=lower, method=method, proxy=proxy))


SETTINGS: list[dict[str, Any]] = [{}, {"profile": "strict", "audit": 0}, {"profile": "topoh"}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("lower", CLAIMS)
def test_a_response_that_claims_to_know_the_inside(lower: str, settings: dict[str, Any]) -> None:
    network = gateway(inside=[PROXY, "10.0.0.0/8", "fd00::/8"], **settings)
    for on_error in ("drop", "accept"):
        if settings.get("profile") != "strict":
            network = gateway(
                inside=[PROXY, "10.0.0.0/8", "fd00::/8"], queue__on_error=on_error, **settings
            )
        verdict = judge(network, datagram(answer(lower), PEER, PROXY))
        assert (verdict.outcome, verdict.action) == ("refused_claim", Action.DROP)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("lower", NO_CLAIMS)
def test_what_claims_nothing_enters_as_it_is(lower: str, codec: str) -> None:
    assert enter(gateway(codec), answer(lower)) == answer(lower)


def test_the_mask_address_is_no_claim() -> None:
    """It may lie inside and be nobody's own."""
    network = gateway(topoh__mask_ip="10.1.1.10")
    lower = "SIP/2.0/UDP 10.1.1.10;branch=z9hG4bK" + "A" * 40
    assert enter(network, answer(lower)) == answer(lower)


def test_codec_kamailio() -> None:
    """As with the other; in profile topoh it is topoh."""
    packet = datagram(answer(CLAIMS[0]), PEER, PROXY)
    assert judge(gateway("kamailio"), packet).outcome == "refused_claim"
    assert judge(gateway("kamailio", profile="topoh"), packet).outcome == "unchanged"


def test_mode_topos() -> None:
    node = Node(protected=["corp.example"])
    verdict = node.gateway.handle(datagram(answer(CLAIMS[0]), PEER, PROXY), 0.0)
    assert getattr(verdict, "outcome", None) == "refused_claim"


def test_shape_nat() -> None:
    network = gateway(shape="nat", inside=["10.0.0.0/8"], public=PROXY)
    packet = datagram(answer(CLAIMS[0]), PEER, "10.0.0.5")
    assert judge(network, packet).outcome == "refused_claim"


BEYOND = (
    b"X: y\r\n" * 1100,
    b"Via: SIP/2.0/UDP 203.0.113.30\r\n" * 300,
    b"Alert-Info: <sip:a@%b.example>\r\n" % (b"a" * 600),  # found when the field is opened
)


@pytest.mark.parametrize("lines", BEYOND)
def test_what_is_beyond_the_bounds_does_not_pass_by_it(lines: bytes) -> None:
    """Nobody looks at its Vias."""
    first, _, rest = answer(CLAIMS[0]).partition(b"\r\n")
    packet = datagram(first + b"\r\n" + lines + rest, PEER, PROXY)
    verdict = judge(gateway(), packet)
    assert (verdict.outcome, verdict.action) == ("refused_too_much", Action.DROP)
    asked = Node().gateway.handle(packet, 0.0)  # mode topos: before the store is asked, or after
    while isinstance(asked, Ask):
        asked = asked.resume({})
    assert (asked.outcome, asked.action) == ("refused_too_much", Action.DROP)


def test_requests_are_not_judged_by_it() -> None:
    text = answer(CLAIMS[0]).replace(b"SIP/2.0 200 OK", b"INVITE sip:a@example.com SIP/2.0")
    assert judge(gateway(), datagram(text, PEER, PROXY)).outcome == "unchanged"


@pytest.mark.parametrize(
    "rule",
    [{"destination": [PEER]}, {"method": ["OPTIONS"]}, {"request_uri_user": ["bob"]}],
    ids=str,
)
def test_not_where_a_rule_leaves_vias_clear(rule: dict[str, Any]) -> None:
    network = gateway(rule=[{"action": "skip", **rule}])
    request = wire(f"""
        OPTIONS sip:bob@{PEER} SIP/2.0
        Via: SIP/2.0/UDP {PROXY};branch=z9hG4bK1
        Via: SIP/2.0/UDP 10.0.0.77:5062;branch=z9hG4bK2
        CSeq: 1 OPTIONS
    """)
    assert leave(network, request) == request
    back = answer("SIP/2.0/UDP 10.0.0.77:5062;branch=z9hG4bK2", "OPTIONS")
    assert enter(network, back) == back


@pytest.mark.parametrize("registers", [True, False])
def test_the_answer_to_a_registration(registers: bool) -> None:
    """Its lower Vias are sealed whatever `hide.registers` says."""
    network = gateway(hide__registers=registers)
    back = answer(CLAIMS[0], "REGISTER")
    assert judge(network, datagram(back, PEER, PROXY)).outcome == "refused_claim"


def test_not_where_topoh_leaves_registrations_in_clear() -> None:
    back = answer(CLAIMS[0], "REGISTER")
    assert enter(gateway("kamailio", profile="topoh"), back) == back


def test_not_in_a_drain_nor_in_the_legs() -> None:
    """Nor in a dry run, which sends on what it has judged as it was."""
    back = answer(CLAIMS[0])
    values = {"inside": [PROXY, "10.0.0.0/8"], "own": [PROXY]}
    config = load(None, env={}, overrides=values, key_ring_given=True)
    assert enter(assemble.gateway(config, ring=RING, dry_run=True), back) == back
    assert enter(gateway(drain=True), back) == back
    assert enter(gateway(leg=Leg.INSIDE), back) == back
    assert b"10.0.0.77" not in enter(gateway(leg=Leg.OUTSIDE), back)


# --- what cannot be read ----------------------------------------------------------------------------

ODD_LINES = (
    *(b"nocolon\r\n", b": x\r\n", b"a b: c\r\n", b"\x00\r\n", b"\xff: x\r\n", b"X-A\r\n : y\r\n"),
    *(b"via\r\n", b'"a": c\r\n'),
)
"""Header lines that do not parse; Kamailio 5.6.3 forwards a response with one of them behind its Vias by
the second Via (tried in a namespace, as what follows was)."""
LEADS = (b"\x00", b" ", b"\t", b"\r\n\x00", b"\r\n\r\n", b"\n \n", b"\x00\x00\r\n")
"""What Kamailio skips before a message."""


def refused(text: bytes, **settings: Any) -> tuple[str, str]:
    """Outcome and action, for what enters."""
    verdict = judge(gateway(**settings), datagram(text, PEER, PROXY))
    return verdict.outcome, verdict.action.value


CLAIMED = ("refused_claim", "drop")


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_response_that_does_not_parse_and_names_the_inside(settings: dict[str, Any]) -> None:
    network = {"inside": [PROXY, "10.0.0.0/8", "fd00::/8"], **settings}
    for lower in CLAIMS:
        for junk in ODD_LINES:
            text = answer(lower).replace(b"Call-ID:", junk + b"Call-ID:")
            assert refused(text, **network) == CLAIMED, (lower, junk)
            assert refused(text.replace(b"CSeq", b"\rCSeq"), **network) == CLAIMED


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize(
    "start", [b"SIP/2.0 200 OK", b"sip/2.0 200 ", b"SIP/2.0 999 x", b"SIP/2.0 200\t"]
)
def test_what_kamailio_skips_hides_nothing(start: bytes, lead: bytes) -> None:
    text = lead + answer(CLAIMS[0]).replace(b"SIP/2.0 200 OK", start, 1)
    assert refused(text) == CLAIMED
    assert refused(text.replace(b"\r\n", b"\n")) == CLAIMED
    assert refused(text.replace(b"Call-ID", b"nocolon\r\nCall-ID")) == CLAIMED


def test_a_message_behind_what_kamailio_skips_is_masked_as_it_leaves() -> None:
    text = wire(f"""
        OPTIONS sip:bob@{PEER} SIP/2.0
        Via: SIP/2.0/UDP {PROXY};branch=z9hG4bK1
        Contact: <sip:alice@10.0.0.5>
    """)
    for lead in LEADS:
        left = leave(gateway(), lead + text)
        assert left.startswith(lead)
        assert b"10.0.0.5" not in left


@pytest.mark.parametrize(
    "between", [b"\r", b"\x00, ", b" (c), ", b';x="a, ', b";x=<, ", b"\r\r\n ", b", \r"]
)
def test_a_topmost_via_that_may_be_two(between: bytes) -> None:
    """For Kamailio a lone CR ends a line."""
    top = f"Via: SIP/2.0/UDP {PROXY};branch=z9hG4bKanything".encode()
    for second in (b"Via: SIP/2.0/UDP 10.0.0.77", b"SIP/2.0/UDP 198.51.100.9;received=10.0.0.77"):
        text = answer("SIP/2.0/UDP 198.51.100.20").replace(top, top + between + second)
        assert refused(text) == CLAIMED


@pytest.mark.parametrize(
    "host",
    [
        *("266.0.0.77", "1034.0.0.77", "10.0.256.77", "10.0.0.4294967373", "0000010.0.0.77"),
        *(
            "10.0..77",
            "10...77",
            ".0.0.77",
            "...77",
            "010.0..077",
            "[::ffff:10.0.0.77]",
            "[64:ff9b::a00:4d]",
        ),
        *("167772237", "0xa00004d", "10.77", "012.0.0.77", "10.0.0.77.", "10%2e0.0.77"),
    ],
)
def test_other_spellings_in_vias(host: str) -> None:
    """Kamailio reads 10.0..77 and 266.0.0.77 as 10.0.0.77."""
    for lower in (f"SIP/2.0/UDP {host}", f"SIP/2.0/UDP 198.51.100.20;maddr={host}"):
        assert refused(answer(lower)) == CLAIMED


def test_what_does_not_parse_and_names_nothing_passes() -> None:
    for junk in ODD_LINES:
        text = answer(NO_CLAIMS[0]).replace(b"Call-ID:", junk + b"Call-ID:")
        text = text.replace(b"sip:eve@example.com>;tag=1", b"sip:eve@10.0.0.5>;tag=1")
        text = text.replace(b"Call-ID: 1", b"Call-ID: 1@10.0.0.5")  # clear, by the profile
        assert refused(text) == ("malformed_sip", "accept")
    request = answer(CLAIMS[0]).replace(b"SIP/2.0 200 OK", b"INVITE sip:a@example.com SIP/2.0")
    assert refused(request.replace(b"Call-ID", b"x\r\nCall-ID")) == ("malformed_sip", "accept")


STRICT: dict[str, Any] = {"profile": "strict", "audit": 0}


def request(uri: str = "sip:a@example.com", *lines: str) -> bytes:
    more = "\n".join(lines)
    return wire(f"""
        INVITE {uri} SIP/2.0
        Via: SIP/2.0/UDP {PEER};branch=z9hG4bKa
        From: <sip:eve@example.com>;tag=1
        To: <sip:a@example.com>;tag=2
        Call-ID: 1
        CSeq: 1 INVITE
        {more}
    """)


@pytest.mark.parametrize(
    "text",
    [
        request("sip:x@10.0.0.77").replace(b"Call-ID", b"nocolon\r\nCall-ID"),
        request("sip:a@x.example", "Route: <sip:10.0..77;lr>", ": x"),
        request("sip:x@10.0.0.77").replace(b"INVITE sip", b"IN\x0bVITE sip"),
        b"\x7f" + request("sip:x@10.0.0.77"),
        request("sip:x@10.0.0.77").replace(b"INVITE sip", b"IN{ITE sip"),
        request().replace(b"bKa\r\n", b"bKa\rRoute: <sip:10.0.0.77;lr>\r\n"),
    ],
)
def test_where_claims_are_refused_requests_are_searched_too(text: bytes) -> None:
    """Kamailio takes methods with control bytes in them."""
    assert refused(text, **STRICT) == CLAIMED
    assert refused(text)[1] == "accept"


def test_where_claims_are_refused_nothing_enters_unread() -> None:
    many = request().replace(b"Call-ID", b"X: y\r\n" * 1100 + b"Call-ID")
    assert refused(many, **STRICT) == ("refused_too_much", "drop")
    assert refused(many) == ("too_much", "accept")
    whole = datagram(request(), PEER, PROXY)
    for cut in (whole[:-1], whole[:24] + b"\0\7" + whole[26:]):
        assert judge(gateway(**STRICT), cut).outcome == "refused_cut"
        assert judge(gateway(), cut).outcome == "cut"
    piece = whole[:6] + b"\x20\0" + whole[8:]
    assert judge(gateway(**STRICT), piece).outcome == "refused_fragment"
    assert judge(gateway(), piece).outcome == "fragment"


def test_a_cut_response_is_searched() -> None:
    """A UDP length of 0 is a whole datagram for Linux, over IPv6."""
    packet = datagram(answer(CLAIMS[0], proxy="[fd00::9]"), "2001:db8::1", "fd00::9")
    network = gateway(inside=["10.0.0.0/8", "fd00::/8"], own=["fd00::9"])
    assert judge(network, packet).outcome == "refused_claim"
    assert judge(network, packet[:44] + b"\0\0" + packet[46:]).outcome == "refused_claim"


@pytest.mark.parametrize("field", ["Contact", "Path", "Record-Route"])
@pytest.mark.parametrize(
    "host",
    ["266.0.0.77", "0xa00004d", "167772237", "10%252e0.0.77", "&#49;0.0.0.77", "[::ffff:a00:4d]"],
)
def test_a_binding_in_a_spelling_that_is_not_marked(host: str, field: str) -> None:
    register = request("sip:example.com", f"{field}: <sip:b@{host}>")
    register = register.replace(b"INVITE", b"REGISTER")
    assert refused(register, **STRICT) == CLAIMED


class Failing:
    """A strategy with a defect; `searches`: but not in its search."""

    def __init__(self, strategy: Strategy, *, searches: bool) -> None:
        self._strategy = strategy
        self._searches = searches

    def field_names(self, direction: Direction) -> tuple[FieldNames, FieldNames]:
        return self._strategy.field_names(direction)

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit]:
        raise KeyError("no")

    def addresses(self, message: Message, flow: Flow, edits: list[Edit]) -> bytes:
        return b""

    def reads_all(self, flow: Flow) -> bool:
        return False

    def admits(self, data: bytes, flow: Flow) -> bool:
        if not self._searches:
            raise KeyError("no")
        return self._strategy.admits(data, flow)


def test_a_defect_does_not_let_a_claim_in() -> None:
    claim, none = (datagram(answer(via), PEER, PROXY) for via in (CLAIMS[0], NO_CLAIMS[0]))
    network = gateway()
    strategy = network._strategy
    network._strategy = Failing(strategy, searches=True)
    assert judge(network, claim).outcome == "refused_claim"
    assert (judge(network, none).outcome, judge(network, none).action) == ("error", Action.ACCEPT)
    network._strategy = Failing(strategy, searches=False)
    for packet in (claim, none):
        verdict = judge(network, packet)
        assert (verdict.outcome, verdict.action) == ("refused_error", Action.DROP)
