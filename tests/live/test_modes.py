"""Dry run, live, drain, gone: installed and uninstalled under the same dialog."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from scapy.utils import rdpcap

from lab.ours import INLINE_TOPO
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


def diff(before: Path, after: Path) -> dict[str, Any]:
    done = subprocess.run(
        [*INLINE_TOPO, "diff", before, after, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_dry_run_shows_what_would_change_and_what_would_be_lost(site: Site) -> None:
    folder = site.folder / "compared"
    folder.mkdir()
    running = Running(site, CONFIG, "--dry-run", "--diff-folder", str(folder))
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    broken = invite(2).replace(b"Contact: <", b"Contact: <<<:")
    for message in (invite(), b"\r\n\r\n", broken):
        inside.sendto(message, (Site.OUTSIDE, 5060))
        assert outside.recv(65535) == message
    outside.sendto(ok_to(invite()), (Site.INSIDE, 5060))
    assert inside.recv(65535) == ok_to(invite())
    assert running.end() == 0
    names = ["after-0.pcapng", "before-0.pcapng"]
    assert sorted(file.name for file in folder.iterdir()) == names
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    report = diff(folder / "before-0.pcapng", folder / "after-0.pcapng")
    assert [(message["status"], message["call_id"]) for message in report["messages"]] == [
        ("changed", "call-1"),
        ("only_before", "call-2"),
        ("unchanged", "call-1"),
    ]
    assert {change["field"] for change in report["messages"][0]["changes"]} == {"Via", "Contact"}
    after = b"".join(bytes(packet) for packet in rdpcap(str(folder / "after-0.pcapng")))
    assert HIDDEN.encode() not in after.partition(b"SIP/2.0 200 OK")[0]


@pytest.mark.parametrize(
    ("settings", "audited"), [("", 2), ("audit = 0\n", 0)], ids=["by default", "told not to"]
)
def test_a_dry_run_audits_what_would_leave(site: Site, settings: str, audited: int) -> None:
    running = Running(site, settings + CONFIG, "--dry-run")
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    shows = invite(2).replace(
        b"\r\nMax-", f"\r\nX-Where: {HIDDEN}\r\nDate: {HIDDEN}\r\nMax-".encode()
    )
    for message in (invite(1), shows):
        inside.sendto(message, (Site.OUTSIDE, 5060))
        assert outside.recv(65535) == message
    state = running.status()
    assert state["audited"] == audited
    found = {field: count for fields in state["shown"].values() for field, count in fields.items()}
    assert found == ({"other": 1} if audited else {})
    assert HIDDEN not in running.log()


def test_the_folder_goes_with_a_dry_run_alone(site: Site) -> None:
    running = subprocess.run(
        [*INLINE_TOPO, "run", "-c", "gw.toml", "--diff-folder", str(site.folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert running.returncode == 2
    assert "--diff-folder goes with --dry-run" in running.stderr


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
