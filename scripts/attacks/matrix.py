"""The matrix: everything that attackers have seen, in every place of what they send.

A cell is a way through the inside, a place, and whose identifiers the message has. It is open where
something of the inside that the profile hides leaves in clear because of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from attacks.gateways import PROXY, Setting
from attacks.harvest import LEFT_CLEAR, Seen, harvest
from attacks.message import Message, bare, tag_of
from attacks.places import PLACES, REQUEST, RESPONSE, Where, items
from attacks.proxy import Place, answer_to
from attacks.scene import ALICE, INNER, A, B, Scene
from attacks.spelling import SPELLINGS

OWN, ALICES = "own", "alice's"
"""Whose Call-ID, CSeq and tags a message has."""


_BOUND = ("Via", "Record-Route", "Request-URI", "Route", "Contact", "From", "Call-ID")
"""Places whose tokens could be bound to a dialog or a transaction."""


class Depth(Enum):
    """How much is tried."""

    QUICK = "quick"
    """Some ways, and some of what was seen."""
    USUAL = "usual"
    """All ways, and all that was seen, many in one message where a place takes many."""
    THOROUGH = "thorough"
    """All, one in a message."""


class Cell(NamedTuple):
    """One row of the matrix, for one configuration."""

    way: str
    place: str
    whose: str

    @property
    def name(self) -> str:
        return f"{self.way} / {self.place} / {self.whose}"


@dataclass
class Opened:
    """What a cell let out: the names that showed, and a message in which they did."""

    names: set[str]
    message: bytes
    sent: bytes


@dataclass
class Result:
    """What became of the cells of one configuration."""

    setting: Setting
    cells: list[Cell] = field(default_factory=list)
    open: dict[Cell, Opened] = field(default_factory=dict)
    wrongly_clear: set[str] = field(default_factory=set)
    """Places of alice's own messages that showed although the profile hides them."""


Drive = Callable[["Attack", Where, Sequence[str], str], Message | None]


class Way(NamedTuple):
    """How a message goes through the inside. `messages`: the kind that attackers fill."""

    name: str
    messages: str
    drive: Drive


class Attack:
    """The attackers at one gateway."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        self.scene = Scene(setting, folder)
        self.seen = harvest(self.scene)
        self.scene.spell = SPELLINGS[setting.spelling]
        self._count = 0

    def cell(self, way: Way, where: Where, whose: str, depth: Depth) -> Iterator[Opened]:
        """Try items in a place; what they open."""
        for filled in _portions(items(self.seen, where.takes), where.most, depth):
            self.scene.forget()
            sent = way.drive(self, where, filled, whose)
            for left in self.scene.left:
                names = self.seen.secrets.shown(left.data)
                if names:
                    yield Opened(names, left.data, sent.wire() if sent else b"")

    # --- what attackers send --------------------------------------------------------------------

    def request(self, method: str, whose: str, uri: str, source: Place = B) -> Message:
        """A request through the proxy, as an attacker makes it."""
        self._count += 1
        number = self._count
        here = f"{source[0]}:{source[1]}"
        message = Message(
            f"{method} {uri} SIP/2.0",
            [
                ("Via", f"SIP/2.0/UDP {here};branch=z9hG4bKattack{number:020d}"),
                ("Route", f"<sip:{PROXY};lr>"),
                ("From", f"<sip:b@attacker.example>;tag=b{number}"),
                ("To", "<sip:a@attacker.example>;tag=there"),
                ("Call-ID", f"attack-{number}"),
                ("CSeq", f"{number} {method}"),
                ("Max-Forwards", "70"),
                ("Contact", f"<sip:b@{here}>"),
            ],
        )
        if whose == ALICES:
            self.disguise(message)
        return message

    def disguise(self, message: Message) -> None:
        """Give a message the identifiers of alice's call, as outsiders saw them."""
        call = self.seen.call
        number = call["CSeq"].partition(" ")[0]
        message.put("Call-ID", call["Call-ID"])
        message.put("CSeq", f"{number} {message.method}")
        message.put("From", call["From"])
        to = message.first("To")
        message.put("To", call["To"] + (f";tag={tag_of(to)}" if tag_of(to) else ""))


