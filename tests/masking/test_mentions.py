"""The quick search: it says yes wherever a closer look finds something of the inside."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.masking.flow import Flows
from inline_topo.masking.hosts import Hosts
from inline_topo.masking.mentions import Mentions
from inline_topo.masking.policy import Policy

INSIDE = ["192.168.178.0/24", "10.32.0.0/12", "2001:db8:1::/48", "fc00::/7"]
OWN = ["192.168.178.10", "192.168.178.101", "2001:db8:1::10"]
HOSTS = Hosts(
    [ip_network(net) for net in INSIDE],
    [*map(ip_address, OWN), "sip.corp.example"],
    [ip_network("198.18.0.7/32"), "corp.example"],
)
MENTIONS = Mentions(HOSTS)
FLOW = Flows(HOSTS, Policy()).find(bytes((203, 0, 113, 7, 192, 168, 178, 10, 19, 196, 19, 196)))

FOUND = [
    b"10:fd00::",
    b"192.168.178.0110",
    b"012.32.0.1",
    b"0300.0250.0262.011",
    b"sip:192.168.178.1",
    b"sip:a@192.168.178.100:5060",
    b"10.32.0.1",
    b"x10.47.255.255",
    b"010.032.0.001",
    b"1.10.32.0.1",
    b"192.168.178.10.33.0.9",
    b"192.168.178.9.nip.example",
    b"%31%30.32.0.1",
    b"[::ffff:10.32.0.1]",
    b"[2001:DB8:1::9]",
    b"[2001:0db8:0001:0:0:0:0:9]",
    b"IP6 fd12::1\r\n",
    b"[FCFF::]",
    b"a@Corp.Example",
    b"a@x.corp.example;y",
    b"198.18.0.7",
    b"198.18..7",  # as Kamailio reads it
    b"10.32..1",
]
NOT_FOUND = [
    b"",
    b"INVITE sip:192.168.178.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.178.101:5060\r\n",
    b"192.168.179.1",
    b"10.48.0.1 and 10.31.1.1, version 10.32",
    b"[2001:db8:1::10]:5060",
    b"[2001:db8:2::1] 2001:db8::",
    b"a@sip.corp.example a@SIP.CORP.EXAMPLE",
    b"notcorp.example",
    b"198.18.0.8 %32%30",
    b"fd12",
]


@pytest.mark.parametrize("text", FOUND)
def test_found(text: bytes) -> None:
    assert MENTIONS.found(text, FLOW)
    assert MENTIONS.found(b"Contact: <sip:192.168.178.10>\r\nX: " + text, FLOW)


@pytest.mark.parametrize("text", NOT_FOUND)
def test_not_found(text: bytes) -> None:
    assert not MENTIONS.found(text, FLOW)


@given(
    st.lists(
        st.sampled_from(
            [
                "10.",
                "32.",
                "192.168.178.",
                "10",
                "012.",
                "0110",
                "0250.",
                "1",
                "0",
                ".",
                ":",
                "fd00::",
                "2001:db8:1:",
                "x",
                "::1",
            ]
        ),
        max_size=12,
    ).map(lambda words: "".join(words).encode())
)
def test_never_no_where_a_closer_look_finds_something(text: bytes) -> None:
    if HOSTS.mentions(text):
        assert MENTIONS.found(text, FLOW)


def test_networks_that_no_beginning_tells() -> None:
    wide = Hosts([ip_network("0.0.0.0/0")], [ip_address("192.0.2.10")])
    assert Mentions(wide).found(b"sip:203.0.113.9", FLOW)
    assert not Mentions(wide).found(b"sip:192.0.2.10", FLOW)
