"""What the dialog store keeps, for an operator with the key: how much, for how long, and what an id
that the outside sees stands for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from inline_topo.masking.codecs.records import unpack
from inline_topo.masking.topos.ids import CONTACT, Target
from inline_topo.masking.topos.keys import BRANCH, DIALOG
from inline_topo.masking.topos.way_back import WAY_BACK
from inline_topo.report.texts import count, printable
from inline_topo.stores.base import Stored

KINDS = {DIALOG: "dialog", CONTACT: "contact", BRANCH: "transaction", WAY_BACK: "replayed"}
"""The kinds of records, by the first byte of their keys."""

UNREADABLE = "unreadable"
"""Records that were changed, made with another key, or made by another program."""

_UNITS = ((31536000, "y"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

Opener = Callable[[bytes, bytes], bytes | None]
"""Opens a value by its key (`Seal.open`); None for what is not of our making."""


@dataclass
class Share:
    """The records of one kind. Times in seconds; `oldest` is None where the store knows no ages."""

    records: int = 0
    bytes: int = 0
    oldest: float | None = None
    ends_first: float | None = None
    ends_last: float | None = None

    def add(self, record: Stored) -> None:
        self.records += 1
        self.bytes += len(record.key) + len(record.value)
        if record.age is not None:
            self.oldest = max(self.oldest or 0.0, record.age)
        self.ends_first = (
            record.left if self.ends_first is None else min(self.ends_first, record.left)
        )
        self.ends_last = record.left if self.ends_last is None else max(self.ends_last, record.left)


@dataclass(frozen=True)
class Kept:
    """A record that opened. `uri` is a contact's; `routes` lead to it, in the order of a request."""

    kind: str
    id: str
    age: float | None
    left: float
    uri: bytes
    routes: tuple[bytes, ...]


@dataclass
class Inspection:
    """What a store keeps."""

    shares: dict[str, Share] = field(default_factory=dict)
    contacts: list[Kept] = field(default_factory=list)
    dialogs: list[Kept] = field(default_factory=list)


def inspect(records: Iterable[Stored], opener: Opener) -> Inspection:
    """Open and count every record."""
    found = Inspection({kind: Share() for kind in (*KINDS.values(), UNREADABLE)})
    for record in records:
        content = opener(record.key, record.value)
        kind = KINDS.get(record.key[:1], UNREADABLE) if content is not None else UNREADABLE
        found.shares[kind].add(record)
        if content is None or record.key[:1] not in (CONTACT, DIALOG):
            continue
        is_contact = record.key[:1] == CONTACT
        target = Target.unpack(content) if is_contact else Target(b"", tuple(unpack(content)))
        kept = Kept(kind, record.key[1:].hex(), record.age, record.left, target.uri, target.routes)
        (found.contacts if is_contact else found.dialogs).append(kept)
    return found


def lines(store: str, found: Inspection, removed: int | None) -> Iterator[str]:
    """Each contact by its id, each dialog's routes, and a line for every kind."""
    for kept in sorted(found.contacts, key=lambda kept: kept.left):
        yield f"tpsh-{kept.id}  {printable(kept.uri)}  ({_life(kept)})"
        yield from (f"    Route: {printable(route)}" for route in kept.routes)
    for kept in sorted(found.dialogs, key=lambda kept: kept.left):
        yield f"dialog {kept.id}  ({_life(kept)})"
        yield from (f"    Route: {printable(route)}" for route in kept.routes)
    if removed is not None:
        yield f"removed {count(removed, 'expired record')}"
    total = sum(share.records for share in found.shares.values())
    yield f"{store}: {count(total, 'record')}"
    for kind, share in found.shares.items():
        if share.records:
            yield f"  {_share(kind, share)}"


def as_dict(store: str, found: Inspection, removed: int | None) -> dict[str, Any]:
    """For programs. Times in seconds; null where the store does not know."""
    return {
        "store": store,
        "removed": removed,
        "records": {
            kind: {
                "records": share.records,
                "bytes": share.bytes,
                "oldest": _rounded(share.oldest),
                "ends_first": _rounded(share.ends_first),
                "ends_last": _rounded(share.ends_last),
            }
            for kind, share in found.shares.items()
        },
        "contacts": [
            {"id": f"tpsh-{kept.id}", "uri": printable(kept.uri), **_rest(kept)}
            for kept in found.contacts
        ],
        "dialogs": [{"id": kept.id, **_rest(kept)} for kept in found.dialogs],
    }


def _rest(kept: Kept) -> dict[str, Any]:
    routes = [printable(route) for route in kept.routes]
    return {"routes": routes, "age": _rounded(kept.age), "left": _rounded(kept.left)}


def _share(kind: str, share: Share) -> str:
    name = f"{share.records} {kind}" if kind == UNREADABLE else count(share.records, _noun(kind))
    text = f"{name}, {count(share.bytes, 'byte')}"
    if share.oldest is not None:
        text += f", the oldest {duration(share.oldest)}"
    first, last = duration(share.ends_first or 0), duration(share.ends_last or 0)
    text += f", ends in {first}" if first == last else f", end in {first} to {last}"
    if kind == UNREADABLE:
        text += ": changed, or made with another key or by another program"
    return text


def _noun(kind: str) -> str:
    return "replayed message" if kind == KINDS[WAY_BACK] else kind


def _life(kept: Kept) -> str:
    left = f"ends in {duration(kept.left)}"
    return left if kept.age is None else f"{duration(kept.age)} old, {left}"


def duration(seconds: float) -> str:
    """A time in its two largest units: `2 h 59 min`, `12 s`."""
    rest = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        number, rest = divmod(rest, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
