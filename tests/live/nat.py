"""A private phone system behind a router that translates and has the gateway, and its carrier."""

from pathlib import Path

from scapy.utils import RawPcapReader

from lab import calls
from lab.live import Lab
from lab.net import Net
from lab.ours import INLINE_TOPO
from lab.sipp import Party, session
from tests.live.running import Running
from tests.live.traffic import datagrams, packed, payloads

CARRIER = "198.51.100.60"
CONFIG = f"""\
shape = "nat"
inside = ["{calls.PROXY}"]
public = "{calls.EDGE}"
[topoh]
mask_key_file = "mask.key"
"""

SDP = session("IP4 [media_ip]", f"IP4 {calls.EDGE}", 0, 8, 101) + "a=sendrecv\n"
"""What a phone system says that knows its public address (externip, STUN): the media goes there, and
all else is private."""


class NatLab:
    """The phone system, its router with the gateway, a carrier with a Kamailio, and bob."""

    def __init__(self, net: Net, config: str = CONFIG) -> None:
        net.host("carrier", CARRIER)
        net.host("bob", calls.FAR)
        net.home("pbx", calls.PROXY, "192.168.178.1", calls.EDGE)
        self.lab = Lab(net, topoh=False)
        defines = {"NAT": "", "BOB": f'"sip:bob@{calls.FAR}:5060"'}
        self.lab.proxy("carrier", f"{CARRIER}:5060", defines=defines)
        self.gateway = Running(net, config, host="pbx-nat")

    def register(self, expires: int = 600) -> None:
        """The phone system registers, or (0) takes that back."""
        phone = Party("alice", calls="alice", uri="sip:server.com")
        phone.send("REGISTER", f"Expires: {expires}")
        phone.answered(200)
        self.lab.party("pbx", calls.PROXY, phone, via=CARRIER)
        self.lab.done()


def bob_calling(body: str) -> Party:
    """bob calls alice and hangs up, with this SDP."""
    bob = Party("bob", calls="alice")
    bob.send("INVITE", body=body)
    bob.answered(100, 180, 200)
    bob.send("ACK")
    bob.pause(200)
    bob.send("BYE")
    bob.answered(200)
    return bob


def naming(file: Path, hidden: str) -> list[bytes]:
    """The IP packets of a capture, whole, in which an address stands as text or in four bytes."""
    spellings = hidden.encode(), packed(hidden)
    with RawPcapReader(str(file)) as reader:
        packets = [bytes(frame)[14:] for frame, _ in reader]
    return [packet for packet in packets if any(one in packet for one in spellings)]


def called(file: Path, source: str, target: str) -> int:
    """How many calls the INVITEs from one address to another are."""
    ends = packed(source), packed(target)
    return len(
        {
            payload.partition(b"\r\nCall-ID: ")[2].partition(b"\r\n")[0]
            for *between, payload in datagrams(file)
            if tuple(between) == ends and payload.startswith(b"INVITE ")
        }
    )


def check_as_replayed(net: Net) -> None:
    """What left on either side of the router is what a replay makes of what entered on the other.

    The kernel translates the addresses, so payloads are compared: of packets from the phone system,
    and from its carrier.
    """
    for entered, left, source, seen_as in (
        ("home", "eth0", calls.PROXY, calls.EDGE),
        ("eth0", "home", CARRIER, CARRIER),
    ):
        words = ("replay", "-r", f"{entered}.pcap", "-w", "replayed.pcap", "-c", "gw.toml")
        net.run("pbx-nat", "env", "-C", str(net.folder), *INLINE_TOPO, *words)
        replayed = payloads(net.folder / "replayed.pcap", source)
        assert replayed
        assert replayed == payloads(net.folder / f"{left}.pcap", seen_as)
