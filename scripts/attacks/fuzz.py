"""The fuzzer: what must hold for every message, tried with messages that coverage leads to.

- the gateway never raises, and never says that it has a defect;
- under profile strict nothing of the inside is in what leaves, but where senders stand for themselves;
- what attackers send, relayed by the proxy, opens nothing (the matrix, with messages of any form);
- leg outside, then leg inside, gives the same bytes, but for what is swapped beside a URI that routes.
"""

import argparse
import hashlib
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attacks.gateways import PROXY, Border, Defect, Refused, Setting, datagram, key_ring
from attacks.harvest import NAMES, Seen, harvest
from attacks.made import KNOWN, Bytes, message
from attacks.message import long
from attacks.places import URI, VIA, WORD, items
from attacks.scene import ALICE_URI, INNER, A, B, Scene
from attacks.search import Secrets
from inline_topo import assemble
from inline_topo.config import load
from inline_topo.edits import splice

_SETTINGS = (
    Setting("default"), Setting("strict"), Setting("topoh"), Setting("default", mode="topos"),
    Setting("strict", mode="topos"), Setting("default", shape="nat"), Setting("default", "kamailio"),
)  # fmt: skip
_STRICT = (Setting("strict"), Setting("strict", mode="topos"), Setting("strict", shape="nat"))
_REVERSIBLE = {
    "hide.references": True, "hide.paths": True, "hide.spirals": True, "hide.registers": True,
    "hide.sdp": True, "hide.bodies": True, "topoh.mask_callid": True,
}  # fmt: skip
_CLEAR = (
    *NAMES.values(), ALICE_URI, f"sip:{INNER[0]};lr", f"sip:a@{NAMES['From']}", "sip:x@PBX2.Corp.Example.",
    f"SIP/2.0/UDP {INNER[0]};branch=z9hG4bKinner", f"SIP/2.0/UDP {NAMES['Via']}:5062;branch=z9hG4bK1;rport",
    f"sip:{PROXY};lr", f"{PROXY}", "010.0.037.201", "[::ffff:10.0.37.201]", "10.0.37.201.nip.example",
    f"x@{NAMES['Call-ID']}", "%31%30.0.37.201", "&#49;0.0.37.201", "alias=10.0.37.201~22~1", "fd00::5",
)  # fmt: skip
_STANDS_FOR_ITSELF = re.compile(rb"(?im)^(?:via|v)[ \t]*:(?:[^\r\n]|\r?\n[ \t])*")

_REPORTED = 60.0  # seconds between reports

_START = re.compile(rb"(?:[A-Za-z-]+ [!-~]+ SIP/2\.0|SIP/2\.0 [1-6]\d\d [ -~]*)\r?\n")
"""What every program takes for SIP; of anything else nothing is promised."""

_ROUTES = ("Route", "Record-Route", "Path", "Service-Route")
"""Fields whose URIs stand in angle brackets (RFC 3261 section 20.30); one without comes back with them."""

_SWAPPED_BESIDE = ("Request-URI", "Contact", "Refer-To", *_ROUTES)
"""Fields in which hosts beside the URI are swapped, and headers parts taken out, for good (README)."""

Leg = Callable[[bytes, bool], tuple[bytes, bytes] | None]
"""Takes a message and whether it leaves; gives what becomes of it, and of that what should come back."""


class Found(Exception):
    """An invariant that does not hold; the text says which and where."""


