"""A SIP message as the laboratory reads and writes it: a start line, fields in order, a body."""

import re
from functools import lru_cache
from typing import NamedTuple

_COMPACT = {
    "v": "Via", "f": "From", "t": "To", "i": "Call-ID", "m": "Contact", "r": "Refer-To",
    "b": "Referred-By", "s": "Subject", "k": "Supported", "o": "Event", "l": "Content-Length",
    "c": "Content-Type", "e": "Content-Encoding", "y": "Identity",
}  # fmt: skip
LISTS = ("Via", "Record-Route", "Route", "Contact", "Path", "Service-Route")
"""The fields whose values the proxy takes apart at commas."""

_PARAMETER = re.compile(r';\s*([^=;,>\s"]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^;,>\s]*))?')


class Message:
    """One message. `fields` holds pairs of name and value, as they stand; a fold is a blank."""

    def __init__(self, start: str, fields: list[tuple[str, str]], body: str = "") -> None:
        self.start = start
        self.fields = fields
        self.body = body

    @classmethod
    def parse(cls, data: bytes) -> "Message":
        """Read a message (bytes as latin-1)."""
        text = data.decode("latin-1")
        end = re.search(r"\r?\n\r?\n", text)
        head, body = (text[: end.start()], text[end.end() :]) if end else (text, "")
        start, *lines = re.split(r"\r?\n", re.sub(r"\r?\n[ \t]+", " ", head))
        fields = []
        for line in lines:
            name, _, value = line.partition(":")
            fields.append((name.strip(), value.strip()))
        return cls(start, fields, body)

    def copy(self) -> "Message":
        return Message(self.start, list(self.fields), self.body)

    def wire(self) -> bytes:
        """The bytes, with a Content-Length that fits."""
        fields = [(name, value) for name, value in self.fields if long(name) != "Content-Length"]
        lines = [self.start, *(f"{name}: {value}" for name, value in fields)]
        lines += [f"Content-Length: {len(self.body)}", "", self.body]
        return "\r\n".join(lines).encode("latin-1")

    @property
    def is_request(self) -> bool:
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self) -> str:
        """The request's method; of a response that of its CSeq."""
        if self.is_request:
            return self.start.partition(" ")[0]
        return self.first("CSeq").rpartition(" ")[2]

    @property
    def status(self) -> int:
        """The status code; 0 of a request."""
        return 0 if self.is_request else int(self.start.split(" ")[1])

    @property
    def target(self) -> str:
        """The Request-URI."""
        return self.start.split(" ", 1)[1].rpartition(" ")[0]

    def retarget(self, uri: str) -> None:
        self.start = f"{self.method} {uri} SIP/2.0"

    def values(self, name: str) -> list[str]:
        """The values of a field, those of a list each for itself."""
        found = [value for field, value in self.fields if long(field) == name]
        if name in LISTS:
            return [one for value in found for one in split(value)]
        return found

    def first(self, name: str) -> str:
        """The first value; empty without one."""
        return next(iter(self.values(name)), "")

    def put(self, name: str, *values: str) -> None:
        """Put these in the place of all values of a field, one a line; at the end if it had none."""
        places = [i for i, (field, _) in enumerate(self.fields) if long(field) == name]
        at = places[0] if places else len(self.fields)
        kept = [pair for pair in self.fields if long(pair[0]) != name]
        kept[at:at] = [(name, value) for value in values]
        self.fields = kept

    def add(self, name: str, *values: str) -> None:
        """Put these behind the values that a field has."""
        self.put(name, *self.values(name), *values)

    def push(self, name: str, *values: str) -> None:
        """Put these before the values that a field has; a new field comes first."""
        if not self.values(name):
            self.fields.insert(0, (name, ""))
            self.put(name, *values)
        else:
            self.put(name, *values, *self.values(name))


@lru_cache(1 << 10)
def long(name: str) -> str:
    """A field's name in its long form and usual case."""
    if len(name) == 1:
        return _COMPACT.get(name.lower(), name)
    known = {"call-id": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate"}
    return known.get(name.lower(), "-".join(part.capitalize() for part in name.split("-")))


def split(value: str) -> list[str]:
    """The parts of a list, taken apart at commas that are neither quoted nor in angle brackets."""
    if "," not in value:
        return [value] if value else []
    parts, start, quoted, depth, i = [], 0, False, 0, 0
    while i < len(value):
        char = value[i]
        if char == "\\" and quoted:
            i += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "<>":
            depth += 1 if char == "<" else -1
        elif char == "," and not quoted and depth <= 0:
            parts.append(value[start:i].strip())
            start = i + 1
        i += 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


class Uri(NamedTuple):
    """What a proxy needs of a URI. Parameters keep their order; names are in lower case."""

    scheme: str
    user: str
    host: str
    port: int
    params: list[tuple[str, str]]

    def param(self, name: str) -> str | None:
        return next((value for key, value in self.params if key == name), None)


def bare(value: str) -> str:
    """The URI of a value such as a Contact: what is in angle brackets, else up to a semicolon."""
    if "<" in value:
        return value[value.index("<") + 1 :].partition(">")[0]
    return value.partition(";")[0].strip()


def read_uri(text: str) -> Uri | None:
    """Take a sip or sips URI apart; None where it is something else."""
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in ("sip", "sips"):
        return None
    rest = rest.partition("?")[0]
    user, _, place = rest.rpartition("@")
    match = re.match(r"(\[[^\]]*\]|[^:;>\s]*)(?::(\d+))?", place)
    assert match
    params = [(key.lower(), value) for key, value in _PARAMETER.findall(place[match.end() :])]
    return Uri(scheme, user, match[1], int(match[2] or 5060), params)


class Via(NamedTuple):
    """What a proxy needs of a Via."""

    host: str
    port: int
    params: list[tuple[str, str]]

    def named(self, name: str) -> list[str]:
        """The values of a parameter, in the order in which they stand."""
        return [value for key, value in self.params if key == name]


def read_via(value: str) -> Via | None:
    """Take a Via apart; None where it does not parse."""
    match = re.match(
        r"SIP\s*/\s*2\.0\s*/\s*\w+\s+(\[[^\]]*\]|[^:;\s]+)\s*(?::\s*(\d+))?", value, re.IGNORECASE
    )
    if not match:
        return None
    params = [(key.lower(), val) for key, val in _PARAMETER.findall(value[match.end() :])]
    return Via(match[1], int(match[2] or 5060), params)


def tag_of(value: str) -> str:
    """The tag of a From or To; empty without one."""
    found = re.search(r";\s*tag=([^;\s]+)", value[value.rfind(">") + 1 :])
    return found[1] if found else ""
