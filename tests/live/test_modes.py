"""Dry run, live, drain, gone: installed and uninstalled under the same dialog."""

import signal

import pytest

from lab.site import Site
from tests.live.messages import HIDDEN, invite, ok_to
from tests.live.running import CONFIG, Running

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
