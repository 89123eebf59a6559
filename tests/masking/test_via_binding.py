"""Rule 2 of trust: the Vias below the topmost open all or none, for the request that they left with.

The tokens here come from messages that leave; what is sent back is put together from them by hand.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest

from inline_topo.assemble import Leg
from inline_topo.gateway import Gateway
from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.vias import branch_of
from tests.masking.network import (
    CODECS,
    PEER,
    PROXY,
    RING,
    THIRD,
    datagram,
    enter,
    gateway,
    judge,
    leave,
    wire,
)

LONG = "z9hG4bKa6f2.0d5e6c1b9f7e4a3d"  # 22 characters behind the cookie
OTHER = "z9hG4bK77aa.99b1c2d3e4f5a6b7c"
CONSTANT = "z9hG4bKcydzigwkX"  # Kamailio's, of a stateless forward
INSIDE = re.compile(rb"10\.0\.0\.|corp\.example")

each_codec = pytest.mark.parametrize("codec", CODECS)


def request(
    branch: str = LONG,
    *,
    call_id: str = "alice@10.0.0.5",
    cseq: str = "1",
    tag: str = "a1",
    more: str = "",
    hidden: str = "10.0.0.5:40416",
) -> bytes:
    """An INVITE of alice's, as the proxy sends it on."""
    return wire(f"""
        INVITE sip:bob@{PEER} SIP/2.0
        Via: SIP/2.0/UDP {PROXY};branch={branch}{more}
        Via: SIP/2.0/UDP {hidden};branch=z9hG4bK321149767
        From: <sip:alice@example.com>;tag={tag}
        To: <sip:bob@example.com>
        Call-ID: {call_id}
        CSeq: {cseq} INVITE
    """)


def answer(message: bytes, status: str = "180 Ringing") -> bytes:
    """What a server copies out of a request (RFC 3261 section 8.2.6.2)."""
    kept = [
        line
        for line in message.split(b"\r\n")
        if re.match(rb"(?:Via|v|From|To|Call-ID|i|CSeq):", line)
    ]
    return b"\r\n".join([b"SIP/2.0 " + status.encode(), *kept, b"", b""])


def vias(message: bytes) -> list[bytes]:
    return [line[5:] for line in message.split(b"\r\n") if line.startswith(b"Via: ")]


def with_vias(message: bytes, *values: bytes) -> bytes:
    """A message with other Vias."""
    lines = [line for line in message.split(b"\r\n") if not line.startswith(b"Via: ")]
    return b"\r\n".join([lines[0], *(b"Via: " + value for value in values), *lines[1:]])


def as_opened(network: Gateway, message: bytes) -> tuple[bytes, tuple[str, ...]]:
    """What enters, and the fields that are told as unopened."""
    verdict = judge(network, datagram(message, PEER, PROXY))
    return enter(network, message), verdict.unopened


@each_codec
@pytest.mark.parametrize("status", ["100 Trying", "180 Ringing", "200 OK", "486 Busy Here"])
def test_the_answer_opens(codec: str, status: str) -> None:
    network, clear = gateway(codec), request()
    masked = leave(network, clear)
    assert not INSIDE.search(b"".join(vias(masked)))
    assert vias(enter(gateway(codec), answer(masked, status))) == vias(clear)
    assert leave(network, clear) == masked  # a retransmission


@pytest.mark.parametrize("branch", [LONG, CONSTANT, "0", "z9hG4bK1"])
def test_what_a_server_does_to_the_topmost_via(branch: str) -> None:
    """It adds received and rport (RFC 3581), may fold and respell; another server may answer."""
    network = gateway()
    masked = leave(network, request(branch, more=";rport"))
    for topmost in (
        f"SIP/2.0/UDP {PROXY};branch={branch};rport=5060;received=203.0.113.9",
        f"SIP/2.0/UDP {PROXY}:5060;received=203.0.113.9;BRANCH = {branch};rport=5060",
        f"SIP/2.0/UDP\r\n {PROXY}\r\n\t; branch={branch}",
        f"SIP / 2.0 / UDP branch-office.example.com;branch={branch}",
        f"SIP/2.0/UDP [2001:db8::1]:5061;branch={branch};received=2001:db8::2",
    ):
        changed = with_vias(answer(masked), topmost.encode(), *vias(masked)[1:])
        opened = enter(network, changed, peer=THIRD)
        assert b"10.0.0.5:40416;branch=z9hG4bK321149767" in opened, topmost


@pytest.mark.parametrize(
    "changes",
    [
        {"branch": OTHER},
        {"branch": LONG + "x"},
        {"branch": LONG[:-1]},
        {"branch": "z9hg4bk" + LONG[7:]},
        {"branch": CONSTANT},
    ],
    ids=str,
)
def test_a_token_does_not_open_below_another_branch(changes: dict[str, Any]) -> None:
    network = gateway()
    token = vias(leave(network, request()))[1]
    asked = answer(leave(network, request(**changes)))
    opened, unopened = as_opened(network, with_vias(asked, vias(asked)[0], token))
    assert vias(opened)[1] == token
    assert unopened == ("Via",)


