"""Edits that want the same bytes: what is taken out is not restored, what is restored is not masked."""

import re
from typing import Any

import pytest

from inline_topo.edits import Edit, splice
from inline_topo.gateway import Gateway
from inline_topo.masking.settle import outside_of, settle
from inline_topo.masking.uris import MASKED, REMOVED, STRIPPED, UNMARKED
from tests.masking.network import (
    PEER,
    PROXY,
    THIRD,
    datagram,
    enter,
    gateway,
    judge,
    leave,
    payload_of,
    wire,
)
from tests.masking.topos_network import Node, lines

NAT: dict[str, Any] = {
    "shape": "nat",
    "public": "203.0.113.5",
    "own": ["203.0.113.5"],
    "inside": ["10.0.0.0/8"],
}
SHAPES: dict[str, dict[str, Any]] = {"router": {}, "host": {"shape": "host"}, "nat": NAT}
TOP = {"router": PROXY, "host": PROXY, "nat": "10.0.0.9"}


def edit(start: int, end: int, action: str, new: bytes = b"") -> Edit:
    return Edit(start, end, new, "X", action)


def test_what_goes_first() -> None:
    masked, restored, removed = edit(3, 5, MASKED), edit(2, 6, UNMARKED), edit(0, 10, REMOVED)
    assert settle([masked, restored, removed]) == [removed]
    assert settle([masked, restored]) == [restored]
    assert settle([masked, edit(4, 8, MASKED)]) == [masked]
    apart = [edit(5, 8, MASKED), edit(0, 5, MASKED), edit(5, 5, MASKED, b">")]
    assert settle(apart) is apart


def test_a_bracket_goes_with_its_value_alone() -> None:
    """A comma and a value are taken out between two that stay."""
    before, behind = edit(4, 4, MASKED, b">"), edit(9, 9, MASKED, b">")
    removed, after = edit(4, 9, REMOVED), edit(9, 12, MASKED, b"<")
    inside = edit(6, 9, MASKED, b"<")
    kept = settle([before, inside, behind, removed, after])
    assert sorted(kept) == [before, removed, after]
    stripped = edit(4, 9, STRIPPED)  # the headers part of a URI whose brackets are added
    assert behind in settle([stripped, behind, edit(10, 12, MASKED), edit(11, 12, MASKED)])


def test_what_only_touches_is_kept() -> None:
    assert outside_of([edit(0, 4, MASKED), edit(4, 4, MASKED)], [(4, 6)]) == [
        edit(0, 4, MASKED), edit(4, 4, MASKED),
    ]  # fmt: skip
    assert outside_of([edit(4, 4, MASKED), edit(2, 4, MASKED)], [(4, 4)]) == [edit(2, 4, MASKED)]
    assert outside_of([edit(5, 5, MASKED), edit(3, 7, MASKED)], [(4, 6)]) == []


def passed(network: Gateway | Node, message: bytes, source: str, target: str) -> bytes:
    packet = datagram(message, source, target)
    verdict = network.judge(packet) if isinstance(network, Node) else judge(network, packet)
    assert verdict.outcome in ("masked", "unmasked"), verdict.outcome
    return payload_of(verdict.packet)


