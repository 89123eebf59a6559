"""Which hosts are inside, own and protected, in every spelling that a message may use."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.masking.hosts import Hosts, Networks, address_text, pack_address

HOSTS = Hosts(
    inside=[ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")],
    own=[ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("2001:db8::1"), "example.com"],
    protected=[ipaddress.ip_network("172.16.0.0/12"), "corp.example"],
)


@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.5", "172.16.5.5", "[fd00::5]", "[FD00:0:0::5]", "fd00::5", "corp.example"),
        *("pbx.corp.example", "PBX.Corp.Example", "pbx.corp.example."),
        *("10.0.0.5.nip.example", "ip-10.0.0.5", "10.0.0.5*5060"),  # names that spell an address
    ],
)
def test_named(host: str) -> None:
    found = HOSTS.find(host.encode())
    assert (found.named, found.own) == (True, False)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "[2001:db8::1]", "[2001:DB8:0:0:0:0:0:1]", "EXAMPLE.com", "example.com."]
)
def test_own(host: str) -> None:
    assert HOSTS.find(host.encode()).own


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.1",
        "[2001:db8::2]",
        "192.0.2.1.nip.example",
        "10.0.0.1.nip.example",  # spells an own address
        "pbx.example.com",
        "notcorp.example",
        "corp.example.org",
        "10",
    ],
)
def test_neither(host: str) -> None:
    found = HOSTS.find(host.encode())
    assert (found.named, found.own) == (False, False)


@given(st.ip_addresses())
def test_a_literal_is_packed_as_the_standard_library_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    for text in {str(address), address.exploded, str(address).upper()}:
        assert pack_address(text.encode()) == address.packed
    if address.version == 6:
        assert pack_address(b"[%s]" % str(address).encode()) == address.packed
    assert pack_address(address_text(address.packed)) == address.packed


@pytest.mark.parametrize("host", [b"", b"10.1", b"256.1.1.1", b"[::1", b"h", b"\xff"])
def test_what_is_no_literal(host: bytes) -> None:
    expected = socket.inet_pton(socket.AF_INET6, "::1") if host == b"[::1" else b""
    assert pack_address(host) == expected


@given(st.ip_addresses(v=4), st.integers(1, 32), st.ip_addresses(v=4))
def test_networks_agree_with_the_standard_library(
    address: ipaddress.IPv4Address, prefix: int, other: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network((address, prefix), strict=False)
    for candidate in (address, other, network.broadcast_address):
        assert (candidate.packed in Networks([network])) == (candidate in network)


def test_families_are_not_mixed_up() -> None:
    assert bytes(4) not in Networks([ipaddress.ip_network("::/8")])
    assert not Networks([])


@pytest.mark.parametrize(
    "text",
    [
        "a84b4c76e66710@10.0.0.5",
        "10.0.0.5",
        "x-10.0.0.5-y",
        "call10.0.0.5",
        "1.10.0.0.5",
        "10.0.0.5.1",
        "10.0.0.5:5060",
        "abc@[fd00::5]",
        "abc@fd00::5",
        "1@PBX.corp.EXAMPLE",
        "a-172.31.255.255",
    ],
)
def test_mentions(text: str) -> None:
    assert HOSTS.mentions(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a84b4c76e66710",
        "abc@10.0.0.1",  # own
        "abc@110.0.0.5",
        "abc@10.0.0.512",
        "abc@192.0.2.1",
        "10-0-0-5",
        "abc@[2001:db8::1]",
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    ],
)
def test_mentions_nothing(text: str) -> None:
    assert not HOSTS.mentions(text.encode())


def test_inside_and_shape_nat() -> None:
    own, inside = (socket.inet_aton(host) for host in ("203.0.113.5", "10.0.0.5"))
    networks = [ipaddress.ip_network("10.0.0.0/8")]
    public = ipaddress.ip_address("203.0.113.5")
    assert not Hosts(networks, [public]).is_inside(own)
    assert Hosts(networks, [public], own_is_inside=True).is_inside(own)
    assert Hosts(networks, [public]).is_inside(inside)
