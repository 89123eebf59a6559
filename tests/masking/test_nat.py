"""Shape nat: a private PBX behind a NAT router, whose own topmost Via must not show it."""
# mypy: allow-untyped-calls

from typing import Any

import pytest
from scapy.layers.inet import IP, UDP

from inline_topo.assemble import Leg
from inline_topo.gateway import Gateway
from tests.masking.network import (
    CODECS,
    PEER,
    datagram,
    enter,
    gateway,
    judge,
    leave,
    payload_of,
    wire,
)

PUBLIC, PBX, PORT = "203.0.113.5", "192.168.1.20", 1024
each_codec = pytest.mark.parametrize("codec", CODECS)


def router(codec: str = "aes-siv", leg: Leg = Leg.GATEWAY, **settings: Any) -> Gateway:
    return gateway(
        codec, leg, shape="nat", public=PUBLIC, own=[PUBLIC], inside=["192.168.0.0/16"], **settings
    )


def out(gateway: Gateway, message: bytes) -> bytes:
    return leave(gateway, message, inside=PBX, port=PORT)


def back(gateway: Gateway, message: bytes) -> bytes:
    return enter(gateway, message, inside=PBX, port=PORT)


def request(method: str, via: str, contact: str = "<sip:pbx@192.168.1.20:1024>") -> bytes:
    return wire(f"""
        {method} sip:alice@198.51.100.20 SIP/2.0
        Via: {via}
        From: <sip:pbx@carrier.example>;tag=1
        To: <sip:alice@carrier.example>
        Call-ID: abc
        CSeq: 1 {method}
        Contact: {contact}
    """)


def via_of(message: bytes) -> bytes:
    return message.partition(b"Via: ")[2].partition(b"\r\n")[0]


VIA = "SIP/2.0/UDP 192.168.1.20:1024;rport;branch=z9hG4bK1"


@each_codec
def test_the_topmost_via_and_the_contact_are_masked(codec: str) -> None:
    left = out(router(codec), request("INVITE", VIA))
    assert b"192.168" not in left
    assert via_of(left).startswith(b"SIP/2.0/UDP 203.0.113.5:1024;rport;branch=z9hG4bK")
    assert b"@203.0.113.5:1024>" in left or b"<sip:203.0.113.5:1024;line=sr-" in left


@each_codec
def test_a_response_comes_back_with_rport_and_received(codec: str) -> None:
    """RFC 3581 section 4: the server fills in rport and adds received; both are kept."""
    left = out(router(codec), request("INVITE", VIA))
    answered = via_of(left).replace(b";rport;", b";rport=1024;received=203.0.113.5;")
    response = b"SIP/2.0 200 OK\r\nVia: " + answered + b"\r\nCSeq: 1 INVITE\r\n\r\n"
    expected = VIA.encode().replace(b";rport;", b";rport=1024;received=203.0.113.5;")
    assert via_of(back(router(codec), response)) == expected


@each_codec
def test_invite_cancel_and_ack_agree(codec: str) -> None:
    """RFC 3261 section 9.1 and 17.1.1.3."""
    vias = {
        method: via_of(out(router(codec), request(method, via)))
        for method, via in {
            "INVITE": VIA,
            "CANCEL": VIA.replace(";rport", ""),
            "ACK": VIA + ";x=1",
        }.items()
    }
    branches = {via.partition(b"branch=")[2].partition(b";")[0] for via in vias.values()}
    assert len(branches) == 1
    other = via_of(out(router(codec), request("INVITE", VIA.replace("K1", "K2"))))
    assert not any(branch in other for branch in branches)


@each_codec
def test_a_via_that_is_own_already_stays(codec: str) -> None:
    """A PBX that knows its public address; the Contact is the public one too."""
    message = request("INVITE", VIA.replace(PBX, PUBLIC), f"<sip:pbx@{PUBLIC}:1024>")
    assert out(router(codec), message) == message