def _portions(found: list[str], most: int, depth: Depth) -> Iterator[list[str]]:
    """What goes into one message each. Some stand alone whatever the depth: a value beside them may
    change what becomes of them."""
    alone = {Depth.QUICK: 2, Depth.USUAL: 6, Depth.THOROUGH: len(found)}[depth]
    if most == 1 and depth is not Depth.THOROUGH:
        alone *= 3
    yield from ([item] for item in found[:alone])
    if most == 1:
        return
    rest = found[alone:]
    if depth is Depth.QUICK:
        rest = rest[:most]
    yield from (rest[at : at + most] for at in range(0, len(rest), most))


# --- the ways ---------------------------------------------------------------------------------


def _relayed(method: str) -> Drive:
    """B sends a request to A through the proxy."""

    def drive(attack: Attack, where: Where, filled: Sequence[str], whose: str) -> Message:
        message = attack.request(method, whose, f"sip:a@{A[0]}")
        message.add("Route", f"<sip:{A[0]};lr>")
        where.put(message, filled)
        attack.scene.outside(message, B)
        return message

    return drive


def _to_alice(attack: Attack, where: Where, filled: Sequence[str], whose: str) -> Message:
    """B calls alice, who answers, and ends the call by the Contact and the routes that she has got."""
    scene = attack.scene
    message = attack.request("INVITE", whose, "sip:alice@example.com")
    where.put(message, filled)
    scene.answers = True
    scene.outside(message, B)
    scene.answers = False
    for reached in list(scene.reached):
        got = reached.message
        contact = got.first("Contact")
        if not got.is_request or not contact:
            continue
        bye = Message(f"BYE {bare(contact)} SIP/2.0", [])
        bye.put("Via", f"SIP/2.0/UDP {ALICE[0]}:{ALICE[1]};branch=z9hG4bKalicesbye")
        bye.put("Route", *got.values("Record-Route"))
        bye.put("From", f"{got.first('To')};tag=alicetag")
        bye.put("To", got.first("From"))
        bye.put("Call-ID", got.first("Call-ID"))
        bye.put("CSeq", "1 BYE")
        scene.inside(bye, INNER)
    return message


def _answered(method: str, status: str, *, recurses: bool = False) -> Drive:
    """A sends a request to B through the proxy; B's answer is filled."""

    def drive(attack: Attack, where: Where, filled: Sequence[str], whose: str) -> Message | None:
        scene = attack.scene
        request = attack.request(method, OWN, f"sip:b@{B[0]}:{B[1]}", A)
        left = scene.outside(request, A)
        if not left:
            return None
        answer = answer_to(Message.parse(left[-1].data), status, "btag")
        answer.put("Contact", f"<sip:b@{B[0]}:{B[1]}>")
        if whose == ALICES:
            attack.disguise(answer)
        where.put(answer, filled)
        scene.proxy.habits.recurses = recurses
        scene.outside(answer, B)
        scene.proxy.habits.recurses = False
        return answer

    return drive


def _stray(top: Callable[[Seen, str], str], *, last: bool = False, over: bool = False) -> Drive:
    """B sends a response to nothing, whose second Via is A's. `top`: the topmost, of what was seen and
    a branch that the proxy knows; `over`: the proxy has forgotten alice's transactions."""

    def drive(attack: Attack, where: Where, filled: Sequence[str], whose: str) -> Message:
        scene = attack.scene
        answer = Message("SIP/2.0 200 OK", [])
        answer.put("Via", top(attack.seen, _live_branch(attack)))
        answer.add("Via", f"SIP/2.0/UDP {A[0]};branch=z9hG4bKstray")
        answer.put("Record-Route", f"<sip:{PROXY};lr>")
        answer.put("From", "<sip:b@attacker.example>;tag=1")
        answer.put("To", "<sip:a@attacker.example>;tag=2")
        answer.put("Call-ID", "stray")
        answer.put("CSeq", "1 INVITE")
        answer.put("Contact", f"<sip:b@{B[0]}:{B[1]}>")
        if whose == ALICES:
            attack.disguise(answer)
        where.put(answer, filled)
        scene.proxy.habits.last_branch = last
        kept = scene.proxy.forget() if over else {}
        scene.outside(answer, B)
        scene.proxy.remember(kept)
        scene.proxy.habits.last_branch = False
        return answer

    return drive


def _live_branch(attack: Attack) -> str:
    """The branch of a transaction between the attackers that the proxy still knows."""
    left = attack.scene.outside(attack.request("OPTIONS", OWN, f"sip:b@{B[0]}:{B[1]}", A), A)
    if not left:
        return "z9hG4bKnone"
    return Message.parse(left[-1].data).first("Via").partition("branch=")[2].partition(";")[0]


