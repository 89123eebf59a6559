"""Drain: a gateway that leaves strands no dialog that it masked, and masks no other."""
# mypy: allow-untyped-calls

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.gateway import Gateway, Verdict
from inline_topo.masking.codecs.keyring import KeyRing

INSIDE, OUTSIDE, PHONE = "192.168.178.10", "203.0.113.9", "10.0.0.7"


class Pair:
    """The gateway as it was, and as it drains."""

    def __init__(self, mask_callid: bool) -> None:
        config = load(
            None, env={}, key_ring_given=True,
            overrides={"inside": [INSIDE, f"{PHONE}/32"], "own": [INSIDE],
                       "topoh.mask_callid": mask_callid},
        )  # fmt: skip
        ring = KeyRing.generate()
        self.live = assemble.gateway(config, ring=ring)
        self.drain = assemble.gateway(config, ring=ring, drain=True)


def sent(gateway: Gateway, message: str, *, out: bool = True) -> str:
    """A message on its way out (or in), as it leaves the gateway."""
    source, target = (INSIDE, OUTSIDE) if out else (OUTSIDE, INSIDE)
    packet = IP(src=source, dst=target) / UDP(sport=5060, dport=5060) / Raw(message.encode())
    verdict = gateway.handle(bytes(packet), 0.0)
    assert isinstance(verdict, Verdict)
    return bytes(IP(verdict.packet)[UDP].payload).decode()


def request(method: str, call_id: str, *, uri: str = f"sip:b@{OUTSIDE}", tag: str = "") -> str:
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {INSIDE};branch=z9hG4bK{method}\r\n"
        f"Via: SIP/2.0/UDP {PHONE};branch=z9hG4bKphone{method}\r\nFrom: <sip:a@x.com>;tag=1\r\n"
        f"To: <sip:b@x.com>{tag}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n"
        f"Contact: <sip:a@{PHONE}>\r\nContent-Length: 0\r\n\r\n"
    )


def field(message: str, name: str) -> str:
    return message.split(f"\r\n{name}: ")[1].split("\r\n")[0]


@pytest.fixture(params=[False, True], ids=["Call-ID clear", "mask_callid"])
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


def test_a_dialog_that_was_masked_goes_on_to_its_end(pair: Pair) -> None:
    inside_id = f"1@{PHONE}"
    invite = sent(pair.live, request("INVITE", inside_id))
    contact, call_id = field(invite, "Contact").strip("<>"), field(invite, "Call-ID")
    assert PHONE not in contact
    bye = request("BYE", call_id, uri=contact, tag=";tag=2")
    came = sent(pair.drain, bye, out=False)
    assert came.startswith(f"BYE sip:a@{PHONE} SIP/2.0")
    assert field(came, "Call-ID") == inside_id
    ours = sent(pair.drain, request("BYE", inside_id, tag=";tag=2"))
    assert field(ours, "Call-ID") == call_id  # or the peer would not know the dialog


def test_nothing_else_is_masked(pair: Pair) -> None:
    message = request("INVITE", f"2@{PHONE}")
    assert sent(pair.drain, message) == message


def test_a_dialog_that_begins_now_stays_clear_to_its_end(pair: Pair) -> None:
    call_id = f"3@{PHONE}"
    sent(pair.drain, request("INVITE", call_id))
    for method in ("ACK", "INVITE", "BYE"):
        message = request(method, call_id, tag=";tag=2")
        assert sent(pair.drain, message) == message
    theirs = request("BYE", call_id, uri=f"sip:a@{PHONE}", tag=";tag=1")
    assert sent(pair.drain, theirs, out=False) == theirs


def test_a_request_sent_again_after_the_change_keeps_its_dialog() -> None:
    """The INVITE left masked; its retransmission leaves clear; the answer names the token."""
    pair = Pair(mask_callid=True)
    invite = request("INVITE", f"4@{PHONE}")
    token = field(sent(pair.live, invite), "Call-ID")
    sent(pair.drain, invite)
    answer = (
        f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {INSIDE};branch=z9hG4bKINVITE\r\n"
        f"From: <sip:a@x.com>;tag=1\r\nTo: <sip:b@x.com>;tag=2\r\nCall-ID: {token}\r\n"
        "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
    assert field(sent(pair.drain, answer, out=False), "Call-ID") == f"4@{PHONE}"
    ack = sent(pair.drain, request("ACK", f"4@{PHONE}", tag=";tag=2"))
    assert field(ack, "Call-ID") == token
