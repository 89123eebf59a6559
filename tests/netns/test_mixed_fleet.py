"""One call through both: a gateway of ours and a real Kamailio with topoh that share a key.

The call begins behind one of them and goes on behind the other, in the middle of the ringing: the
200 brings back a Via that the other sealed, and bob's BYE a Contact that the other sealed.
"""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.calls import ALICE, BOB, PROXY
from lab.live import Lab
from lab.net import Net, stop
from lab.sipp import SDP, Party

FORWARDER = Path(__file__).with_name("forwarder.py")
SETTINGS = {
    "inside": [PROXY],
    "own": [PROXY, "server.com"],
    "topoh.codec": "kamailio",
    "topoh.mask_key": "my secret here",
    "topoh.mask_ip": "10.1.1.10",
}
USERS = {"BOB": f'"sip:bob@{BOB}:5060"'}
LISTEN = f"{PROXY}:5060"

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "ss", "kamailio", "sipp")]


class Fleet:
    """The server's Kamailio, plain behind our gateway or with topoh behind a plain wire."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.plain, self.topoh = Lab(net, topoh=False), Lab(net, topoh=True)
        self._kamailio: subprocess.Popen[bytes] | None = None
        self.wire = self._insert_wire()

    def _insert_wire(self) -> subprocess.Popen[bytes]:
        """Puts the forwarder between the server's link and the bridge."""
        self.net.run("link", "ip", "link", "set", "to-srv", "nomaster")
        pair = ("wire0", "type", "veth", "peer", "name", "wire1")
        self.net.run("link", "ip", "link", "add", *pair)
        self.net.run("link", "ip", "link", "set", "wire0", "master", "br0", "up")
        self.net.run("link", "ip", "link", "set", "wire1", "up")
        words = (sys.executable, "-u", str(FORWARDER), "to-srv", "wire1", json.dumps(SETTINGS))
        forwarder = self.net.start("link", "wire.log", *words)
        self.net.await_text("wire.log", "ready")
        return forwarder

    def use(self, with_topoh: bool) -> None:
        """Ends the Kamailio that runs, and starts the other."""
        if self._kamailio:
            stop(self._kamailio)
        self.wire.send_signal(signal.SIGUSR1 if with_topoh else signal.SIGUSR2)
        self.net.await_text("wire.log", "wire\n" if with_topoh else "gateway\n")
        lab = self.topoh if with_topoh else self.plain
        self._kamailio = lab.proxy("srv", LISTEN, defines=USERS)


@pytest.mark.parametrize(
    "topoh_first",
    [
        pytest.param(False, id="ours-then-topoh"),
        pytest.param(True, id="topoh-then-ours", marks=pytest.mark.full),
    ],
)
def test_one_call_through_both(tmp_path: Path, topoh_first: bool) -> None:
    bob = Party("bob")
    bob.asked("INVITE")
    bob.reply("180 Ringing")
    bob.pause(4000)
    bob.reply("200 OK", body=SDP)
    bob.asked("ACK")
    bob.pause(200)
    bob.send("BYE")
    bob.answered(200)
    alice = Party("alice", calls="bob")
    alice.send("INVITE", body=SDP)
    alice.answered(100, 180, 200)
    alice.send("ACK")
    alice.asked("BYE")
    alice.reply("200 OK", tag=False)
    with Net(tmp_path) as net:
        net.host("srv", PROXY)
        net.host("alice", ALICE)
        net.host("bob", BOB)
        fleet = Fleet(net)
        fleet.use(with_topoh=topoh_first)
        fleet.plain.party("bob", BOB, bob)
        fleet.plain.party("alice", ALICE, alice, via=PROXY)
        net.await_text("wire.log", "out SIP/2.0 180")
        fleet.use(with_topoh=not topoh_first)
        fleet.plain.done()
        said = (tmp_path / "wire.log").read_text()
    assert "dropped" not in said

    sent = re.findall(r"^out (.*?)\n\.$", said, re.MULTILINE | re.DOTALL)
    received = re.findall(r"^in (.*?)\n\.$", said, re.MULTILINE | re.DOTALL)
    [invite] = [text for text in sent if text.startswith(f"INVITE sip:bob@{BOB}")]
    assert "branch=z9hG4bKsr-" in invite
    assert "Contact: <sip:10.1.1.10;line=sr-" in invite
    assert ALICE not in invite
    # The 200 came back with the Via that the first one sealed; the second one opened it.
    [answer] = [text for text in sent if text.startswith("SIP/2.0 200") and " INVITE" in text]
    assert f"Via: SIP/2.0/UDP {ALICE}:5060" in answer
    assert "z9hG4bKsr-" not in answer
    # bob's BYE names alice by the Contact that the first one sealed; alice gets her own.
    assert [text for text in sent if text.startswith(f"BYE sip:alice@{ALICE}:5060 ")]
    if not topoh_first:  # behind the plain wire what came in is seen as bob sent it
        assert [text for text in received if text.startswith("BYE sip:10.1.1.10;line=sr-")]