@pytest.mark.parametrize("branch", [CONSTANT, "0", "z9hG4bK" + "a" * 19, "a" * 40])
@pytest.mark.parametrize(
    "changes", [{"call_id": "eve"}, {"cseq": "2"}, {"tag": "e1"}, {"tag": "A1"}], ids=str
)
def test_a_weak_branch_needs_its_dialog(branch: str, changes: dict[str, Any]) -> None:
    network = gateway()
    clear = request(branch)
    masked = leave(network, clear)
    assert vias(enter(network, answer(masked))) == vias(clear)
    asked = answer(leave(network, request(branch, **changes)))
    opened, unopened = as_opened(network, with_vias(asked, *vias(masked)))
    assert (vias(opened)[1], unopened) == (vias(masked)[1], ("Via",))


def test_a_long_branch_needs_no_dialog() -> None:
    """A proxy outside may change a Call-ID or lose a tag; a branch that nobody guesses is enough."""
    network = gateway()
    masked = leave(network, request("z9hG4bK" + "a" * 20))
    changed = answer(masked).replace(b"Call-ID: alice@10.0.0.5", b"Call-ID: other")
    assert b"10.0.0.5:40416" in enter(network, changed)


def test_without_a_branch() -> None:
    """RFC 2543."""
    network, clear = gateway(), request().replace(b";branch=" + LONG.encode(), b"")
    masked = leave(network, clear)
    assert vias(enter(network, answer(masked))) == vias(clear)
    other = answer(masked).replace(b"Call-ID: alice@10.0.0.5", b"Call-ID: other")
    assert as_opened(network, other)[1] == ("Via",)


def test_the_cseq_is_a_number() -> None:
    """RFC 4475 section 3.1.1.1 has `0009`; the answer may say 9."""
    network = gateway()
    masked = leave(network, request("0", cseq="0009"))
    assert b"CSeq: 0009 INVITE" in masked
    opened = enter(network, answer(masked).replace(b"CSeq: 0009 INVITE", b"CSeq: 9   INVITE"))
    assert b"10.0.0.5:40416" in opened


@each_codec
def test_the_call_id_is_the_insides(codec: str) -> None:
    """With mask_callid the outside has another."""
    network = gateway(codec, topoh__mask_callid=True)
    clear = request("0")
    masked = leave(network, clear)
    assert b"10.0.0.5" not in masked
    assert vias(enter(network, answer(masked))) == vias(clear)


Change = Callable[[list[bytes]], list[bytes]]
THREE = """
    INVITE sip:bob@198.51.100.20 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.10;branch={}
    Via: SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bK2
    Max-Forwards: 70
    Via: SIP/2.0/UDP 10.0.0.6;branch=z9hG4bK3
    Subject: x
    Via: SIP/2.0/UDP 203.0.113.30;branch=z9hG4bK4
    Call-ID: 1@2
"""
STACKS: dict[str, Change] = {
    "one less": lambda stack: stack[:-1],
    "the first alone": lambda stack: stack[:2],
    "the last alone": lambda stack: [stack[0], stack[-1]],
    "one twice": lambda stack: [*stack, stack[-1]],
    "another order": lambda stack: [stack[0], *stack[:0:-1]],
    "one in clear below": lambda stack: [*stack, b"SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK9"],
    "one in clear above": lambda s: [s[0], b"SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK9", *s[1:]],
    "one in place of another": lambda s: [*s[:-1], b"SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK9"],
    "an empty one": lambda stack: [*stack, b""],
    "what is none": lambda stack: [*stack, b"x"],
}


@pytest.mark.parametrize("change", STACKS.values(), ids=STACKS.keys())
def test_all_or_none(change: Change) -> None:
    network = gateway()
    masked = answer(leave(network, wire(THREE.format(LONG))))
    stack = vias(masked)
    assert len(stack) == 4
    assert vias(enter(network, masked))[1:] == vias(wire(THREE.format(LONG)))[1:]
    changed = change(list(stack))
    opened, unopened = as_opened(network, with_vias(masked, *changed))
    assert vias(opened) == changed
    assert "Via" in unopened


@pytest.mark.parametrize("name", [name for name in STACKS if "clear" in name or "none" in name])
def test_codec_kamailio_takes_tokens_alone(name: str) -> None:
    """Its bytes bind nothing: which tokens, in which order, nobody knows."""
    network = gateway("kamailio")
    masked = answer(leave(network, wire(THREE.format(LONG))))
    changed = STACKS[name](vias(masked))
    assert vias(enter(network, with_vias(masked, *changed))) == changed


