"""Header names in all their spellings (RFC 3261 section 7.3.1 and 20, the IANA registry)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.sip.names import COMPACT, CONTINUATION, INVALID, FieldNames

IANA = {  # https://www.iana.org/assignments/sip-parameters: header fields with a compact form
    "Accept-Contact": "a",
    "Allow-Events": "u",
    "Call-ID": "i",
    "Contact": "m",
    "Content-Encoding": "e",
    "Content-Length": "l",
    "Content-Type": "c",
    "Event": "o",
    "From": "f",
    "Identity": "y",
    "Refer-To": "r",
    "Referred-By": "b",
    "Reject-Contact": "j",
    "Request-Disposition": "d",
    "Session-Expires": "x",
    "Subject": "s",
    "Supported": "k",
    "To": "t",
    "Via": "v",
}


def test_the_compact_forms_are_those_of_the_registry() -> None:
    assert COMPACT == IANA


@pytest.mark.parametrize(("name", "compact"), IANA.items())
def test_any_spelling_gives_the_canonical_name(name: str, compact: str) -> None:
    names = FieldNames([name])
    for spelling in (name, compact):
        for variant in (spelling, spelling.lower(), spelling.upper(), spelling + " \t"):
            assert names[variant.encode()] == name
            assert names[variant.encode()] == name  # as remembered


def test_what_nobody_asked_for_is_none() -> None:
    names = FieldNames(["Via"])
    assert names[b"Contact"] is None
    assert names[b"m"] is None


@pytest.mark.parametrize("text", [b"", b"\r", b"a b", b"Via\r", b"<sip", b"\xc3\xbc", b"a\0"])
def test_what_is_no_token_is_invalid(text: bytes) -> None:
    assert FieldNames(["Via"])[text] == INVALID


@pytest.mark.parametrize("text", [b" Via", b"\tVia", b" ", b" \r"])
def test_what_begins_with_a_blank_continues(text: bytes) -> None:
    assert FieldNames(["Via"])[text] == CONTINUATION


def test_memory_of_spellings_is_bounded() -> None:
    names = FieldNames(["Via"])
    for number in range(10_000):
        assert names[b"X-%d" % number] is None
    assert len(names) < 5000
    assert names[b"ViA"] == "Via"


@given(st.binary(max_size=30))
def test_any_bytes_are_a_name_or_none(text: bytes) -> None:
    assert FieldNames(["Via"])[text] in ("Via", None, CONTINUATION, INVALID)
