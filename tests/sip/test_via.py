"""via-parm (RFC 3261 section 20.42 and 25.1; RFC 3581)."""

import pytest

from inline_topo.sip import via

#       text, host, what sent-by ends with, branch
PARSED: dict[str, tuple[bytes, bytes, bytes, bytes | None]] = {
    "RFC 3261 section 20.42": (
        b"SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7",
        b"erlang.bell-telephone.com",
        b":5060",
        b"z9hG4bK87asdks7",
    ),
    "RFC 3261 section 20.42, with blanks": (
        b"SIP / 2.0 / UDP first.example.com: 4000;ttl=16\r\n  ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
        b"first.example.com",
        b": 4000",
        b"z9hG4bKa7c6a8dlze.1",
    ),
    "no port": (b"SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1", b"10.0.0.5", b"10.0.0.5", b"z9hG4bK1"),
    "no parameters": (b"SIP/2.0/TCP 10.0.0.5:5060", b"10.0.0.5", b":5060", None),
    "IPv6": (b"SIP/2.0/TLS [2001:db8::5]:5061;rport", b"[2001:db8::5]", b":5061", None),
    "IPv6 without brackets": (b"SIP/2.0/UDP 2001:db8::5;rport", b"2001:db8::5", b"::5", None),
    "any case, blanks around the equals sign": (
        b"SIP/2.0/UDP h;Branch = z9hG4bK1;x",
        b"h",
        b" h",
        b"z9hG4bK1",
    ),
    "RFC 2543: a branch of any form": (b"SIP/2.0/UDP h;branch=1", b"h", b" h", b"1"),
    "rport and received before the branch": (
        b"SIP/2.0/UDP 10.0.0.5:5062;rport=5062;received=10.0.0.6;branch=z9hG4bK1",
        b"10.0.0.5",
        b":5062",
        b"z9hG4bK1",
    ),
    "a transport of its own": (b"SIP/2.0/TLS-SCTP h;branch=z9hG4bK1", b"h", b" h", b"z9hG4bK1"),
    "an underscore in a name": (b"SIP/2.0/UDP my_pbx.local", b"my_pbx.local", b"local", None),
    "a port with zeros": (b"SIP/2.0/UDP h:0005060", b"h", b":0005060", None),
}


@pytest.mark.parametrize(("text", "host", "sent_by", "branch"), PARSED.values(), ids=PARSED.keys())
def test_parts(text: bytes, host: bytes, sent_by: bytes, branch: bytes | None) -> None:
    for before, after in ((b"", b""), (b"X, ", b", Y")):
        data = before + text + after
        parts = via.parse(data, len(before), len(before) + len(text))
        assert parts is not None
        assert data[slice(*parts.host)] == host
        assert data[: parts.sent_by_end].endswith(sent_by)
        protocol = data[len(before) : parts.protocol_end]
        assert protocol.replace(b" ", b"")[:8].upper() == b"SIP/2.0/"
        found = data[slice(*parts.branch)] if parts.branch[0] >= 0 else None
        assert found == branch


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SIP/2.0/UDP",
        b"SIP/2.0/UDP ",
        b"SIP/2.0 10.0.0.5",
        b"SIP/2.0/UDP 10.0.0.5 branch=z9hG4bK1",
        b"SIP/2.0/UDP 10.0.0.5:x",
        b"SIP/2.0/UDP <10.0.0.5>",
        b"SIP/2.0/UDP [2001:db8::5",
        b"SIP/2.0/UDP h;x=\0",
        b"SIP/2.0/UDP ;branch=z9hG4bK1",
    ],
)
def test_no_via_parm(text: bytes) -> None:
    assert via.parse(text, 0, len(text)) is None
    assert not via.is_via_parm(text)


@pytest.mark.parametrize(
    "text",
    [
        b"SIP/2.0/UDP h, SIP/2.0/UDP i",
        b"SIP/2.0/UDP h;x=1,y",
        b"SIP/2.0/UDP h\r\n ;x=1",
        b"SIP/2.0/UDP h\n",
        b"SIP/2.0/UDP h;x=\r",
        b"SIP/2.0/UDP h;x=\x0b",
    ],
)
def test_what_may_not_enter_a_message_as_one_value(text: bytes) -> None:
    assert not via.is_via_parm(text)


def test_what_may_enter() -> None:
    assert via.is_via_parm(b'SIP/2.0/UDP h;branch=z9hG4bK1;x="a, b"')
    assert via.is_via_parm(b"SIP/2.0/UDP h\t;branch=z9hG4bK1")
