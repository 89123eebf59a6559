"""Guesses: an outsider who thinks to know where alice is says so, and looks for a token of hers.

A row is a way and a place. It is open where what leaves has a token that alice's own traffic had too.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from attacks.gateways import Setting
from attacks.harvest import HIDDEN_HOST, IDENTITIES, NAMES, REFERENCES, TEXTS
from attacks.matrix import OWN, WAYS, Attack, Depth, Way
from attacks.message import Message
from attacks.places import PLACES, URI, VIA, WORD, Where
from attacks.scene import ALICE, ALICE_URI, INNER

_TOKEN = re.compile(rb"[A-Za-z0-9_.*~-]{18,}")
_QUICK = ("relayed INVITE", "answered 200", "answered REGISTER")
_PREFIXES = (b"z9hG4bKsr-", b"z9hG4bK", b"sr-")


def _sdp(message: Message, items: Sequence[str]) -> None:
    message.put("Content-Type", "application/sdp")
    message.body = f"v=0\r\n{items[0]}\r\nt=0 0\r\n"


def _line(name: str, message: Message, items: Sequence[str]) -> None:
    message.put(name, *items)


_MORE = [
    Where("SDP line", "line", _sdp, most=1),
    Where("Contact line", "contact", partial(_line, "Contact")),
    Where("From line", "from", partial(_line, "From"), most=1),
    *(Where(f"{name} line", f"text {name}", partial(_line, name)) for name in TEXTS),
]
"""Places for whole lines as alice's messages have them."""

_NOWHERE = Where("nothing", "", lambda message, items: None)

_URIS = [
    f"{ALICE_URI};ob",
    ALICE_URI,
    f"sip:{ALICE[0]}",
    f"sip:{ALICE[0]}:{ALICE[1]}",
    f"sip:kx7secret@{ALICE[0]}",
    f"sip:{INNER[0]}",
    f"sip:{INNER[0]};lr",
    f"sip:kx5phone@{NAMES['Contact in REGISTER']}:5062",
    f"sip:kx6moved@{NAMES['Contact in 3xx']}:5064",
    f"sip:kx8carol@{NAMES['Refer-To']}:5064?Replaces=1kxcall",
    f"sip:kx8carol@{NAMES['Refer-To']}:5064",
    f"sip:kx9frag@{NAMES['sipfrag']}:5062",
    f"sip:kx9frag@{NAMES['xml']}:5062",
    f"sip:kx9frag@{NAMES['xml']}",
    f"sip:alice@{NAMES['From']}",
    f"sip:bob@{NAMES['To']}",
    f"sip:{NAMES['Path']}",
    f"sip:{NAMES['Path in 2xx']}",
    f"sip:{NAMES['Service-Route']}",
    f"sip:ref@{HIDDEN_HOST}",
    *(f"sip:ref@{NAMES[name]}" for name in REFERENCES),
    *(f"sip:id@{NAMES[name]}" for name in IDENTITIES),
    *(f"sip:{NAMES[name]}" for name in ("From", "Refer-To", "xml", "Contact in REGISTER")),
]
_VIAS = [
    *(f"SIP/2.0/UDP {INNER[0]};branch=z9hG4bKinner{n};received={INNER[0]};rport=5060"
      for n in range(1, 4)),
    *(f"SIP/2.0/UDP {NAMES['Via']}:5062;branch=z9hG4bKkxphone{n};rport" for n in range(1, 4)),
    f"SIP/2.0/UDP {NAMES['Via']}:5062",
]  # fmt: skip


def _guesses(takes: str) -> list[str]:
    if takes == URI:
        return _URIS
    if takes == VIA:
        return _VIAS
    if takes == WORD:
        words = [f"{n}kxcall@{NAMES['Call-ID']}" for n in range(1, 3)]
        return [*words, *dict.fromkeys(NAMES.values())]
    if takes == "line":
        origin = f"kxorigin 1 1 IN IP4 {NAMES['o=']}"
        return [f"o={origin}\r\ns=-", f"o=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\ni=from {NAMES['i=']}"]
    if takes == "contact":
        return [f'"Kx" <{ALICE_URI};ob>', f"<{ALICE_URI}>", f"<sip:kx5phone@{NAMES['Path']}>"]
    if takes == "from":
        return [f"<sip:alice@{NAMES['From']}>;tag=alicetag"]
    name = takes.removeprefix("text ")
    return [f"x;at={NAMES[name]}", f'399 {NAMES["Warning"]} "no"']


def run(setting: Setting, folder: Path, depth: Depth) -> tuple[list[str], dict[str, str]]:
    """All rows, and those that are open with what shows it."""
    attack = Attack(setting, folder)
    ways = [way for way in WAYS if _takes_part(way, depth)]
    known = {word.encode() for word in attack.seen.words}
    for way in ways:  # what every message has (the proxy's own route in shape nat) tells nothing
        attack.scene.forget()
        way.drive(attack, _NOWHERE, [], OWN)
        for left in attack.scene.left:
            known -= _tokens(left.data)
    rows, found = [], {}
    for way in ways:
        for where in (*PLACES, *_MORE):
            if where.messages not in ("both", way.messages):
                continue
            row = f"{way.name} / {where.name}"
            rows.append(row)
            shown = next(_confirmed(attack, way, where, known), None)
            if shown:
                found[row] = shown
    attack.scene.close()
    return rows, found


def _takes_part(way: Way, depth: Depth) -> bool:
    if depth is Depth.QUICK:
        return way.name in _QUICK
    return not way.name.startswith(("stray", "two"))


def _confirmed(attack: Attack, way: Way, where: Where, known: set[bytes]) -> Iterator[str]:
    guesses = _guesses(where.takes)
    for at in range(0, len(guesses), where.most):
        attack.scene.forget()
        sent = way.drive(attack, where, guesses[at : at + where.most], OWN)
        for left in attack.scene.left:
            equal = _tokens(left.data) & known
            if equal and sent:
                yield f"{sorted(equal)} of {sent.wire()!r} in {left.data!r}"


def _tokens(data: bytes) -> set[bytes]:
    found = set(_TOKEN.findall(data))
    for token in list(found):
        found |= {token.removeprefix(prefix) for prefix in _PREFIXES}
    return found
