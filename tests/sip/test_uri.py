"""URIs (RFC 3261 section 19.1; RFC 3966 and RFC 3986 for the other schemes)."""

import pytest

from inline_topo.sip import uri
from inline_topo.sip.uri import SipUri

PARTS: dict[bytes, SipUri] = {
    # The examples of RFC 3261 section 19.1.3.
    b"sip:alice@atlanta.com": SipUri(b"sip", b"alice", b"atlanta.com", b"", b"", b""),
    b"sip:alice:secretword@atlanta.com;transport=tcp": SipUri(
        b"sip", b"alice:secretword", b"atlanta.com", b"", b";transport=tcp", b""
    ),
    b"sips:alice@atlanta.com?subject=project%20x&priority=urgent": SipUri(
        b"sips", b"alice", b"atlanta.com", b"", b"", b"?subject=project%20x&priority=urgent"
    ),
    b"sip:+1-212-555-1212:1234@gateway.com;user=phone": SipUri(
        b"sip", b"+1-212-555-1212:1234", b"gateway.com", b"", b";user=phone", b""
    ),
    b"sips:1212@gateway.com": SipUri(b"sips", b"1212", b"gateway.com", b"", b"", b""),
    b"sip:alice@192.0.2.4": SipUri(b"sip", b"alice", b"192.0.2.4", b"", b"", b""),
    b"sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com": SipUri(
        b"sip", None, b"atlanta.com", b"", b";method=REGISTER", b"?to=alice%40atlanta.com"
    ),
    b"sip:alice;day=tuesday@atlanta.com": SipUri(
        b"sip", b"alice;day=tuesday", b"atlanta.com", b"", b"", b""
    ),
    # And what the grammar allows beside them.
    b"sip:192.0.2.4:5062": SipUri(b"sip", None, b"192.0.2.4", b"5062", b"", b""),
    b"SIPS:bob@[2001:DB8::1]:5061;lr": SipUri(
        b"SIPS", b"bob", b"[2001:DB8::1]", b"5061", b";lr", b""
    ),
    b"sip:a?b/c@h?x=y": SipUri(b"sip", b"a?b/c", b"h", b"", b"", b"?x=y"),
    b"sip:%00@h": SipUri(b"sip", b"%00", b"h", b"", b"", b""),
    b"sip:bob@h:0005060": SipUri(b"sip", b"bob", b"h", b"0005060", b"", b""),
    b"sip:bob@host_name.": SipUri(b"sip", b"bob", b"host_name.", b"", b"", b""),
}


@pytest.mark.parametrize(("text", "parts"), PARTS.items(), ids=[text.decode() for text in PARTS])
def test_parts(text: bytes, parts: SipUri) -> None:
    assert uri.parse(text) == parts
    assert uri.host(text) == parts.host
    assert uri.is_uri(text)


@pytest.mark.parametrize(
    "text",
    [
        b"sip:",
        b"sip:bob@",
        b"sip:@",
        b"sip:bob@h:",
        b"sip:bob@h:x",
        b"sip:bob@[2001:db8::1",
        b"sip:a@b@c",
        b"sip:bob@h x",
        b"sip: bob@h",
        b"sip:bob@<h>",
        b"sip://h",
    ],
)
def test_no_sip_uri(text: bytes) -> None:
    assert uri.parse(text) is None
    assert uri.host(text) is None
    assert not uri.is_uri(text)


HOSTS = {
    b"tel:+1-201-555-0123": b"",
    b"tel:7042;phone-context=example.com": b"",
    b"urn:service:sos": b"",
    b"http://10.0.0.5/ring.wav": b"10.0.0.5",
    b"https://user:pw@pbx.corp.example:8443/x?y=sip:z@h": b"pbx.corp.example",
    b"http://[fd00::5]/": b"[fd00::5]",
    b"file:///etc/passwd": b"",
    b"h323:alice@10.0.0.5:1720": b"10.0.0.5",
    b"sop:10.0.0.5;lr": b"10.0.0.5",
    b"pres:alice@example.com": b"example.com",
    b"mailto:alice@[fd00::5]": b"[fd00::5]",
}


@pytest.mark.parametrize(("text", "host"), HOSTS.items(), ids=[text.decode() for text in HOSTS])
def test_hosts_of_other_schemes(text: bytes, host: bytes) -> None:
    assert uri.parse(text) is None
    assert uri.host(text) == host
    assert uri.is_uri(text)


@pytest.mark.parametrize("text", [b"", b"bob", b"*", b"1:2", b"<sip:h>", b"ht tp://h"])
def test_no_uri_at_all(text: bytes) -> None:
    assert uri.host(text) is None


@pytest.mark.parametrize("code", [*range(0x21), 0x7F, *b'<>"'])
def test_no_control_blank_quote_or_bracket_may_enter(code: int) -> None:
    for text in (b"sip:bo%sb@h", b"sip:bob@h;x=%sy", b"http://h/%s", b"tel:%s1", b"sip:bob@h%s"):
        assert not uri.is_uri(text % bytes((code,)))
