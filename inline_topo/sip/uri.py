"""URIs by span (RFC 3261 section 19.1, RFC 3986): scheme, userinfo, host, port, the rest."""

import re
from typing import Final, NamedTuple

_SIP_URI: Final = re.compile(
    rb"(?P<scheme>sips?):(?:(?P<userinfo>[^@\s<>\"]*)@)?"
    rb"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:;?@<>\",\[\]/]+)(?::(?P<port>[0-9]{1,10}))?"
    rb"(?P<parameters>;[^?\s<>\"]*)?(?P<headers>\?[^\s<>\"]*)?",
    re.IGNORECASE,
)
_OTHER_URI: Final = re.compile(
    rb"[A-Za-z][A-Za-z0-9+.-]*:(?:(?://(?:[^@/?#\s<>\"]*@)?|[^@/?#\s<>\"]*@)"
    rb"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:;?@<>\",\[\]/]*)(?::[0-9]*)?)?[^\s<>\"]*"
)
_LITERAL: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![0-9.])")
_CONTROL: Final = re.compile(rb"[\x00-\x20\x7f<>\"]")


class SipUri(NamedTuple):
    """The parts of a SIP-URI or SIPS-URI, as they stand.

    `userinfo` is None without an "@"; `port`, `parameters` (with the leading ";") and `headers`
    (with the leading "?") are empty where absent.
    """

    scheme: bytes
    userinfo: bytes | None
    host: bytes
    port: bytes
    parameters: bytes
    headers: bytes


def parse(uri: bytes) -> SipUri | None:
    """The parts of a SIP or SIPS URI, or None where `uri` is not one."""
    match = _SIP_URI.fullmatch(uri)
    if not match:
        return None
    scheme, userinfo, host, port, parameters, headers = match.groups()
    return SipUri(scheme, userinfo, host, port or b"", parameters or b"", headers or b"")


def host(uri: bytes) -> bytes | None:
    """The host of a URI of any scheme (brackets of an IPv6 literal included).

    That of a URI without "//" stands behind its "@" (h323:, pres:, mailto:), or right behind the
    scheme if it is an IPv4 literal. Empty for a URI
    without one (tel:, urn:); None where `uri` is no URI at all.
    """
    match = _SIP_URI.fullmatch(uri)
    if match:
        return match["host"]
    if uri[:4].lower() == b"sip:" or uri[:5].lower() == b"sips:":
        return None
    match = _OTHER_URI.fullmatch(uri)
    if not match:
        return None
    literal = None if match["host"] else _LITERAL.match(uri)
    return literal[1] if literal else match["host"] or b""


def is_uri(uri: bytes) -> bool:
    """Whether `uri` may enter a message as a URI: its grammar holds, no control, blank, quote or bracket."""
    return not _CONTROL.search(uri) and host(uri) is not None


def is_authority(text: bytes) -> bool:
    """Whether `text` may enter a SIP URI as its host, with or without a port."""
    parts = parse(b"sip:" + text)
    beside = parts and (parts.userinfo is not None or parts.parameters or parts.headers)
    return bool(parts) and not beside and not _CONTROL.search(text)