class Fuzzer:
    """Tries inputs. `found` counts findings by what they are called; the first input of each is kept in
    a folder, where there is one."""

    def __init__(self, folder: Path, keep: Path | None = None) -> None:
        self.tried = 0
        self.found: Counter[str] = Counter()
        self._keep = keep
        self._scenes: list[tuple[Scene, Seen, tuple[str, ...]]] = []
        for setting in _SETTINGS:
            own = folder / setting.name.replace("/", "-")
            own.mkdir()
            scene = Scene(setting, own)
            seen = harvest(scene)
            scene.border.knows_sip = False
            pieces = [item for takes in (URI, VIA, WORD) for item in items(seen, takes)]
            self._scenes.append((scene, seen, tuple(pieces)))
        self._strict = []
        for setting in _STRICT:
            own = folder / f"leaving-{setting.name.replace('/', '-')}"
            own.mkdir()
            self._strict.append(Border(setting, own))
            self._strict[-1].knows_sip = False
        hosts = [name for name in NAMES.values() if "." in name]  # a user alone is nobody's secret
        self._secrets = Secrets([*hosts, "fd00::5", "pbx2.corp.example"])
        self._outside, self._inside = _legs(folder)

    def try_one(self, data: bytes) -> None:
        """Try one input; keep what it finds."""
        self.tried += 1
        bits = Bytes(data)
        try:
            (self._relays, self._leaves, self._returns)[bits.number(3)](bits)
        except (Found, Defect) as error:
            name = re.split(" of b['\"]", str(error))[0]
            self.found[name] += 1
            if self.found[name] == 1 and self._keep is not None:
                stem = hashlib.sha256(name.encode()).hexdigest()[:12]
                (self._keep / f"{stem}.txt").write_text(f"{error}\n")
                (self._keep / f"{stem}.bin").write_bytes(data)

    def report(self) -> str:
        """How many inputs were tried, and what was found how often."""
        kinds = [f"{count:8} {name}" for name, count in self.found.most_common()]
        total = f"{self.tried} inputs, {self.found.total()} findings of {len(kinds)} kinds"
        return "\n".join([total, *kinds])

    def _relays(self, bits: Bytes) -> None:
        """An attacker's message, through the proxy."""
        scene, seen, pieces = self._scenes[bits.number(len(self._scenes))]
        scene.forget()
        made = message(bits, pieces)
        source = A if bits.number(2) else B
        scene.raw(made, source)
        for left in scene.left:
            shown = seen.secrets.shown(left.data)
            if shown:
                raise Found(
                    f"relayed, {scene.setting.name}: {_fields(left.data, seen.secrets)} of {made!r}"
                )

    def _leaves(self, bits: Bytes) -> None:
        """A message of the inside's, under strict."""
        border = self._strict[bits.number(len(self._strict))]
        made = message(bits, _CLEAR)
        if not _START.match(made):
            return
        border.now += 0.01
        went = border.leave(made, A)
        if isinstance(went, Refused):
            return
        judged = _without_vias(went)
        if self._secrets.shown(judged):
            where = _fields(judged, self._secrets)
            raise Found(f"left, {border.setting.name}: {where} of {made!r}")

    def _returns(self, bits: Bytes) -> None:
        """A message in either direction, seen outside, then inside."""
        leaves = bool(bits.number(2))
        made = message(bits, _CLEAR)
        went = self._outside(made, leaves)
        if went is None:
            return
        outside, kept = went
        came = self._inside(outside, leaves)
        back = came[0] if came else None
        where = _difference(kept, back) if back != kept else ""
        if where:
            way = "leaving" if leaves else "entering"
            raise Found(f"does not come back, {way}: {where} of {made!r}")


def _fields(data: bytes, secrets: Secrets) -> str:
    """The chief place in which something shows: a header field, the start line, the body or a line that is
    neither."""
    head, _, body = data.partition(b"\r\n\r\n")
    start, *lines = re.split(rb"\r?\n(?![ \t])", head)
    shown = [_name(line) for line in lines if secrets.shown(line)]
    if secrets.shown(start):
        shown.insert(0, "start line")
    return min(shown, default="body", key=_rank) if shown or secrets.shown(body) else "across lines"


def _rank(name: str) -> tuple[bool, str]:
    return name == "another line", name


def _name(line: bytes) -> str:
    """A line's header field; no other text, so that findings of one kind have one name."""
    name = long(line.partition(b":")[0].decode("latin-1").strip())
    return name if name in KNOWN else "another line"


