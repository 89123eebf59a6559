"""Many calls at a steady rate, and what a capture shows of them."""

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scapy.utils import RawPcapReader

from lab import calls
from lab.dump import Dump
from lab.live import Lab
from lab.live import Running as Sipp
from lab.net import Net
from lab.ours import INLINE_TOPO
from lab.sipp import SDP, Party
from lab.site import Site
from tests.live.running import Running

RATE = 100
COUNT = int(os.environ.get("LIVE_CALLS", "300"))
"""Calls of a test under load; scripts/nightly makes more."""

ALICE = "192.168.178.27"
"""The caller in shape router, on the proxy's own machine."""

ROUTER = f"""\
inside = ["192.168.178.0/24"]
own = ["{Site.INSIDE}", "server.com"]
[topoh]
mask_key_file = "mask.key"
"""


TALK = 200, 8000
"""Milliseconds from ACK to BYE, by chance, of calls that a restart meets in every state."""

LINGER = 5000
"""Milliseconds for which who was hung up on answers a BYE that is sent again: more than the T2 of 4
seconds after which it is at the latest."""

_PATIENT = ("-rtcheck", "loose", "-deadcall_wait", "32000")
"""sipp takes two requests of one transaction for two where their bytes differ, as they do before and
after masking begins or ends. A server goes by the transaction (RFC 3261 17.2.3), and so does sipp where
it is told to; it is also told to know the calls that have ended. Not for a caller: told so, it takes the
200 to its INVITE, sent again, for that to its BYE."""


def answering(user: str, body: str = SDP) -> Party:
    """Who rings, answers, and is hung up on; the Contact is the phone's address and no more."""
    party = Party(user)
    party.asked("INVITE")
    party.reply("180 Ringing")
    party.reply("200 OK", body=body)
    party.asked("ACK")
    party.asked("BYE")
    party.reply("200 OK", tag=False)
    return party


class Calls:
    """Calls from alice through a plain Kamailio to bob, RATE a second."""

    def __init__(self, lab: Lab, alice: tuple[str, str], bob: tuple[str, str], proxy: str) -> None:
        self._lab = lab
        self._places = alice, bob
        self._proxy = proxy
        self._count = 0
        self._running: list[Sipp] = []

    def start(
        self,
        pause: int = 200,
        *,
        caller: Party | None = None,
        callee: Party | None = None,
        count: int = COUNT,
        call_id: str = "%u-%p",
        more: tuple[str, ...] = (),
    ) -> None:
        """`pause`: milliseconds from ACK to BYE, where `caller` does not say what she does; `more`:
        options of bob's sipp."""
        alice, bob = self._places
        many = ("-m", str(count), "-l", "3000")
        # sipp's callee would give up on a request sent again after its two answers; it must still
        # end every call.
        patient = ("-default_behaviors", "all,-abortunexp")
        answers = self._lab.party(
            *bob, callee or calls.answering_bob(), more=(*many, *patient, *more)
        )
        asks = self._lab.party(
            *alice,
            caller or calls.calling_alice(talk=pause),
            via=self._proxy,
            port=5062,
            call_id=call_id,
            more=(*many, "-r", str(RATE)),
        )
        self._count, self._running = count, [answers, asks]

    def start_for_restarts(
        self, *, caller: Party | None = None, callee: Party | None = None
    ) -> None:
        """Calls of which some are in every state at any time, of parties that take what is sent again
        as RFC 3261 17 wants it."""
        bob = callee
        if bob is None:
            bob = calls.answering_bob(is_patient=True)
            bob.linger(LINGER)
        low, high = TALK
        alice = caller or calls.calling_alice(talk=low, most=high)
        self.start(caller=alice, callee=bob, more=_PATIENT)

    def done(self) -> None:
        """Wait for all; LabError if one failed."""
        self._lab.done()

    def lost(self) -> int:
        """Wait for all that was started last: how many calls did not come to their end, by an answer
        to every request, for the one who called or for the one who was called."""
        self._lab.dismiss()
        return self._count - min(map(self._ended_well, self._running))

    def _ended_well(self, party: Sipp) -> int:
        said = (self._lab.net.folder / f"{party.log}.out").read_text(errors="replace")
        return int(re.findall(r"Successful call +\| +\d+ +\| +(\d+)", said)[-1])