@pytest.mark.parametrize("mode", ["topoh", "topos"])
@pytest.mark.parametrize("shape", SHAPES)
def test_marked_record_routes_above_our_own(shape: str, mode: str) -> None:
    """As a trunk's are that lies in the inside's range, and as outsiders like to have them: they are taken
    out in mode topos, sealed in topoh; below our own they are what the receiver wrote."""
    own = TOP[shape]
    network = Node(**SHAPES[shape]) if mode == "topos" else gateway(**SHAPES[shape])

    def message(start: str, *routes: str) -> bytes:
        told = "\n".join(f"Record-Route: {route}" for route in routes)
        return wire(f"""
            {start}
            Via: SIP/2.0/UDP {PEER};branch=z9hG4bK{"a" * 24}
            {told}
            From: <sip:a@carrier.example>;tag=1
            To: <sip:b@carrier.example>;tag=2
            Call-ID: 1
            CSeq: 1 INVITE
            Contact: <sip:b@{own}>
        """)

    clear = ["<sip:u1@10.0.37.1;lr>", "<sip:u2@10.0.37.1;lr>"]
    asked = passed(network, message("INVITE sip:b@203.0.113.5 SIP/2.0", *clear), PEER, own)
    marked = [route.decode() for route in lines(asked, "Record-Route")]
    assert all(";out=" in route for route in marked)
    answer = message("SIP/2.0 200 OK", *marked, f"<sip:{own};lr>", marked[1])
    left = passed(network, answer, own, PEER)
    routes = [route.decode() for route in lines(left, "Record-Route")]
    assert routes[-1] == clear[1]
    above = routes[:-1]
    assert not any("10.0." in route or "out=" in route for route in above)
    assert len(above) == (0 if mode == "topos" else 3)


def test_a_stripped_field_is_not_restored() -> None:
    network = gateway(hide__strip=["Path"])
    fields = "Path: <sip:p@10.0.37.1;lr>"
    told = wire(f"""
        REGISTER sip:example.com SIP/2.0
        Via: SIP/2.0/UDP {PEER};branch=z9hG4bK{"a" * 24}
        {fields}
        CSeq: 1 REGISTER
    """)
    marked = enter(network, told)
    assert b"out=" in marked
    assert b"Path" not in leave(network, marked, peer=THIRD)


def test_a_request_uri_that_comes_by_again() -> None:
    """Whoever calls himself one (topos.ids.Ids.aside): what names the inside beside it is sealed."""
    node = Node()
    uri = f"sip:btpsh-{'0' * 64}@out-again.invalid"
    for behind in ("", ";maddr=10.0.0.5"):
        told = wire(f"""
            INVITE {uri}{behind} SIP/2.0
            Via: SIP/2.0/UDP {PROXY};branch=z9hG4bK{"a" * 24}
            From: <sip:a@carrier.example>;tag=1
            To: <sip:b@carrier.example>;tag=2
            Call-ID: 1
            CSeq: 1 INVITE
        """)
        left = node.leave(told)
        assert not re.search(rb"10\.0\.", left)


def test_a_call_id_in_the_headers_part_of_a_bare_uri() -> None:
    """The brackets around a mark stand on both sides of it."""
    network = gateway(topoh__mask_callid=True)
    masked = leave(
        network,
        wire(f"""
            REFER sip:x@{PEER} SIP/2.0
            Via: SIP/2.0/UDP {PROXY};branch=z9hG4bK{"a" * 24}
            Call-ID: 1
            CSeq: 1 REFER
            Refer-To: sip:c@{THIRD}?Replaces=a%4010.0.0.5
        """),
    )
    token = re.search(rb"Replaces=([^>\s]+)", masked)
    assert token
    assert b"10.0.0.5" not in token[1]
    entered = enter(
        network,
        wire(f"""
            REFER sip:x@{PROXY} SIP/2.0
            Via: SIP/2.0/UDP {PEER};branch=z9hG4bK{"a" * 24}
            Call-ID: 1
            CSeq: 1 REFER
            Refer-To: sip:c@10.0.37.1?Replaces={token[1].decode()}
        """),
    )
    assert re.fullmatch(
        rb"<sip:c@10\.0\.37\.1;out=[\w-]+\?Replaces=a%4010\.0\.0\.5>", lines(entered, "Refer-To")[0]
    )


def test_settled_edits_can_be_spliced() -> None:
    data = b"0123456789"
    edits = [edit(start, end, action, b"x") for start in range(0, 8, 3) for end in range(start, 10, 2)
             for action in (MASKED, UNMARKED, REMOVED)]  # fmt: skip
    splice(data, settle(edits))
