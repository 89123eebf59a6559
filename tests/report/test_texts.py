"""What a capture holds never reaches a terminal as a control."""

from hypothesis import given
from hypothesis import strategies as st

from inline_topo.report.texts import changed_span, count, printable, seconds, signed


def test_a_terminals_escape_sequence_is_spelled_out() -> None:
    assert printable(b"a\x1b[31mb\r\n\tc\x00") == "a\\x1b[31mb\\r\\n\\tc\\x00"


def test_utf8_stays_and_other_bytes_are_spelled_out() -> None:
    assert printable("Jürgen".encode()) == "Jürgen"
    assert printable(b"J\xfcrgen") == "J\\xfcrgen"
    assert printable("\u202e\u2028".encode()) == "\\xe2\\x80\\xae\\xe2\\x80\\xa8"


@given(st.binary())
def test_always_one_printable_line(data: bytes) -> None:
    assert printable(data).isprintable()


def test_seconds() -> None:
    assert seconds(1700000000_000000001) == "1700000000.000000001"
    assert seconds(-1_500_000_000) == "-1.500000000"


def test_counts() -> None:
    assert (count(1, "leak"), count(0, "leak")) == ("1 leak", "0 leaks")
    assert (signed(5), signed(-5), signed(0)) == ("+5", "-5", "0")


def test_the_changed_span_is_whole_words() -> None:
    before, after = "Via: SIP/2.0/UDP 10.1.1.30;rport", "Via: SIP/2.0/UDP 10.1.1.10;rport"
    (start, end), (_, other) = changed_span(before, after)
    assert (before[start:end], after[start:other]) == ("10.1.1.30", "10.1.1.10")


@given(st.text(alphabet="ab;= ", max_size=12), st.text(alphabet="ab;= ", max_size=12))
def test_what_is_outside_the_changed_span_is_the_same(before: str, after: str) -> None:
    (start, end), (other_start, other_end) = changed_span(before, after)
    assert 0 <= start <= end <= len(before)
    assert 0 <= other_start <= other_end <= len(after)
    assert before[:start] == after[:other_start]
    assert before[end:] == after[other_end:]