def test_tokens_of_two_stacks_do_not_mix() -> None:
    network = gateway()
    first = answer(leave(network, wire(THREE.format(LONG))))
    other = vias(leave(network, wire(THREE.format(OTHER))))
    mixed = [*vias(first)[:2], *other[2:]]
    assert vias(enter(network, with_vias(first, *mixed))) == mixed


TWO_WAYS = [
    ";branch={0};branch={1}",
    ";branch={1};branch={0}",
    ";branch={0};BRANCH={1}",
    ";branch={0};branch\r\n =\r\n {1}",
    ";branch={0};Branch\t= {1}",
    ';x=";branch={1}";branch={0}',
    ";branch={0} (branch={1})",
    ";branch={0} (a comment)",
    ";branch={0};x=<a>",
    ";branch={0};x=\x01",
    ";branch={0};x=a\rb",
    ";xbranch={1};branch={0}",
    ";branch={0};x=\\",
    " x;branch={0}",
]


@each_codec
@pytest.mark.parametrize("parameters", TWO_WAYS)
def test_a_topmost_via_of_two_meanings_opens_nothing(codec: str, parameters: str) -> None:
    """[live] Kamailio takes the last branch, we the first: either order is tried."""
    network = gateway(codec)
    masked = answer(leave(network, request()))
    topmost = f"SIP/2.0/UDP {PROXY}" + parameters.format(LONG, OTHER)
    changed = with_vias(masked, topmost.encode(), vias(masked)[1])
    opened, unopened = as_opened(network, changed)
    assert opened == changed
    assert unopened == ("Via",)


@each_codec
def test_what_two_read_in_two_ways_does_not_leave(codec: str) -> None:
    """Its answer could not be opened: refused, and counted, rather than lost without a word."""
    network = gateway(codec)
    ambiguous = request(more=f";branch={OTHER}")
    assert judge(network, datagram(ambiguous, PROXY, PEER)).outcome == "refused_unmaskable"


def test_the_stray_response() -> None:
    """One outsider: a response of no transaction, which a proxy forwards by the second Via."""
    network = gateway()
    token = vias(leave(network, request()))[1]
    own = f"SIP/2.0/UDP {THIRD};branch=z9hG4bKeve".encode()
    stray = wire(f"""
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP {PROXY};branch={OTHER}
        From: <sip:eve@example.com>;tag=1
        To: <sip:eve@example.com>;tag=2
        Call-ID: eve
        CSeq: 1 OPTIONS
    """)
    for branch in (OTHER, LONG):
        topmost = f"SIP/2.0/UDP {PROXY};branch={branch}".encode()
        for stack in ([own, token], [token, own]):
            assert not INSIDE.search(enter(network, with_vias(stray, topmost, *stack)))


def test_a_token_of_version_1_opens_nothing() -> None:
    """The kind of 0.1.0, under the same key: its tokens are out there."""
    from tests.masking.codecs.test_aes_siv import BOUND

    codec = AesSiv(RING)
    content = bytes((1, 4 | 16)) + bytes((10, 0, 0, 5)) + (5062).to_bytes(2, "big") + b";branch=1"
    for kind, opens in ((b"inline-topo via 1", False), (BOUND, True)):
        value = b"SIP/2.0/UDP h;branch=z9hG4bK" + codec._seal(kind, content)
        opened = codec.open_vias([value], BOUND[len(b"inline-topo via 2") + 2 :])
        assert (opened == [b"SIP/2.0/UDP 10.0.0.5:5062;branch=1"]) is opens


def test_a_via_in_a_body_is_of_another_kind() -> None:
    """Neither opens in the place of the other."""
    network = gateway()
    clear = request().rstrip() + b"\r\nContent-Type: message/sipfrag\r\nContent-Length: %d\r\n\r\n"
    fragment = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.5:40416;branch=z9hG4bK321149767\r\n"
    masked = leave(network, clear % len(fragment) + fragment)
    head, _, body = masked.partition(b"\r\n\r\n")
    in_head, in_body = vias(head)[1], vias(body)[0]
    assert b"10.0.0.5:40416" not in in_head + in_body
    assert in_head != in_body
    reply = with_vias(answer(head), vias(head)[0], in_body)
    assert vias(enter(network, reply))[1] == in_body
    assert b"10.0.0.5:40416" in enter(network, masked).partition(b"\r\n\r\n")[2]
    swapped = enter(network, head + b"\r\n\r\n" + body.replace(in_body, in_head))
    assert b"10.0.0.5" not in swapped.partition(b"\r\n\r\n")[2]


# --- shape nat -----------------------------------------------------------------------------------

