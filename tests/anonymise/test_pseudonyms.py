"""Pseudonyms: of the same grammar, the same for the same name and key, out of the ranges of RFCs."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.anonymise import pseudonyms
from inline_topo.anonymise.pseudonyms import Pseudonyms
from inline_topo.errors import InlineTopoError

BENCHMARKS = IPv4Network("198.18.0.0/15")  # RFC 2544
DOCUMENTATION = IPv6Network("2001:db8::/32")  # RFC 3849
IPV4 = st.ip_addresses(v=4).filter(lambda a: not (a.is_multicast or a.is_loopback))
IPV6 = st.ip_addresses(v=6).filter(
    lambda a: not (a.is_multicast or a.is_link_local or a.packed[:8] == bytes(8))
)


def packed(text: str) -> bytes:
    return ip_address(text).packed


@given(st.binary(min_size=1), st.lists(IPV4, unique=True, max_size=40))
def test_ipv4_addresses_are_handed_out_once(key: bytes, addresses: list[object]) -> None:
    names = Pseudonyms(key)
    originals = [ip_address(str(a)).packed for a in addresses]
    originals = [a for a in originals if a not in (bytes(4), b"\xff" * 4)]
    given_out = [names.address(a) for a in originals]
    assert len(set(given_out)) == len(originals)
    assert all(ip_address(one) in BENCHMARKS for one in given_out)
    assert not any(old == new for old, new in zip(originals, given_out, strict=True))
    assert given_out == [names.address(a) for a in originals]


@given(IPV6)
def test_ipv6_addresses_are_for_documentation(address: object) -> None:
    one = Pseudonyms(b"k").address(packed(str(address)))
    if packed(str(address))[:12] != bytes.fromhex("0064ff9b") + bytes(8):
        assert ip_address(one) in DOCUMENTATION


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("fe80::5054:ff:fe12:3456", "fe80::/64"),
        ("::ffff:10.0.0.5", "::ffff:198.18.0.0/111"),
        ("64:ff9b::a00:5", "64:ff9b::c612:0/111"),
        ("ff02::1:ff12:3456", "ff02:2001:db8::/48"),
        ("239.1.2.3", "239.0.0.0/8"),
        ("233.252.0.9", "239.0.0.0/8"),
    ],
)
def test_the_sort_of_an_address_stays(address: str, network: str) -> None:
    one = Pseudonyms(b"k").address(packed(address))
    assert one != packed(address)
    assert ip_address(one) in ip_network(network)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.1.75", "224.0.0.5", "::", "::1", "ff02::1"],
)
def test_what_is_nobody_s_stays(address: str) -> None:
    assert Pseudonyms(b"k").address(packed(address)) == packed(address)


def test_mac_addresses_are_locally_administered() -> None:
    names = Pseudonyms(b"k")
    one = names.mac(bytes.fromhex("525400123456"))
    assert one[0] & 3 == 2
    assert names.mac(bytes.fromhex("01005e7f0a0b"))[0] & 3 == 3  # a group
    assert names.mac(b"\xff" * 6) == b"\xff" * 6
    assert names.mac(bytes.fromhex("333300000001")) == bytes.fromhex("333300000001")


@pytest.mark.parametrize(
    ("name", "grammar"),
    [
        (b"alice", rb"[a-z][a-z0-9]+"),
        (b"+493012345", rb"\+999[0-9]{12}"),
        (b"030-123-45", rb"999[0-9]{12}"),
        (b"101", rb"999[0-9]{12}"),
        (b"pbx.corp.example.com", rb"[a-z][a-z0-9]+\.example"),
        (b"z9hG4bK776asdhds", rb"z9hG4bK[a-z0-9]+"),
        (b"\xc3\xbcber", rb"[a-z][a-z0-9]+"),
    ],
)
def test_the_grammar_stays(name: bytes, grammar: bytes) -> None:
    names = Pseudonyms(b"k")
    assert re.fullmatch(grammar, names.word(name))
    assert names.word(name) == names.word(name) != Pseudonyms(b"other").word(name)


def test_host_names_are_the_same_in_any_case() -> None:
    names = Pseudonyms(b"k")
    assert names.host(b"PBX.Example.COM.") == names.host(b"pbx.example.com")


def test_too_many_addresses_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudonyms, "MOST_IPV4", 3)
    names = Pseudonyms(b"k")
    for number in range(3):
        names.address(bytes((10, 0, 0, number)))
    with pytest.raises(InlineTopoError, match="more than 3 IPv4 addresses"):
        names.address(bytes((10, 0, 0, 9)))
