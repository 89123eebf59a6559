"""Many calls at a steady rate, and what a capture shows of them."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scapy.utils import RawPcapReader

from lab import calls
from lab.live import CALL_TIME, Lab
from lab.net import Net, stop
from lab.sipp import SDP, Party
from lab.site import Site
from tests.live.running import Running

RATE, COUNT = 100, 1000

ALICE = "192.168.178.27"
"""The caller in shape router, on the proxy's own machine."""

ROUTER = f"""\
inside = ["192.168.178.0/24"]
own = ["{Site.INSIDE}", "server.com"]
[topoh]
mask_key_file = "mask.key"
"""


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

    def start(
        self,
        pause: int = 200,
        *,
        caller: Party | None = None,
        callee: Party | None = None,
        count: int = COUNT,
        call_id: str = "%u-%p",
    ) -> None:
        """`pause`: milliseconds from ACK to BYE, where `caller` does not say what she does."""
        alice, bob = self._places
        more = ("-m", str(count), "-l", "1000")
        # sipp's callee would give up on a request sent again after its two answers (and, from dry
        # run to live, on one that is masked only the second time); it must still end every call.
        patient = ("-default_behaviors", "all,-abortunexp")
        self._lab.party(*bob, callee or calls.answering_bob(), more=(*more, *patient))
        self._caller = self._lab.party(
            *alice,
            caller or calls.calling_alice(talk=pause),
            via=self._proxy,
            port=5062,
            call_id=call_id,
            more=(*more, "-r", str(RATE)),
        )

    def done(self) -> None:
        """Wait for all; LabError if one failed."""
        self._lab.done()

    def few_failed(self) -> None:
        """Wait for all; at most one in a hundred failed.

        A message that is said again after a restart is another one to sipp, unless it is the same to
        the byte and comes where it waits for it: it gives up calls that a phone would go on with.
        """
        self._caller.program.wait(CALL_TIME + 5)
        said = (self._lab.net.folder / f"{self._caller.log}.out").read_text(errors="replace")
        succeeded = re.findall(r"Successful call +\| +\d+ +\| +(\d+)", said)[-1]
        assert int(succeeded) >= COUNT * 99 / 100


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


def refused(state: dict[str, Any]) -> list[str]:
    """Outcomes that kept a message from going on, of what `Running.status` says."""
    counted = state["outcomes"].values()
    return [name for names in counted for name in names if name.startswith(("refused", "error"))]


def datagrams(file: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Source, destination and payload of unfragmented UDP packets of a capture."""
    with RawPcapReader(str(file)) as reader:
        for frame, _ in reader:
            packet = bytes(frame)[14:]
            if packet[0] >> 4 == 4 and packet[9] == 17:
                yield packet[12:16], packet[16:20], packet[28:]


def answered(file: Path, until: float) -> set[bytes]:
    """The Call-IDs of calls whose ACK of a 200 was there before this time (of the clock)."""
    acknowledged, failed = set(), set()
    with RawPcapReader(str(file)) as reader:
        for frame, meta in reader:
            if meta.sec + meta.usec / 1e6 > until:
                break
            text = bytes(frame)[42:]
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


def _call_id(text: bytes) -> bytes:
    return text.split(b"Call-ID: ", 1)[1].split(b"\r\n", 1)[0]


def packed(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def showing(file: Path, target: str, hidden: str) -> list[bytes]:
    """Headers of messages to `target` in which `hidden` shows."""
    found = []
    for _, destination, payload in datagrams(file):
        header = payload.partition(b"\r\n\r\n")[0]
        if destination == packed(target) and hidden.encode() in header:
            found.append(header)
    return found


def invites(file: Path) -> list[bytes]:
    """The payloads of all INVITEs."""
    return [payload for _, _, payload in datagrams(file) if payload.startswith(b"INVITE ")]


@contextmanager
def dump(net: Net, host: str, interface: str) -> Iterator[None]:
    """Captures to `folder/INTERFACE.pcap`; the file is whole when the block ends."""
    program = net.start(host, f"{interface}.log", "tcpdump", "-Z", "root", "--immediate-mode", "-s", "0",
              "-B", "65536", "-i", interface, "-w", f"{interface}.pcap", "udp")  # fmt: skip
    net.await_text(f"{interface}.log", "listening on")
    yield
    time.sleep(0.5)
    stop(program)


def payloads(file: Path, source: str) -> Counter[bytes]:
    return Counter(payload for ip, _, payload in datagrams(file) if ip == packed(source))