def _difference(made: bytes, back: bytes | None) -> str:
    if back is None:
        return "refused"
    pairs = zip(_lines(made), _lines(back), strict=False)
    for number, (one, other) in enumerate(pairs):
        stands_bracketed = _name(one) in _ROUTES or b"?" in one  # as section 20.10 wants it, too
        if one != other and not (stands_bracketed and _unbracketed(one) == _unbracketed(other)):
            return _name(one) if number else "start line"
    return "lengths" if len(_lines(made)) != len(_lines(back)) else ""


def _unbracketed(line: bytes) -> bytes:
    return line.replace(b"<", b"").replace(b">", b"")


def _lines(data: bytes) -> list[bytes]:
    return re.split(rb"\r?\n(?![ \t])", data)


def _without_vias(data: bytes) -> bytes:
    """A message without what its senders may say of themselves: all Vias of a response, the first of a
    request."""
    if re.match(rb"(?i)SIP/", data):
        return _STANDS_FOR_ITSELF.sub(b"", data)
    first = _STANDS_FOR_ITSELF.search(data)
    if not first:
        return data
    own = re.match(rb'[^,"]*(?:"[^"]*"[^,"]*)*', first[0])
    assert own
    return data[: first.start()] + data[first.start() + own.end() :]


def _legs(folder: Path) -> tuple[Leg, Leg]:
    """Both legs of a replay, with all that comes back hidden and nothing that does not."""
    keys = {
        "profile": "topoh", "inside": ["10.0.0.0/8", "fd00::/8", PROXY], "own": [PROXY, "example.com"],
        "protected": ["corp.example"], "topoh.mask_key_file": str(key_ring(folder)), **_REVERSIBLE,
    }  # fmt: skip
    config = load(None, env={}, overrides=keys)
    return _leg(config, assemble.Leg.OUTSIDE), _leg(config, assemble.Leg.INSIDE)


def _leg(config: Any, leg: assemble.Leg) -> Leg:
    gateway = assemble.gateway(config, leg)

    def through(data: bytes, leaves: bool) -> tuple[bytes, bytes] | None:
        ends = ((PROXY, 5060), A) if leaves else (A, (PROXY, 5060))
        try:
            verdict: Any = gateway.handle(datagram(data, *ends), 0.0)
        except Exception as error:
            raise Defect(f"{leg.value}: {error!r} of {data!r}") from error
        if verdict.outcome.endswith("error"):
            raise Defect(f"{leg.value}: {verdict.outcome} of {data!r}")
        if verdict.action.value == "drop":
            return None
        lost = [
            edit
            for edit in verdict.edits
            if edit.action in ("swapped", "stripped") and edit.field in _SWAPPED_BESIDE
        ]
        return verdict.packet[28:], splice(data, lost)

    return through


def run(fuzzer: Fuzzer, seconds: float, guide: Any = None) -> None:
    """Fuzz for a time, and say what was found. `guide`: the module atheris, which gives bytes by what
    they reach (and ends the process); without it they are random."""
    ends = time.monotonic() + seconds
    if guide is None:
        source = random.Random(0)
        while time.monotonic() < ends:
            fuzzer.try_one(source.randbytes(source.randrange(8, 300)))
        return

    said = time.monotonic()

    def one(data: bytes) -> None:
        nonlocal said
        fuzzer.try_one(data)
        now = time.monotonic()
        if now > said + _REPORTED:
            said = now
            print(fuzzer.report(), flush=True)
        if now > ends:
            print(fuzzer.report(), flush=True)
            os._exit(1 if fuzzer.found else 0)  # libFuzzer does not come back

    guide.Setup([sys.argv[0], "-max_len=600", "-len_control=0", "-verbosity=0"], one)
    guide.Fuzz()


def main(guide: Any = None) -> int:
    """`guide`: the module atheris, or None."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that find something")
    parser.add_argument("--try", dest="inputs", nargs="*", type=Path, help="try these inputs alone")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder), arguments.keep)
        if arguments.inputs is None:
            run(fuzzer, arguments.seconds, guide)
        for path in arguments.inputs or []:
            fuzzer.try_one(path.read_bytes())
    print(fuzzer.report())
    return 1 if fuzzer.found else 0