@each_codec
def test_lower_vias_are_masked_too(codec: str) -> None:
    message = request("INVITE", VIA + "\r\nVia: SIP/2.0/UDP 192.168.1.33;branch=z9hG4bK2")
    left = out(router(codec), message)
    assert b"192.168" not in left
    assert leave(router(codec, Leg.INSIDE), left, inside=PUBLIC, port=PORT) == message


@each_codec
def test_a_registration_goes_out_and_its_bindings_come_back(codec: str) -> None:
    message = request("REGISTER", VIA, "<sip:pbx@192.168.1.20:1024>;expires=60")
    left = out(router(codec), message)
    contact = left.partition(b"Contact: ")[2].partition(b"\r\n")[0]
    response = (
        b"SIP/2.0 200 OK\r\nVia: " + via_of(left) + b"\r\nCSeq: 1 REGISTER\r\nContact: " + contact
    )
    assert b"Contact: <sip:pbx@192.168.1.20:1024>;expires=60" in back(router(codec), response)
    call = b"INVITE " + contact[1 : contact.index(b">")] + b" SIP/2.0\r\n\r\n"
    assert b"INVITE sip:pbx@192.168.1.20:1024 SIP/2.0" in back(router(codec), call)


@each_codec
@pytest.mark.parametrize("via", ["Via: nonsense", "Via:", "Via: ,", "Via: SIP/2.0/UDP"])
def test_a_topmost_via_that_does_not_parse_does_not_leave(codec: str, via: str) -> None:
    message = wire(f"""
        OPTIONS sip:alice@198.51.100.20 SIP/2.0
        {via}
    """)
    verdict = judge(router(codec), datagram(message, PBX, PEER, PORT))
    assert verdict.outcome == "refused_unmaskable"
    verdict = judge(router(codec), datagram(b"SIP/2.0 200 OK\r\n" + via.encode(), PEER, PBX))
    assert verdict.outcome == "unchanged"


def test_the_gateway_leaves_ip_addresses_to_the_kernel() -> None:
    verdict = judge(router(), datagram(request("INVITE", VIA), PBX, PEER, PORT))
    packet = IP(verdict.packet)
    assert (packet.src, packet.dst, packet[UDP].sport) == (PBX, PEER, PORT)


@each_codec
def test_the_outside_leg_translates_and_the_inside_leg_translates_back(codec: str) -> None:
    outside, inside = router(codec, Leg.OUTSIDE), router(codec, Leg.INSIDE)
    sent = [
        datagram(request("INVITE", VIA), PBX, PEER, PORT),
        datagram(
            wire(f"""
                SIP/2.0 200 OK
                Via: {VIA.replace("rport", "rport=1024;received=203.0.113.5")}
                Contact: <sip:alice@198.51.100.20>
                CSeq: 1 INVITE
            """),
            PEER,
            PBX,
            5060,
            PORT,
        ),
        datagram(
            wire("""
                BYE sip:pbx@192.168.1.20:1024 SIP/2.0
                Via: SIP/2.0/UDP 198.51.100.20;branch=z9hG4bK9
                To: <sip:pbx@carrier.example>;tag=1
            """),
            PEER,
            PBX,
            5060,
            PORT,
        ),
    ]
    seen = [judge(outside, packet).packet for packet in sent]
    for packet in seen:
        assert PUBLIC in (IP(packet).src, IP(packet).dst)
        assert PBX not in (IP(packet).src, IP(packet).dst)
        assert b"192.168" not in payload_of(packet)
        checked = IP(packet)
        del checked.chksum, checked[UDP].chksum
        assert bytes(checked) == packet
    assert [judge(inside, packet).packet for packet in seen] == sent


@each_codec
def test_the_inside_leg_finds_the_sender_before_the_hosts_behind_it(codec: str) -> None:
    packet = datagram(
        wire(f"""
            INVITE sip:alice@198.51.100.20 SIP/2.0
            Contact: <sip:phone@192.168.1.77>
            Via: {VIA}
            Via: SIP/2.0/UDP 192.168.1.78;branch=z9hG4bK2
        """),
        PBX,
        PEER,
        PORT,
    )
    seen = judge(router(codec, Leg.OUTSIDE), packet).packet
    assert judge(router(codec, Leg.INSIDE), seen).packet == packet
