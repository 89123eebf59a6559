"""Addresses and names in any text and any spelling."""

from ipaddress import ip_address

import pytest

from inline_topo.config import load
from inline_topo.report.sightings import Judge


def judge(**settings: list[str]) -> Judge:
    return Judge(load(None, env={}, overrides=settings, key_ring_given=True))


JUDGE = judge(
    inside=["10.1.0.0/16", "2001:db8:1::/48"],
    own=["10.1.1.10", "2001:db8:1::10", "sip.example.com"],
    protected=["example.com", "pbx"],
)


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("sip:a@10.1.1.30:5060;lr", "ipv4", "10.1.1.30"),
        ("sip:a@10.001.001.030", "ipv4", "10.001.001.030"),
        ("sip:10.1.1.30-a@x", "ipv4", "10.1.1.30"),
        ("abc%4010.1.1.30%3Bto-tag", "ipv4", "10.1.1.30"),
        ("sip:a@10%2E1.1.30", "ipv4", "10.1.1.30"),
        ("sip:a@[2001:db8:1::30]:5060", "ipv6", "2001:db8:1::30"),
        ("sip:a@[2001:DB8:0001:0:0:0:0:30]", "ipv6", "2001:DB8:0001:0:0:0:0:30"),
        ("IN IP6 2001:db8:1::30", "ipv6", "2001:db8:1::30"),
        ("sip:a@[::ffff:10.1.1.30]", "ipv6", "::ffff:10.1.1.30"),
        ("sip:a@198.51.100.7", "ipv4", "198.51.100.7"),
        ("sip:a@GW.Example.COM.", "name", "GW.Example.COM"),
        ("sip:a@example.com;x", "name", "example.com"),
        ("sip:a@pbx:5060", "name", "pbx"),
        ("1234@198.51.100.7.", "ipv4", "198.51.100.7"),
        ("17.10.1.1.30.4", "ipv4", "10.1.1.30"),
    ],
)
def test_hidden(text: str, kind: str, shown: str) -> None:
    found = JUDGE.hidden(text.encode(), [])
    assert [(one.kind, one.shown.decode()) for one in found] == [(kind, shown)]


@pytest.mark.parametrize(
    "text",
    [
        "sip:a@10.1.1.10:5060",
        "sip:a@[2001:db8:1::10]",
        "sip:a@[2001:db8:1:0::10]",
        "sip:a@[::ffff:10.1.1.10]",
        "sip:SIP.example.com",
        "sip:a@203.0.113.9",  # the packet's outside end
        "sip:a@notexample.com",
        "sip:a@example.com.evil.org",
        "sip:a@pbx.evil.org",
        "version 1.2.3.4.5",
        "300.1.1.1",
        "12:30:45",
        "00:11:22:33:44:55",
        "face:book",
        "urn:uuid:00000000-0000-1000-8000-000A95A0E128",
    ],
)
def test_not_hidden(text: str) -> None:
    assert JUDGE.hidden(text.encode(), [ip_address("203.0.113.9")]) == []


def test_named_is_what_lies_inside_or_is_protected() -> None:
    text = b"10.1.1.30, 198.51.100.7, [::ffff:10.1.2.3], gw.example.com"
    shown = [one.shown for one in JUDGE.named(text, [])]
    assert shown == [b"::ffff:10.1.2.3", b"10.1.1.30", b"gw.example.com"]


def test_a_call_id_may_have_a_name_in_a_longer_word() -> None:
    assert [one.shown for one in JUDGE.mentioned(b"17_PBX9@x", [])] == [b"PBX"]
    assert JUDGE.named(b"17_PBX9@x", []) == []
    assert JUDGE.mentioned(b"17@198.51.100.7", []) == []
