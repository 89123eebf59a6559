"""URIs by span (RFC 3261 section 19.1, RFC 3986): scheme, userinfo, host, port, the rest."""

import re
from typing import Final, NamedTuple

LITERAL: Final = rb"\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._~%-]+)?\]"
"""A pattern for an IPv6 address in brackets; phones write a zone into it (RFC 4007 section 11)."""

_SIP_URI: Final = re.compile(
    rb"(?P<scheme>sips?):(?:(?P<userinfo>[^@\s<>\"]*)@)?"
    rb"(?P<host>" + LITERAL + rb"|[^\s:;?@<>\",\[\]/]+)(?::(?P<port>[0-9]{1,10}))?"
    rb"(?P<parameters>;[^?\s<>\"]*)?(?P<headers>\?[^\s<>\"]*)?",
    re.IGNORECASE,
)
_OTHER_URI: Final = re.compile(
    rb"[A-Za-z][A-Za-z0-9+.-]*:(?:(?://(?:[^@/?#\s<>\"]*@)?|[^@/?#\s<>\"]*@)"
    rb"(?P<host>" + LITERAL + rb"|[^\s:;?@<>\",\[\]/]*)(?::[0-9]*)?)?[^\s<>\"]*"
)
_LITERAL: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![0-9.])")
_CONTROL: Final = re.compile(rb"[\x00-\x20\x7f<>\"]")
_ODD: Final = re.compile(rb"[^\x00-\x1f\x7f<>]+")
_WORD: Final = re.compile(rb"[A-Za-z0-9_-]+")
_BEFORE_HOST: Final = re.compile(rb"(?:[A-Za-z][A-Za-z0-9+.-]*:(?://)?)?")
_ODD_HOST: Final = re.compile(
    rb"(" + LITERAL + rb"|[A-Za-z0-9_.-]+)(?::[^;?,/& ]*)?(?=[;?,/& ]|\Z)"
)


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


def odd_host(text: bytes) -> bytes | None:
    """The host of what stands where a URI should and is none: its scheme is missing (`<100@10.0.0.5>`), or
    blanks or quotes are in it (`<sip:10.0.0.5;x="y">`). None where it has no host, is a
    word alone, or has a byte that ends a URI."""
    if not _ODD.fullmatch(text) or text[:1] == b" " or text[-1:] == b" ":
        return None
    quote = text.find(b'"')
    at = text.rfind(b"@", 0, quote if quote >= 0 else len(text))
    before = None if at >= 0 else _BEFORE_HOST.match(text)
    start = before.end() if before else at + 1
    found = _ODD_HOST.match(text, start)
    is_word = not start and found is not None and _WORD.fullmatch(found[1])
    return found[1] if found and not is_word else None


def may_stand(text: bytes) -> bool:
    """Whether `text` may enter a message where it has stood in the place of a URI."""
    return is_uri(text) or odd_host(text) is not None


def is_uri(uri: bytes) -> bool:
    """Whether `uri` may enter a message as a URI: its grammar holds, no control, blank, quote or bracket."""
    return not _CONTROL.search(uri) and host(uri) is not None


def is_authority(text: bytes) -> bool:
    """Whether `text` may enter a SIP URI as its host, with or without a port."""
    parts = parse(b"sip:" + text)
    beside = parts and (parts.userinfo is not None or parts.parameters or parts.headers)
    return bool(parts) and not beside and not _CONTROL.search(text)


def names_part(uri: bytes) -> bool:
    """Whether a URI names a part of a message (RFC 2392): what looks like a host in it is none."""
    return uri[:4].lower() in (b"cid:", b"mid:")
