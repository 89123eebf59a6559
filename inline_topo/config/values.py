"""The values of a configuration: each function takes what TOML gave and returns what it means.

All of them raise ValueError with a reason that quotes the value and needs no more than the key's
name before it.
"""

import json
import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from pathlib import Path
from typing import Any, TypeGuard

# RFC 3261, 25.1: token, without the two characters that a URI parameter must escape; word; hostname
# (with the underscore that real names have).
_TOKEN = re.compile(r"[A-Za-z0-9\-.!*_+'~]+")
_LEADS_ELSEWHERE = frozenset(("maddr", "transport"))
_WORD = re.compile(r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]+")
_METHOD = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?\.?",
    re.IGNORECASE,
)

_CONTACT_HOST = re.compile(
    r"(?:(?P<name>[A-Za-z0-9_.-]+)|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII
)
_QUEUE_NUMBERS = re.compile(r"(\d{1,5})(?::(\d{1,5}))?", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9\-.!%_+`'~]+\*?")
_NEEDED = (  # a message without these means something else, or nothing (RFC 3261 section 20)
    *("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Route", "Record-Route"),
    *("Content-Length", "Content-Type", "Content-Encoding", "Require", "Proxy-Require", "Event"),
    *("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"),
    *("Authentication-Info", "Identity", "Date", "Expires", "RAck", "RSeq", "Refer-To"),
    *("Replaces", "Subscription-State", "Session-Expires", "Security-Verify"),
)
_COMPACT = "abcdefijklmorstuvxy"
MOST_QUEUES = 64  # one process each

_STORES = (
    "sqlite:///",
    "redis://",
    "rediss://",
    "unix://",
    "redis+sentinel://",
    "redis+cluster://",
    "memory:",
)
_PASSWORD = re.compile(r"(?<=://)[^?]*(?=@)|(?<=password=)[^&]*")


def show(value: object) -> str:
    """A value for an error, as TOML writes it and on one line."""
    try:
        text = json.dumps(value, default=str)
    except ValueError:  # an integer of thousands of digits
        return "this value"
    return text if len(text) <= 80 else f"{text[:77]}..."


def address(value: object) -> IPv4Address | IPv6Address:
    if isinstance(value, str) and "%" not in value:
        try:
            return ip_address(value)
        except ValueError:
            pass
    raise ValueError(f"{show(value)} is not an IP address")


def network(value: object) -> IPv4Network | IPv6Network:
    return _network(value, "is neither an address nor a network")


def _network(value: object, otherwise: str) -> IPv4Network | IPv6Network:
    if not isinstance(value, str) or "%" in value:
        raise ValueError(f"{show(value)} {otherwise}")
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{show(value)} {otherwise}") from None
    if ip_address(value.partition("/")[0]) != network.network_address:
        raise ValueError(f"{show(value)} has host bits set: the network is {network}")
    if network.prefixlen == 0:
        raise ValueError(f"{show(value)} is every address there is")
    return network


def is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _HOST_NAME.fullmatch(value) is not None


def host(value: object) -> IPv4Address | IPv6Address | str:
    if is_name(value):
        return value.lower().removesuffix(".")
    try:
        return address(value)
    except ValueError:
        raise ValueError(f"{show(value)} is neither an address nor a host name") from None


def place(value: object) -> IPv4Network | IPv6Network | str:
    if is_name(value):
        return value.lower().removesuffix(".")
    return _network(value, "is no address, no network and no host name")


def mask_ip(value: object) -> IPv4Address | IPv6Address | str:
    if value == "auto":
        return "auto"
    try:
        return address(value)
    except ValueError:
        raise ValueError(f'{show(value)} is neither "auto" nor an IP address') from None


def port(value: object) -> int:
    if type(value) is int and 0 < value < 65536:
        return value
    raise ValueError(f"{show(value)} is not a port (1 to 65535)")


def whole(value: object, least: int, most: int) -> int:
    if type(value) is int and least <= value <= most:
        return value
    raise ValueError(f"{show(value)} is not a number from {least} to {most}")


def queue_numbers(value: object) -> str:
    text = str(value) if type(value) is int else value
    match = _QUEUE_NUMBERS.fullmatch(text) if isinstance(text, str) else None
    if match:
        first, last = int(match[1]), int(match[2] or match[1])
        if first <= last <= 0xFFFF and last - first < MOST_QUEUES:
            return f"{first}:{last}" if first < last else f"{first}"
    raise ValueError(
        f"{show(value)} is neither a queue number nor FIRST:LAST (0 to 65535, {MOST_QUEUES} at most)"
    )


class Endpoint(str):
    """Where a program listens: address (IPv6 in brackets) and port."""

    @property
    def address(self) -> tuple[str, int]:
        """What a socket connects to."""
        host, _, number = self.rpartition(":")
        return host.strip("[]"), int(number)


def endpoint(value: object) -> Endpoint:
    host, _, number = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    try:
        known = ip_address(bare)
        if (known.version == 6) == (bare != host) and re.fullmatch(r"[0-9]{1,5}", number):
            port(int(number))
            return Endpoint(f"[{known}]:{number}" if known.version == 6 else f"{known}:{number}")
    except ValueError:
        pass
    raise ValueError(f"{show(value)} is not an IP address and a port, as in 127.0.0.1:2223")


def none_or_two(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) in (0, 2):
        return value
    raise ValueError("needs two names, or none")


class StoreUrl(str):
    """Where a dialog store is; may hold a password."""

    @property
    def shown(self) -> str:
        """The URL without user and password."""
        text = _PASSWORD.sub("********", self)
        if "@" in text.partition("?")[2]:  # the end of a password with a `?` in it
            return f"{self.partition(':')[0]}://********"
        return text


def store_url(value: object) -> StoreUrl:
    if isinstance(value, str) and value.startswith(_STORES) and value.isprintable():
        return StoreUrl(value)
    raise ValueError(f"begins with none of {', '.join(_STORES)}")


def seconds(value: object) -> float:
    if type(value) in (int, float) and 0 < float(str(value)) <= 60:
        return float(str(value))
    raise ValueError(f"{show(value)} is not a number of seconds, above 0 and up to 60")


def contact_host(value: object) -> str:
    if value == "":
        return ""
    match = _CONTACT_HOST.fullmatch(value) if isinstance(value, str) else None
    if match and (match["name"] is None or is_name(match["name"]) or _is_ipv4(match["name"])):
        return value if isinstance(value, str) else ""
    raise ValueError(f"{show(value)} is not a host, nor a host and a port (IPv6 in brackets)")


def _is_ipv4(text: str) -> bool:
    try:
        return isinstance(ip_address(text), IPv4Address)
    except ValueError:
        return False


def bit(value: object) -> int:
    if type(value) is int and value in (0, 1):
        return value
    raise ValueError(f"{show(value)} is not one of 0, 1")


def share(value: object) -> float | str:
    """A share of calls from 0 to 1, or "enforce"."""
    if value == "enforce":
        return "enforce"
    if isinstance(value, str) and re.fullmatch(r"[01](\.[0-9]+)?|\.[0-9]+", value):
        value = float(value)  # a word of the command line or the environment
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f'{show(value)} is neither a number from 0 to 1 nor "enforce"')


def interface(value: str) -> str:
    if re.fullmatch(r"[^\s/:]{1,15}", value) and value not in (".", ".."):
        return value
    raise ValueError(f"{show(value)} is not an interface's name")


def method(value: str) -> str:
    if _METHOD.fullmatch(value):
        return value
    raise ValueError(f"{show(value)} is not a SIP method")


def user(value: str) -> str:
    if value and value.isprintable():
        return value
    raise ValueError(f"{show(value)} is not a user part")


def token(value: str) -> str:
    if _TOKEN.fullmatch(value):
        return value
    raise ValueError(f"{show(value)} has other characters than letters, digits and -.!*_+'~")


def clear_param(value: str) -> str:
    name = token(value).lower()
    if name in _LEADS_ELSEWHERE:
        raise ValueError(f"{show(value)} beside a token would lead requests past the gateway")
    return name


def word(value: str) -> str:
    if _WORD.fullmatch(value):
        return value
    raise ValueError(f"{show(value)} has characters that no Call-ID may have")


def branch(value: str) -> str:
    if value.startswith("z9hG4bK"):
        return token(value)
    raise ValueError(f"{show(value)} does not begin with z9hG4bK (RFC 3261, 8.1.1.7)")


def file_name(value: object) -> Path:
    if isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise ValueError(f"{show(value)} is not a file's name")


def some(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if value:
        return value
    raise ValueError("an empty list; leave the key out instead")


def header_name(text: str) -> str:
    """The name of a header that may be edited or left out, or the beginning of such names and `*`."""
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError(f"{show(text)} is not the name of a header, nor its beginning with a *")
    if len(text) == 1 and text.lower() in _COMPACT:
        raise ValueError(f"{show(text)} is a compact form: say the full name")
    name, star = text.lower().removesuffix("*"), text.endswith("*")
    for needed in _NEEDED:
        if needed.lower() == name or (star and needed.lower().startswith(name)):
            raise ValueError(f"{show(text)}: SIP does not work without {needed}")
    return text


def product_text(text: str) -> str:
    """What stands in User-Agent: one line of visible ASCII (RFC 3261 section 20.41)."""
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", text):
        raise ValueError(f"{show(text)} is not one line of visible characters")
    return text
