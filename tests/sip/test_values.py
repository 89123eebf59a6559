"""Lists and parameters in field values (RFC 3261 section 7.3.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inline_topo.sip import values


def split(*fields: bytes) -> list[bytes]:
    data, spans = b"", []
    for field in fields:
        spans.append((len(data), len(data) + len(field)))
        data += field + b"\r\n"
    return [data[slice(*span)] for span in values.split(data, spans)]


SPLITS: dict[str, tuple[list[bytes], list[bytes]]] = {
    "one": ([b"<sip:a@h>"], [b"<sip:a@h>"]),
    "two, as sipp joins Vias": ([b"a, b"], [b"a", b"b"]),
    "no blank": ([b"a,b"], [b"a", b"b"]),
    "blanks, tabs and folds around": ([b"a \t,\r\n b"], [b"a", b"b"]),
    "two fields, one of them a list": ([b"a,b", b"c"], [b"a", b"b", b"c"]),
    "a comma in quotes": ([b'"x, y" <sip:a@h>, <sip:b@h>'], [b'"x, y" <sip:a@h>', b"<sip:b@h>"]),
    "an escaped quote in quotes": ([rb'"x\", y" <sip:a@h>,b'], [rb'"x\", y" <sip:a@h>', b"b"]),
    "an escaped backslash before the end": ([rb'"x\\" <sip:a@h>,b'], [rb'"x\\" <sip:a@h>', b"b"]),
    "a comma in brackets": ([b"<sip:a,b@h>, c"], [b"<sip:a,b@h>", b"c"]),
    "a quote in brackets": ([b'<sip:a"@h>, c'], [b'<sip:a"@h>', b"c"]),
    "a bracket in quotes": ([b'"<" <sip:a@h>, c'], [b'"<" <sip:a@h>', b"c"]),
    "empty elements (RFC 4475 lwsdisp and others)": ([b",a,, b ,"], [b"a", b"b"]),
    "an unclosed quote hides no comma": ([b'"x <sip:a@h>, b'], [b'"x <sip:a@h>', b"b"]),
    "an unclosed bracket hides no comma": ([b"<sip:a@h, b"], [b"<sip:a@h", b"b"]),
    "nothing but commas": ([b" , ,"], []),
}


@pytest.mark.parametrize(("fields", "expected"), SPLITS.values(), ids=SPLITS.keys())
def test_lists(fields: list[bytes], expected: list[bytes]) -> None:
    assert split(*fields) == expected


PIECE = st.sampled_from([b"a", b'"x, y"', b"<sip:a,b@h>", b";p=1", b'"\\""', b"<sip:c@h>;q=0.5"])


@given(st.lists(st.lists(PIECE, min_size=1, max_size=3).map(b" ".join), min_size=1, max_size=6))
def test_what_was_joined_is_split_again(elements: list[bytes]) -> None:
    for comma in (b",", b", ", b" ,\r\n\t"):
        assert split(comma.join(elements)) == elements


PARAMETERS: dict[str, tuple[bytes, bytes | None]] = {
    "a value": (b";tag=abc", b"abc"),
    "among others": (b";x=1;tag=abc;y", b"abc"),
    "any case": (b";TAG=abc", b"abc"),
    "blanks and folds": (b" ;\r\n tag = abc ;x", b"abc"),
    "no value": (b";tag;x=1", b""),
    "no value at the end": (b";x;tag", b""),
    "quoted": (b';tag="a;b"', b'"a;b"'),
    "not in another's quotes": (b';x=";tag=no";tag=abc', b"abc"),
    "not a part of a name": (b";xtag=1;tagx=2", None),
    "the first of two": (b";tag=1;tag=2", b"1"),
    "none": (b"", None),
}


@pytest.mark.parametrize(("text", "expected"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_parameters(text: bytes, expected: bytes | None) -> None:
    span = values.parameter(text, 0, len(text), b"tag")
    assert (text[slice(*span)] if span else None) == expected


def naive(text: bytes) -> list[bytes]:
    """Character by character, each quote and bracket looked at by itself."""
    elements, first, at = [], 0, 0
    while at < len(text):
        if text[at] == ord(","):
            elements.append(text[first:at])
            first = at + 1
        elif text[at] == ord("<"):
            at = max(at, text.find(b">", at))
        elif text[at] == ord('"'):
            end = at + 1
            while end < len(text) and text[end] != ord('"'):
                end += 2 if text[end] == ord("\\") else 1
            at = end if end < len(text) else at
        at += 1
    elements.append(text[first:])
    return [element.strip(b" \t\r\n") for element in elements if element.strip(b" \t\r\n")]


@given(st.lists(st.sampled_from([*(b'"', b"\\", b"<", b">", b",", b"a", b" ")]), max_size=20))
def test_split_does_as_one_who_goes_character_by_character(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    assert split(text) == (naive(text) if b"," in text else [text])
