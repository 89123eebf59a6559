"""Dry run, live, drain, gone: installed and uninstalled under the same dialog."""

import signal

import pytest

from lab.site import Site
from tests.live.messages import HIDDEN, invite, ok_to
from tests.live.running import CONFIG, Running
from tests.live.stores import in_topos

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]


def test_a_dry_run_counts_and_sends_the_original(site: Site) -> None:
    running = Running(site, CONFIG, "--dry-run")
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    broken = invite().replace(b"Contact: <", b"Contact: <<<:")
    for message in (invite(), broken):
        inside.sendto(message, (Site.OUTSIDE, 5060))
        assert outside.recv(65535) == message
    state = running.status()
    assert state["mode"] == "dry_run"
    assert state["outcomes"]["egress"]["masked"] == 1
    assert sum(state["outcomes"]["egress"].values()) == 2
    assert state["edits"]["masked"] == {"Via": 1, "Contact": 1}
    assert state["bytes_added"] > 0


def test_from_live_to_drain_to_gone(site: Site) -> None:
    running = Running(site, CONFIG)
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    masked = outside.recv(65535)
    assert HIDDEN.encode() not in masked
    assert running.end() == 0

    (site.folder / "gateway.log").write_text("")
    running.start("--drain")
    assert running.status()["seconds_since_opened"] is None
    outside.sendto(ok_to(masked), (Site.INSIDE, 5060))
    assert inside.recv(65535) == ok_to(invite())
    inside.sendto(invite(2), (Site.OUTSIDE, 5060))
    assert outside.recv(65535) == invite(2)
    state = running.status()
    assert state["mode"] == "drain"
    assert state["edits"] == {"opened": {"Via": 1}}
    assert state["seconds_since_opened"] < 5
    assert running.end() == 0

    running.rules("remove")
    inside.sendto(invite(3), (Site.OUTSIDE, 5060))
    assert outside.recv(65535) == invite(3)


def test_a_reload_says_that_a_drain_forgets(site: Site) -> None:
    running = Running(site, f"{CONFIG}mask_callid = true\n", "--drain")
    running.process.send_signal(signal.SIGHUP)
    site.await_text("gateway.log", "which dialogs began during the drain is forgotten")
    assert running.end() == 0


def hung_up(invited: bytes) -> bytes:
    """The BYE of the peer to the Contact in an INVITE."""
    uri = invited.split(b"Contact: <")[1].split(b">")[0].decode()
    lines = [f"BYE {uri} SIP/2.0", f"Via: SIP/2.0/UDP {Site.OUTSIDE};branch=z9hG4bKbye",
             "From: <sip:bob@example.com>;tag=b", "To: <sip:alice@example.com>;tag=a1",
             "Call-ID: call-1", "CSeq: 7 BYE", "Content-Length: 0", "", ""]  # fmt: skip
    return "\r\n".join(lines).encode()


def test_a_dry_run_of_mode_topos_counts_and_sends_the_original(site: Site) -> None:
    running = Running(site, in_topos(CONFIG), "--dry-run")
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    assert outside.recv(65535) == invite()
    for message in (ok_to(invite()), hung_up(invite())):
        outside.sendto(message, (Site.INSIDE, 5060))
        assert inside.recv(65535) == message
    state = running.status()
    assert state["mode"] == "dry_run"
    assert state["outcomes"]["egress"] == {"masked": 1}
    assert state["edits"] == {"masked": {"Contact": 1}, "removed": {"Via": 1}}
    assert state["bytes_added"] == 0  # it shrinks


def test_a_dry_run_of_mode_topos_does_not_need_its_store(site: Site) -> None:
    """It counts what would be refused."""
    running = Running(site, in_topos(CONFIG, "redis://127.0.0.1:1"), "--dry-run")
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    assert outside.recv(65535) == invite()
    running.await_status(lambda state: state["outcomes"].get("egress") == {"refused_store": 1})


def test_from_live_to_drain_to_gone_in_mode_topos(site: Site) -> None:
    running = Running(site, in_topos(CONFIG, f"sqlite:///{site.folder}/dialogs.db"))
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    left = outside.recv(65535)
    assert HIDDEN.encode() not in left
    assert running.end() == 0

    (site.folder / "gateway.log").write_text("")
    running.start("--drain")
    assert running.status()["seconds_since_opened"] is None
    outside.sendto(ok_to(left), (Site.INSIDE, 5060))
    assert inside.recv(65535) == ok_to(invite())
    assert running.status()["seconds_since_opened"] < 5
    outside.sendto(hung_up(left), (Site.INSIDE, 5060))
    assert inside.recv(65535) == hung_up(invite())
    inside.sendto(invite(2), (Site.OUTSIDE, 5060))
    assert outside.recv(65535) == invite(2)
    state = running.status()
    assert state["mode"] == "drain"
    assert state["edits"] == {"restored": {"Via": 1}, "opened": {"Request-URI": 1}}
    assert state["seconds_since_opened"] < 5
    assert running.end() == 0

    running.rules("remove")
    inside.sendto(invite(3), (Site.OUTSIDE, 5060))
    assert outside.recv(65535) == invite(3)