def _registered(attack: Attack, where: Where, filled: Sequence[str], whose: str) -> Message:
    """B registers with the proxy; then A calls B."""
    scene = attack.scene
    message = attack.request("REGISTER", whose, "sip:example.com")
    message.put("Route")
    message.put("To", "<sip:bob@example.com>")
    where.put(message, filled)
    scene.outside(message, B)
    scene.outside(attack.request("INVITE", OWN, "sip:bob@example.com", A), A)
    scene.proxy.users["bob"] = (f"sip:bob@{B[0]}:{B[1]}", [])
    return message


def _rejected(attack: Attack, where: Where, filled: Sequence[str], whose: str) -> Message:
    """B sends a request that the proxy answers itself, by the topmost Via, to A."""
    message = attack.request("OPTIONS", whose, "sip:nobody@example.com")
    message.put("Via", f"SIP/2.0/UDP {A[0]};branch=z9hG4bKrejected")
    where.put(message, filled)
    attack.scene.outside(message, B)
    return message


def _alices(seen: Seen, live: str) -> str:
    return seen.top


def _two(seen: Seen, live: str) -> str:
    """Alice's branch, then one that the proxy knows."""
    return f"{seen.top};branch={live}"


def _two_quoted(seen: Seen, live: str) -> str:
    return f'{seen.top.partition(";")[0]};x=";branch={live}";branch={seen.branch}'


def _two_cased(seen: Seen, live: str) -> str:
    return f"{seen.top.partition(';')[0]};BRANCH={seen.branch};branch={live}"


def _any(seen: Seen, live: str) -> str:
    return f"SIP/2.0/UDP {PROXY};branch=z9hG4bKanything"


WAYS = [
    *(Way(f"relayed {method}", REQUEST, _relayed(method))
      for method in ("INVITE", "REGISTER", "REFER", "NOTIFY", "PUBLISH", "MESSAGE")),
    Way("to alice", REQUEST, _to_alice),
    Way("registered", REQUEST, _registered),
    Way("rejected", REQUEST, _rejected),
    Way("answered 200", RESPONSE, _answered("INVITE", "200 OK")),
    Way("answered 302", RESPONSE, _answered("INVITE", "302 Moved")),
    Way("answered 302, followed", RESPONSE, _answered("INVITE", "302 Moved", recurses=True)),
    Way("answered REGISTER", RESPONSE, _answered("REGISTER", "200 OK")),
    Way("answered 407", RESPONSE, _answered("MESSAGE", "407 Prove It")),
    Way("stray", RESPONSE, _stray(_any)),
    Way("stray, alice's branch", RESPONSE, _stray(_alices)),
    Way("stray, alice's branch, over", RESPONSE, _stray(_alices, over=True)),
    Way("two branches, first", RESPONSE, _stray(_two)),
    Way("two branches, last", RESPONSE, _stray(_two, last=True)),
    Way("two branches, quoted", RESPONSE, _stray(_two_quoted)),
    Way("two branches, cased", RESPONSE, _stray(_two_cased, last=True)),
]  # fmt: skip
QUICK = (
    "relayed INVITE", "relayed REGISTER", "to alice", "registered", "answered 200", "answered 302",
    "answered REGISTER", "stray", "stray, alice's branch, over", "two branches, first", "two branches, last",
)  # fmt: skip
"""The ways of a short run."""


def run(setting: Setting, folder: Path, depth: Depth = Depth.USUAL) -> Result:
    """Attack one configuration."""
    attack = Attack(setting, folder)
    result = Result(setting)
    result.wrongly_clear = attack.seen.shown - LEFT_CLEAR[setting.profile]
    for way in WAYS:
        if depth is Depth.QUICK and way.name not in QUICK:
            continue
        for where in PLACES:
            if where.messages not in ("both", way.messages):
                continue
            for whose in _identifiers(where, depth):
                cell = Cell(way.name, where.name, whose)
                result.cells.append(cell)
                opened = next(attack.cell(way, where, whose, depth), None)
                if opened:
                    result.open[cell] = opened
    attack.scene.close()
    return result


def _identifiers(where: Where, depth: Depth) -> tuple[str, ...]:
    """Whose identifiers a place is tried with."""
    if depth is Depth.QUICK and not where.name.startswith(_BOUND):
        return (OWN,)
    return OWN, ALICES
