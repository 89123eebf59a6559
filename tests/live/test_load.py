"""A thousand calls at a hundred a second, while nothing happens and while much does."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader

from inline_topo.masking.codecs.keyring import KeyRing
from lab import calls
from lab.live import CALL_TIME, Lab
from lab.net import Net, stop
from lab.site import Site
from tests.live.running import INLINE_TOPO, Running

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

RATE, COUNT = 100, 1000
LONG = 6000
"""A call's milliseconds that outlast a restart: sipp's callee fails on a BYE before the ACK, and a lost
ACK is said again only after the answer is."""

ALICE = "192.168.178.27"
"""The caller in shape router, on the proxy's own machine."""

HOST = f"""\
shape = "host"
inside = ["{calls.PROXY}"]
own = ["{calls.PROXY}", "server.com"]
[topoh]
mask_key_file = "mask.key"
"""
ROUTER = f"""\
inside = ["192.168.178.0/24"]
own = ["{Site.INSIDE}", "server.com"]
[topoh]
mask_key_file = "mask.key"
"""


class Calls:
    """Calls from alice through a plain Kamailio to bob, RATE a second."""

    def __init__(self, lab: Lab, alice: tuple[str, str], bob: tuple[str, str], proxy: str) -> None:
        self._lab = lab
        self._places = alice, bob
        self._proxy = proxy

    def start(self, pause: int = 200) -> None:
        """`pause`: milliseconds from ACK to BYE."""
        alice, bob = self._places
        more = ("-m", str(COUNT), "-l", "1000")
        # sipp's callee would give up on a request sent again after its two answers (and, from dry
        # run to live, on one that is masked only the second time); it must still end every call.
        patient = ("-default_behaviors", "all,-abortunexp")
        self._lab.party(*bob, calls.answering_bob(), more=(*more, *patient))
        self._caller = self._lab.party(
            *alice,
            calls.calling_alice(talk=pause),
            via=self._proxy,
            port=5062,
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


def datagrams(file: Path) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Source, destination and payload of unfragmented UDP packets of a capture."""
    with RawPcapReader(str(file)) as reader:
        for frame, _ in reader:
            packet = bytes(frame)[14:]
            if packet[0] >> 4 == 4 and packet[9] == 17:
                yield packet[12:16], packet[16:20], packet[28:]


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


def test_on_the_proxys_own_host(tmp_path: Path) -> None:
    with Net(tmp_path) as net:
        lab = Lab(net, topoh=False)
        for host, address in (("srv", calls.PROXY), ("alice", calls.ALICE), ("bob", calls.BOB)):
            net.host(host, address)
        lab.proxy("srv", f"{calls.PROXY}:5060", defines={"BOB": f'"sip:bob@{calls.BOB}:5060"'})
        running = Running(net, HOST, host="srv")
        many = Calls(lab, ("alice", calls.ALICE), ("bob", calls.BOB), calls.PROXY)
        with dump(net, "srv", "eth0"):
            many.start()
            many.done()
        state = running.status()
    assert state["queues"][0]["lost"] == 0
    assert state["outcomes"]["egress"].keys() <= {"masked", "unchanged"}
    assert showing(tmp_path / "eth0.pcap", calls.BOB, calls.ALICE) == []
    assert showing(tmp_path / "eth0.pcap", calls.ALICE, calls.BOB) == []


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


def test_on_a_router_and_as_replay_does(site: Site) -> None:
    lab = RouterLab(site)
    with dump(site, "gw", "in0"), dump(site, "gw", "out0"):
        lab.calls.start()
        lab.calls.done()
    folder = site.folder
    assert showing(folder / "out0.pcap", Site.OUTSIDE, ALICE) == []
    for entered, left, source in (("in0", "out0", Site.INSIDE), ("out0", "in0", Site.OUTSIDE)):
        words = ("replay", "-r", f"{entered}.pcap", "-w", "replayed.pcap", "-c", "gw.toml")
        site.run("gw", "env", "-C", str(folder), *INLINE_TOPO, *words)
        replayed = payloads(folder / "replayed.pcap", source)
        assert sum(replayed.values()) >= 3 * COUNT
        assert replayed == payloads(folder / f"{left}.pcap", source)


def payloads(file: Path, source: str) -> Counter[bytes]:
    return Counter(payload for ip, _, payload in datagrams(file) if ip == packed(source))


@pytest.mark.full
def test_calls_outlive_dying_workers_and_rotating_keys(site: Site) -> None:
    lab = RouterLab(site)
    ring = site.folder / "mask.key"
    with dump(site, "gw", "out0"):
        lab.calls.start()
        for _ in range(3):
            time.sleep(1.2)
            os.kill(lab.gateway.worker(), signal.SIGKILL)
            time.sleep(1.2)
            KeyRing.load(ring).rotate().save(ring)
            lab.gateway.process.send_signal(signal.SIGHUP)
        lab.calls.few_failed()
    state = lab.gateway.status()
    assert state["queues"][0]["deaths"] == 3
    assert state["queues"][0]["lost"] == 0
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE) == []


@pytest.mark.full
def test_calls_outlive_a_gateway_that_is_killed_and_started_again(site: Site) -> None:
    lab = RouterLab(site)
    with dump(site, "gw", "out0"):
        lab.calls.start(pause=LONG)
        time.sleep(2)
        lab.gateway.process.kill()
        lab.gateway.process.wait()
        time.sleep(1)  # its workers notice
        (site.folder / "gateway.log").write_text("")
        lab.gateway.start()
        lab.calls.few_failed()
    assert len(set(invites(site.folder / "out0.pcap"))) <= COUNT  # sent again, it is the same
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE) == []


@pytest.mark.full
def test_calls_outlive_dry_run_to_live_to_drain_to_gone(site: Site) -> None:
    lab = RouterLab(site, "--dry-run")
    lab.calls.start(pause=LONG)
    for options in ((), ("--drain",)):
        time.sleep(2)
        assert lab.gateway.end() == 0
        (site.folder / "gateway.log").write_text("")
        lab.gateway.start(*options)
    time.sleep(3)
    state = lab.gateway.await_status(lambda state: (state["seconds_since_opened"] or 2) > 1.5)
    assert "masked" not in state["edits"]
    lab.gateway.rules("remove")
    assert lab.gateway.end() == 0
    lab.calls.few_failed()


@pytest.mark.full
def test_junk_and_broken_sip_at_a_thousand_a_second_cost_no_call(site: Site) -> None:
    lab = RouterLab(site)
    lab.calls.start()
    inside = site.udp("inside", ALICE, 5070)
    outside = site.udp("outside", Site.OUTSIDE, 5070)
    junk = [
        b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP\r\nContact: <<<\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: ;;;\r\nRecord-Route: \x00\r\n\r\n",
        os.urandom(900),
        bytes.fromhex("000100002112a442b7e7a701bc34d686fa87dfae"),
        b"\r\n",
    ]
    begin = time.monotonic()
    for number in range(8000):
        message = junk[number // 2 % len(junk)]
        if number % 2:
            inside.sendto(message, (Site.OUTSIDE, 5060))
        else:
            outside.sendto(message, (Site.INSIDE, 5060))
        time.sleep(max(0.0, number / 1000 - (time.monotonic() - begin)))
    lab.calls.done()
    state = lab.gateway.status()
    assert state["queues"][0]["deaths"] == 0
    assert state["queues"][0]["lost"] == 0
    assert state["packets"] > 8000
    assert "error" not in lab.gateway.outcomes()