class RouterLab:
    """Kamailio and alice inside, bob outside, a gateway that routes between them."""

    def __init__(self, site: Site, *options: str, config: str = ROUTER) -> None:
        self.site = site
        site.run("inside", "ip", "addr", "add", f"{ALICE}/24", "dev", "eth0")
        lab = Lab(site, topoh=False)
        lab.proxy("inside", f"{Site.INSIDE}:5060",
                  defines={"BOB": f'"sip:bob@{Site.OUTSIDE}:5060"'})  # fmt: skip
        self.gateway = Running(site, config, *options)
        self.calls = Calls(lab, ("inside", ALICE), ("outside", Site.OUTSIDE), Site.INSIDE)

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Captures both sides of the gateway, to `in0.pcap` and `out0.pcap`."""
        with dump(self.site, "gw", "in0"), dump(self.site, "gw", "out0"):
            yield


def refused(state: dict[str, Any]) -> list[str]:
    """Outcomes that kept a message from going on, of what `Running.status` says."""
    counted = state["outcomes"].values()
    return [name for names in counted for name in names if name.startswith(("refused", "error"))]


class Timed(NamedTuple):
    """A datagram, and when it was captured, by the clock."""

    time: float
    source: bytes
    destination: bytes
    payload: bytes


def timed(file: Path) -> Iterator[Timed]:
    """Unfragmented UDP packets of a capture."""
    with RawPcapReader(str(file)) as reader:
        for frame, meta in reader:
            packet = bytes(frame)[14:]
            if packet[0] >> 4 == 4 and packet[9] == 17:
                when = meta.sec + meta.usec / 1e6
                yield Timed(when, packet[12:16], packet[16:20], packet[28:])


def datagrams(file: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Source, destination and payload of unfragmented UDP packets of a capture."""
    for _, source, destination, payload in timed(file):
        yield source, destination, payload


def answered(file: Path, until: float) -> set[bytes]:
    """The Call-IDs of calls whose ACK of a 200 was there before this time (of the clock)."""
    acknowledged, failed = set(), set()
    for when, _, _, text in timed(file):
        if when > until:
            break
        if text.startswith(b"ACK "):
            acknowledged.add(_call_id(text))
        elif re.match(rb"SIP/2.0 [3-6]", text):
            failed.add(_call_id(text))
    return acknowledged - failed


def hung_up(file: Path) -> set[bytes]:
    """The Call-IDs of calls of which a BYE was answered with 200."""
    return {
        _call_id(text)
        for _, _, text in datagrams(file)
        if text.startswith(b"SIP/2.0 200") and re.search(rb"\r\nCSeq: \d+ BYE", text)
    }


_CALL_ID = re.compile(rb"^(?:Call-ID|i): *(.*?)\r?$", re.MULTILINE | re.IGNORECASE)


def _call_id(text: bytes) -> bytes:
    return text.split(b"Call-ID: ", 1)[1].split(b"\r\n", 1)[0]


def packed(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def showing(
    file: Path, target: str, hidden: str, *, of: int, since: float = 0.0, until: float = math.inf
) -> list[bytes]:
    """Headers of messages to `target`, captured between these times, in which `hidden` shows;
    AssertionError where they are not of so many calls as `of` says: of a capture that saw nothing,
    nothing can be said."""
    found, judged = [], set()
    for when, _, destination, payload in timed(file):
        if destination != packed(target) or not since <= when < until:
            continue
        header = payload.partition(b"\r\n\r\n")[0]
        judged.update(_CALL_ID.findall(header))
        if hidden.encode() in header:
            found.append(header)
    assert len(judged) >= of, f"{file.name}: messages to {target} of {len(judged)} calls, not {of}"
    return found


def invites(file: Path) -> list[bytes]:
    """The payloads of all INVITEs."""
    return [payload for _, _, payload in datagrams(file) if payload.startswith(b"INVITE ")]


@contextmanager
def dump(net: Net, host: str, interface: str) -> Iterator[None]:
    """Captures to `folder/INTERFACE.pcap`; the file is whole when the block ends."""
    started = Dump(net, host, f"{interface}.log", "-B", "65536", "-i", interface,
                   "-w", f"{interface}.pcap", "udp")  # fmt: skip
    yield
    started.end(2 if interface == "lo" else 1)
    said = (net.folder / f"{interface}.log").read_text()
    assert "\n0 packets dropped by kernel" in said, said


def payloads(file: Path, source: str) -> Counter[bytes]:
    return Counter(payload for ip, _, payload in datagrams(file) if ip == packed(source))


WAYS = (("in0", "out0", Site.INSIDE), ("out0", "in0", Site.OUTSIDE))
"""Of both ways through the gateway: the link where one enters, the link where one leaves, who comes."""


def replays_as_it_was(lab: RouterLab) -> None:
    """What entered on either side, replayed, is to the byte what left on the other."""
    folder = lab.site.folder
    for entered, left, source in WAYS:
        words = ("replay", "-r", f"{entered}.pcap", "-w", "replayed.pcap", "-c", "gw.toml")
        lab.site.run("gw", "env", "-C", str(folder), *INLINE_TOPO, *words)
        replayed = payloads(folder / "replayed.pcap", source)
        assert sum(replayed.values()) >= 3 * COUNT
        assert replayed == payloads(folder / f"{left}.pcap", source)
