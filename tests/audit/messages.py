"""Messages written by hand, and what audits them."""

from ipaddress import ip_address
from typing import NamedTuple

from inline_topo.audit.findings import Finding
from inline_topo.audit.hosts import Hosts, Network
from inline_topo.audit.judge import Judge
from inline_topo.audit.left import ROWS, Row
from inline_topo.audit.scan import ALONE, Context, Marks, Scanner
from inline_topo.config import values

PROXY, PHONE, PEER = "10.1.1.10", "10.1.1.30", "203.0.113.9"

DEFAULT = (
    *("references", "paths", "spirals", "registers", "identities", "texts", "redirections"),
    *("sdp", "bodies", "routed"),
)
"""The switches that profile default turns on."""

STRICT = (*DEFAULT, "from_to", "products", "call_ids", "strict")

HOSTS = Hosts(
    [values.network("10.1.0.0/16"), values.network("2001:db8:1::/48")],
    [ip_address(PROXY), ip_address("2001:db8:1::10"), "sip.example.com"],
    ["example.com"],
)


class Ends(NamedTuple):
    """A packet from the proxy to the peer."""

    inside: bytes = ip_address(PROXY).packed
    outside: bytes = ip_address(PEER).packed
    mask_address: bytes = ip_address(PROXY).packed
    masks_identifiers: bool = True


class NoTokens:
    """A codec that knows none."""

    def reveal(self, text: bytes) -> list[tuple[int, int, str, int | None, bytes]]:
        return []


def network(text: str) -> Network:
    return values.network(text)


def scanner(
    switches: tuple[str, ...] = DEFAULT,
    rows: tuple[Row, ...] = ROWS,
    marks: Marks | None = None,
    escape: bytes = b"",
) -> Scanner:
    return Scanner(HOSTS, Judge(switches, (), rows), NoTokens(), marks, escape)


def request(
    *lines: str, uri: str = f"sip:bob@{PEER}", method: str = "INVITE", body: str = ""
) -> bytes:
    """A request from the proxy; the lines stand before its Call-ID."""
    head = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {PROXY};branch=z9hG4bK1",
        *lines,
        "From: <sip:a@sip.example.com>;tag=a",
        "To: <sip:b@y.test>",
        "Call-ID: 1",
        f"CSeq: 1 {method}",
    ]
    return "\r\n".join([*head, "", body]).encode()


def response(*lines: str, status: str = "200 OK", method: str = "INVITE", body: str = "") -> bytes:
    """A response to the peer's request."""
    head = [
        f"SIP/2.0 {status}",
        f"Via: SIP/2.0/UDP {PEER};branch=z9hG4bK1",
        *lines,
        "From: <sip:b@y.test>;tag=b",
        "To: <sip:a@sip.example.com>;tag=a",
        "Call-ID: 1",
        f"CSeq: 1 {method}",
    ]
    return "\r\n".join([*head, "", body]).encode()


def found(
    data: bytes, switches: tuple[str, ...] = DEFAULT, context: Context = ALONE
) -> list[tuple[str, str, str]]:
    """Cause, field and host of each finding."""
    return told(scanner(switches).scan(data, Ends(), context))


def told(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.cause, one.field, one.shown.decode("latin-1")) for one in findings]
