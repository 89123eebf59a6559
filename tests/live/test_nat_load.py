"""A private phone system behind a router that translates: it registers, calls and is called, much."""

import re
import signal
from pathlib import Path

import pytest

from inline_topo.masking.codecs.keyring import KeyRing
from lab import calls
from lab.live import Lab
from lab.net import Net
from lab.sipp import SDP, Party
from tests.live.running import Running
from tests.live.traffic import COUNT, Calls, answering, datagrams, dump, packed, refused, showing

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

CARRIER = "198.51.100.60"
CONFIG = f"""\
shape = "nat"
inside = ["{calls.PROXY}"]
public = "{calls.EDGE}"
[topoh]
mask_key_file = "mask.key"
"""
CONTACTS = re.compile(rb"^Contact: (.*)\r$", re.MULTILINE)


class NatLab:
    """The phone system, its router with the gateway, a carrier with a Kamailio, and bob."""

    def __init__(self, net: Net) -> None:
        net.host("carrier", CARRIER)
        net.host("bob", calls.FAR)
        net.home("pbx", calls.PROXY, "192.168.178.1", calls.EDGE)
        self.lab = Lab(net, topoh=False)
        defines = {"NAT": "", "BOB": f'"sip:bob@{calls.FAR}:5060"'}
        self.lab.proxy("carrier", f"{CARRIER}:5060", defines=defines)
        self.gateway = Running(net, CONFIG, host="pbx-nat")

    def register(self) -> None:
        phone = Party("alice", calls="alice", uri="sip:server.com")
        phone.send("REGISTER", "Expires: 600")
        phone.answered(200)
        self.lab.party("pbx", calls.PROXY, phone, via=CARRIER)
        self.lab.done()


def test_a_refresh_is_the_same_binding_whatever_the_key(tmp_path: Path) -> None:
    ring = tmp_path / "mask.key"
    with Net(tmp_path) as net:
        lab = NatLab(net)
        with dump(net, "pbx-nat", "home"), dump(net, "pbx-nat", "eth0"):
            lab.register()
            lab.register()
            KeyRing.load(ring).rotate().save(ring)
            before = lab.gateway.worker()
            lab.gateway.process.send_signal(signal.SIGHUP)
            lab.gateway.await_status(
                lambda state: state["queues"][0]["pid"] not in (before, None, 0)
            )
            lab.register()
    for link, shown in (("home", calls.PROXY), ("eth0", calls.EDGE)):
        answers = [
            CONTACTS.findall(payload)
            for source, _, payload in datagrams(tmp_path / f"{link}.pcap")
            if source == packed(CARRIER)
        ]
        assert len(answers) >= 3
        assert {len(contacts) for contacts in answers} == {1}
        assert [contacts for [contacts] in answers if shown.encode() not in contacts] == []


def test_it_calls_and_is_called_at_once(tmp_path: Path) -> None:
    bob = Party("bob", calls="alice")
    bob.send("INVITE", body=SDP)
    bob.answered(100, 180, 200)
    bob.send("ACK")
    bob.pause(200)
    bob.send("BYE")
    bob.answered(200)
    with Net(tmp_path) as net:
        lab = NatLab(net)
        lab.register()
        out = Calls(lab.lab, ("pbx", calls.PROXY), ("bob", calls.FAR), CARRIER)
        back = Calls(lab.lab, ("bob", calls.FAR), ("pbx", calls.PROXY), CARRIER)
        with dump(net, "link", "br0"):
            out.start()
            back.start(caller=bob, callee=answering("alice"), count=COUNT // 2)
            lab.lab.done()
        state = lab.gateway.status()
    assert state["queues"][0]["lost"] == 0
    assert refused(state) == []
    for target in (CARRIER, calls.FAR):
        assert showing(tmp_path / "br0.pcap", target, calls.PROXY, of=COUNT) == []
