"""Addresses in base64 and hexadecimal: what of it is read. The tokens are built as Kamailio's outbound module
and RFC 5626 section 5.2 describe them."""

import base64
from ipaddress import ip_address, ip_network

import pytest

from inline_topo.assemble import Leg
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.packed import Packed
from tests.masking.network import PEER, PROXY, datagram, gateway, payload_of

SMALL = Hosts(
    [ip_network("192.168.10.0/24"), ip_network("fd00:1::/64")], [ip_address("198.51.100.10")]
)
LARGE = Hosts([ip_network("10.0.0.0/8"), ip_network("fc00::/7")], [ip_address("198.51.100.10")])
SEEN = (
    b"1R9GKkJSW07VxgHAqAoKE8TAqAodE8Q="  # by Kamailio 5.6.3: 192.168.10.10:5060, 192.168.10.29:5060
)


def flow(one: str, two: str, before: bytes = bytes(range(200, 210))) -> bytes:
    ends = [ip_address(host).packed + (5060).to_bytes(2, "big") for host in (one, two)]
    return before + (b"\1" if len(ends[0]) == 6 else b"\x81") + b"".join(ends)


def found(hosts: Hosts, user: bytes, parameters: bytes = b"") -> set[str]:
    packed, _ = Packed(hosts).find(user, parameters)
    return {str(ip_address(host.address)) for host in packed}


def test_what_kamailio_wrote() -> None:
    assert found(SMALL, SEEN) == {"192.168.10.10", "192.168.10.29"}
    assert found(SMALL, b"", b";lr;flow=" + SEEN) == {"192.168.10.10", "192.168.10.29"}


@pytest.mark.parametrize("lead", [b"", b"a", b"ab", b"abc"])
def test_any_alphabet_padding_and_offset(lead: bytes) -> None:
    token = flow("198.51.100.10", "192.168.10.29", lead + b"\xff\xfe\xfb")
    for text in (
        base64.b64encode(token),
        base64.urlsafe_b64encode(token).rstrip(b"="),
        base64.b64encode(token).replace(b"+", b"%2B").replace(b"=", b"%3D"),
        token.hex().encode(),
        b"0" + token.hex().upper().encode(),
    ):
        assert found(SMALL, text) == {"192.168.10.29"}, text
    six = flow("fd00:1::1", "2001:db8::1", lead)
    assert found(SMALL, base64.b64encode(six)) == {"fd00:1::1"}


def test_a_large_network_needs_more_than_four_bytes() -> None:
    token = flow("10.1.2.3", "10.4.5.6")
    assert found(LARGE, base64.b64encode(token)) == {"10.1.2.3", "10.4.5.6"}
    assert found(LARGE, base64.b64encode(flow("198.51.100.10", "10.4.5.6"))) == {"10.4.5.6"}
    assert found(LARGE, base64.b64encode(flow("203.0.113.1", "10.4.5.6"))) == set()
    assert found(LARGE, b"0a000005") == {"10.0.0.5"}
    assert found(LARGE, b"CgAABQ==") == {"10.0.0.5"}
    assert found(LARGE, b"Cheryl") == set()
    assert found(LARGE, b"167772165") == set()  # most numbers of nine digits would be one


@pytest.mark.parametrize(
    ("user", "parameters"),
    [
        (b"3232238109", b";user=phone"),
        (b"+3232238109", b""),
        (b"", b";ftag=" + SEEN),
        (b"alice", b";transport=udp;lr;ob"),
        (b"c6336 40a".replace(b" ", b""), b""),  # 198.51.100.10 is own
    ],
)
def test_what_is_not_read(user: bytes, parameters: bytes) -> None:
    assert found(SMALL, user, parameters) == set()


def test_a_number() -> None:
    assert found(SMALL, b"3232238109") == {"192.168.10.29"}


REGISTER = """REGISTER sip:198.51.100.20 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
Path: <sip:{}@192.0.2.10;lr;ob>
Contact: <sip:a@192.0.2.10>
"""


@pytest.mark.parametrize("codec", ["aes-siv", "kamailio"])
def test_an_own_path_is_sealed_and_comes_back(codec: str) -> None:
    token = base64.b64encode(flow("10.0.0.9", "10.0.0.7")).decode()
    message = REGISTER.format(token).replace("\n", "\r\n").encode() + b"\r\n"
    left = gateway(codec).handle(datagram(message, PROXY, PEER), 0.0)
    payload = payload_of(left.packet)  # type: ignore[union-attr]
    assert token.encode() not in payload
    assert b";ob>" in payload
    back = gateway(codec, Leg.INSIDE).handle(datagram(payload, PROXY, PEER), 0.0)
    assert payload_of(back.packet) == message  # type: ignore[union-attr]


def test_another_hosts_token_goes_back_to_it() -> None:
    token = base64.b64encode(flow("10.0.0.9", "10.0.0.7")).decode()
    text = "BYE sip:b@198.51.100.20 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n"
    message = f"{text}Route: <sip:{token}@edge.example.net;lr>\r\n\r\n".encode()
    left = gateway().handle(datagram(message, PROXY, PEER), 0.0)
    assert payload_of(left.packet) == message  # type: ignore[union-attr]
