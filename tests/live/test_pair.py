"""Two gateways that know of each other nothing but the key."""

import pytest

from lab.sipp import SDP, Party
from lab.site import Site
from tests.live.running import Running
from tests.live.traffic import ALICE, COUNT, ROUTER, RouterLab, dump, refused, showing

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]


def held_by_bob(pause: int = 100) -> tuple[Party, Party]:
    """alice calls, bob holds and hangs up: every method of his is a request into the dialog. He
    waits so many milliseconds before each."""
    bob = Party("bob")
    bob.asked("INVITE")
    bob.reply("180 Ringing")
    bob.reply("200 OK", body=SDP)
    bob.asked("ACK")
    bob.pause(pause)
    bob.send("INVITE", body=SDP)
    bob.answered(100, 200)
    bob.send("ACK")
    bob.pause(pause)
    bob.send("BYE")
    bob.answered(200)
    alice = Party("alice", calls="bob")
    alice.send("INVITE", body=SDP)
    alice.answered(100, 180, 200)
    alice.send("ACK")
    alice.asked("INVITE")
    alice.reply("200 OK", body=SDP, tag=False)
    alice.asked("ACK")
    alice.asked("BYE")
    alice.reply("200 OK", tag=False)
    return alice, bob


def test_calls_leave_through_one_and_come_back_through_the_other(site: Site) -> None:
    site.second_router()
    lab = RouterLab(site)
    other = Running(site, ROUTER, host="gw2", name="gateway2")
    alice, bob = held_by_bob()
    with dump(site, "gw", "out0"):
        lab.calls.start(caller=alice, callee=bob)
        lab.calls.done()
    masked, opened = lab.gateway.status(), other.status()
    assert (list(masked["outcomes"]), list(opened["outcomes"])) == (["egress"], ["ingress"])
    assert refused(masked) == refused(opened) == []
    assert opened["edits"]["opened"]["Via"] >= COUNT
    assert opened["edits"]["opened"]["Request-URI"] >= 2 * COUNT
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE, of=COUNT) == []
