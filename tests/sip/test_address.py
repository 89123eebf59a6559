"""Where the URI stands in name-addr and addr-spec (RFC 3261 section 20.10)."""

import pytest

from inline_topo.sip import address

FOUND: dict[str, tuple[bytes, bytes, bool]] = {
    "in brackets": (b"<sip:a@h>", b"sip:a@h", False),
    "after a name": (b"Bob <sip:a@h>;tag=1", b"sip:a@h", False),
    "after a quoted name": (b'"Bob" <sip:a@h>', b"sip:a@h", False),
    "after a quoted name, no blank": (b'"Bob"<sip:a@h>', b"sip:a@h", False),
    "a bracket in the quotes": (b'"<sip:x@h>" <sip:a@h>', b"sip:a@h", False),
    "an escaped quote in the quotes": (rb'"B\" <sip:x@h>" <sip:a@h>', b"sip:a@h", False),
    "parameters in the brackets": (b"<sip:a@h;lr;x=1>;q=1", b"sip:a@h;lr;x=1", False),
    "headers in the brackets": (b"<sip:a@h?Replaces=x%3By>", b"sip:a@h?Replaces=x%3By", False),
    "a quoted parameter behind the brackets": (b'<sip:a@h>;x="<sip:y@h>"', b"sip:a@h", False),
    "folded": (b"Bob\r\n <sip:a@h>", b"sip:a@h", False),
    "bare": (b"sip:a@h", b"sip:a@h", True),
    "bare, with parameters of the field": (b"sip:a@h;tag=1", b"sip:a@h", True),
    "bare, with a quoted parameter": (b'sip:a@h;x="<sip:y@h>"', b"sip:a@h", True),
    "bare, with a blank before the parameters": (b"sip:a@h ;tag=1", b"sip:a@h", True),
    "bare tel:": (b"tel:+12015550123;tag=1", b"tel:+12015550123", True),
    "a bare IPv6 literal": (b"sip:[2001:db8::1]:5060;x", b"sip:[2001:db8::1]:5060", True),
}


@pytest.mark.parametrize(("text", "uri", "bare"), FOUND.values(), ids=FOUND.keys())
def test_the_uri_is_found(text: bytes, uri: bytes, bare: bool) -> None:
    for before, after in ((b"", b""), (b"<x>, ", b", <y>")):
        data = before + text + after
        where = address.locate(data, len(before), len(before) + len(text))
        assert where is not None
        assert (data[where.start : where.end], where.bare) == (uri, bare)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"*",
        b"Bob",
        b"<>",
        b"<sip:a@h",
        b'"Bob <sip:a@h>',
        b'"Bob"',
        b'"Bob" sip:a@h',
        b"Bob sip:a@h",
        b":x",
    ],
)
def test_no_uri_is_found(text: bytes) -> None:
    assert address.locate(text, 0, len(text)) is None


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        (b"<sip:a@h>;tag=abc", b"abc"),
        (b"sip:a@h;tag=abc", b"abc"),
        (b'"x;tag=no" <sip:a@h;tag=no> ; TAG = abc;x', b"abc"),
        (b"<sip:a@h;tag=no>", b""),
        (b"<sip:a@h>", b""),
        (b"Bob", b""),
    ],
)
def test_the_tag(text: bytes, tag: bytes) -> None:
    assert address.tag(text, 0, len(text)) == tag