NAT: dict[str, Any] = {"shape": "nat", "inside": ["10.0.0.0/8"], "own": [PROXY], "public": PROXY}
PHONE = "10.0.0.5"


@pytest.mark.parametrize("branch", [LONG, "1"])
def test_behind_a_masked_topmost_via(branch: str) -> None:
    """Bound to the clear branch; the peer sees another."""
    network = gateway(**NAT)
    clear = request(branch).replace(PROXY.encode(), PHONE.encode())
    masked = leave(network, clear, inside=PHONE)
    assert b";branch=" + branch.encode() + b"\r\n" not in masked
    reply = answer(masked).replace(b";branch=", b";received=203.0.113.9;branch=", 1)
    opened = vias(enter(gateway(**NAT), reply, inside=PHONE))
    assert opened[1] == vias(clear)[1]
    assert branch.encode() in opened[0]


def test_a_token_below_another_masked_via() -> None:
    network = gateway(**NAT)
    sent = [
        leave(network, request(branch).replace(PROXY.encode(), PHONE.encode()), inside=PHONE)
        for branch in (LONG, OTHER)
    ]
    crossed = with_vias(answer(sent[0]), vias(sent[0])[0], vias(sent[1])[1])
    assert vias(enter(network, crossed, inside=PHONE))[1] == vias(sent[1])[1]


# --- legs ----------------------------------------------------------------------------------------


@each_codec
@pytest.mark.parametrize("branch", [LONG, "1"])
@pytest.mark.parametrize("settings", [{}, {"topoh__mask_callid": True}], ids=str)
def test_the_outside_leg_echoes_what_the_inside_leg_opens(
    codec: str, branch: str, settings: dict[str, Any]
) -> None:
    outside = gateway(codec, Leg.OUTSIDE, **settings)
    inside = gateway(codec, Leg.INSIDE, **settings)
    clear = request(branch)
    reply = answer(clear)
    masked, echoed = leave(outside, clear), enter(outside, reply)
    assert masked == leave(gateway(codec, **settings), clear)
    assert vias(echoed) == vias(masked)
    assert (leave(inside, masked), enter(inside, echoed)) == (clear, reply)


@each_codec
def test_a_spiral_in_both_legs(codec: str) -> None:
    outside, inside = gateway(codec, Leg.OUTSIDE), gateway(codec, Leg.INSIDE)
    clear = request()
    back = with_vias(clear, b"SIP/2.0/UDP 198.51.100.20;branch=z9hG4bKq1", *vias(clear))
    again = with_vias(back, f"SIP/2.0/UDP {PROXY};branch={OTHER}".encode(), *vias(back))
    steps = [(leave, clear), (enter, back), (leave, again), (enter, answer(again))]
    for way, message in steps:
        masked = way(outside, message)
        assert not INSIDE.search(b"".join(vias(masked)))
        assert way(inside, masked) == message


def test_two_gateways_in_series() -> None:
    """The outer one seals the tokens of the inner one once more, for the same branch."""
    inner, outer = gateway(), gateway()
    clear = request()
    once = leave(inner, clear)
    twice = leave(outer, once)
    assert vias(twice) != vias(once)
    back = enter(outer, answer(twice))
    assert vias(back) == vias(once)
    assert vias(enter(inner, back)) == vias(clear)


def test_a_drain_opens_them() -> None:
    clear = request("1", call_id="1@10.0.0.5")
    each: list[dict[str, Any]] = [{}, {"topoh__mask_callid": True}]
    for settings in each:
        masked = leave(gateway(**settings), clear)
        assert vias(enter(gateway(drain=True, **settings), answer(masked))) == vias(clear)


# --- the branch ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "branch"),
    [
        ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "z9hG4bK1"),
        ("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK1;received=[2001:db8::1]", "z9hG4bK1"),
        ("SIP/2.0/UDP branch-office.example.com;branch=z9hG4bK1", "z9hG4bK1"),
        ("SIP/2.0/UDP branch.example.com", ""),
        ("SIP/2.0/UDP h;branch=a=b", "a=b"),
        ("SIP/2.0/UDP h;branch=a==", "a=="),
        ("SIP/2.0/UDP h ; Branch = z9hG4bK1 ; x=y", "z9hG4bK1"),
        ("SIP/2.0/UDP h;branch", ""),
        ("SIP/2.0/UDP h;branch=", None),
        ("SIP/2.0/UDP h;branch=;x", None),
        ("SIP/2.0/UDP h;x=branch=1", None),
        ("SIP/2.0/UDP h;xbranch=1", None),
        ("SIP/2.0/UDP h;branch=1;branch=1", None),
        ("SIP/2.0/UDP", None),
        ("", None),
        ("x", None),
    ],
)
def test_the_branch_of_a_via(value: str, branch: str | None) -> None:
    assert branch_of(value.encode()) == (None if branch is None else branch.encode())
