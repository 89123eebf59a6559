"""The audit of what really leaves: counted for a share of the calls, or enforced."""

from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest

from inline_topo.edges.capture import open_capture
from inline_topo.edges.pcapng import comments
from lab.site import Site
from tests.live.messages import HIDDEN, invite
from tests.live.running import CONFIG, Running
from tests.live.stores import in_topos

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]

LEFT = invite(6).replace(b"Max-Forwards: 69", f"Date: {HIDDEN}".encode())
"""Shows something where the default profile hides nothing."""

LEAKY = invite(7).replace(b"Max-Forwards: 69", b"Reason: x;text=" + b64encode(HIDDEN.encode()))
"""Shows something where that profile hides hosts, in a way that no rule of the masker sees."""

WIDER = CONFIG.replace("inside = [", 'inside = ["10.0.0.0/24", ')


Mode = Callable[[str], str]
MODES: dict[str, Mode] = {"topoh": str, "topos": in_topos}


def modes(by_default: str) -> pytest.MarkDecorator:
    """Each mode, the other one with --full."""
    each = [
        pytest.param(mode, id=name, marks=[] if name == by_default else pytest.mark.full)
        for name, mode in MODES.items()
    ]
    return pytest.mark.parametrize("mode", each)


def words(log: str, event: str) -> Iterator[dict[str, str]]:
    """The fields of the log lines of one event."""
    for line in log.splitlines():
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if fields.get("event") == event:
            yield fields


@modes("topoh")
def test_every_message_is_counted_with_what_it_shows(site: Site, mode: Mode) -> None:
    running = Running(site, mode("audit = 1\n" + WIDER))
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    for message in (invite(1), LEFT, LEAKY):
        inside.sendto(message, (Site.OUTSIDE, 5060))
        outside.recv(65535)
    state = running.status()
    assert (state["audited"], state["shown"]) == (3, {"open": {"other": 1}, "leak": {"Reason": 1}})
    [told] = words(running.log(), "leak")
    assert (told["field"], told["kind"]) == ("Reason", "ipv4")


def test_a_share_of_the_calls_is_audited(site: Site) -> None:
    """In mode topos, where the messages of a call leave after a wait: still all of it, or none."""
    running = Running(
        site, in_topos("audit = 0.5\n" + WIDER, f"sqlite:///{site.folder}/dialogs.db")
    )
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    for number in range(40):
        for _ in range(2):
            inside.sendto(invite(number), (Site.OUTSIDE, 5060))
            outside.recv(65535)
    audited = running.status()["audited"]
    assert 2 * 5 < audited < 2 * 35
    assert audited % 2 == 0


def test_without_an_audit_nothing_is(gateway: Running) -> None:
    inside = gateway.site.udp("inside", Site.INSIDE)
    outside = gateway.site.udp("outside", Site.OUTSIDE)
    inside.sendto(LEAKY, (Site.OUTSIDE, 5060))
    outside.recv(65535)
    assert gateway.status()["audited"] == 0


ENFORCED = f'audit = "enforce"\n{WIDER}[queue]\nrefused_folder = "."\n'


@modes("topos")
def test_what_shows_something_is_refused_where_that_is_enforced(site: Site, mode: Mode) -> None:
    running = Running(site, mode(ENFORCED))
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    inside.sendto(LEAKY, (Site.OUTSIDE, 5060))
    inside.sendto(invite(8), (Site.OUTSIDE, 5060))
    assert HIDDEN.encode() not in (arrived := outside.recv(65535))
    assert b"Call-ID: call-8" in arrived
    state = running.status()
    assert state["outcomes"]["egress"] == {"refused_leak": 1, "masked": 1}
    assert state["shown"] == {"leak": {"Reason": 1}}
    [told] = words(running.log(), "leak")
    [refused] = words(running.log(), "refused_leak")
    assert told["call"] == refused["call"]
    assert HIDDEN not in running.log()
    assert "call-7" not in running.log()
    assert running.end() == 0
    with open_capture(str(site.folder / "refused-0.pcapng")) as capture:
        [packet] = capture.packets()
    assert LEAKY in packet.data
    assert comments(packet.block) == [b"egress: refused_leak (Reason)"]


@modes("topoh")
def test_a_dry_run_audits_what_would_be_sent(site: Site, mode: Mode) -> None:
    running = Running(site, mode(ENFORCED), "--dry-run")
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    for message in (invite(1), LEAKY):
        inside.sendto(message, (Site.OUTSIDE, 5060))
        assert outside.recv(65535) == message
    state = running.status()
    assert state["audited"] == 2
    assert state["outcomes"]["egress"] == {"masked": 1, "refused_leak": 1}
