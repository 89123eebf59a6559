"""Profile strict with a real relay, on the host of a real Kamailio: every call gets through, its audio
too, and no description tells anybody where another is."""

import re
from pathlib import Path

import pytest

from lab import calls
from lab.site import Site
from tests.live.media import Phone, RtpEngine
from tests.live.test_calls import LiveLab

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("ip", "iptables", "kamailio", "rtpengine", "sipp", "tcpdump", "editcap"),
]

QUICK = ("refer", "subscribe", "two-proxies")
WITHOUT_CALL = ("subscribe",)
KINDS = [kind for kind in calls.CALLS if kind != "nat"]


class StrictLab(LiveLab):
    """Its gateway is strict, and asks an rtpengine on its host."""

    keys = ('profile = "strict"',)
    tables: tuple[str, ...] = ("[media]", 'relay = "rtpengine"')

    def __init__(self, site: Site, kind: str) -> None:
        super().__init__(site, kind)
        self._site = site
        self.relay: RtpEngine | None = None

    def _protect(self, host: str, shape: str) -> None:
        if host == "edge":
            names: tuple[str, ...] = (f"internal/{calls.PROXY}", f"external/{calls.EDGE}")
            self.tables = (*self.tables, 'interfaces = ["internal", "external"]')
        else:
            names = (self._index["inside"][0],)
        self.relay = RtpEngine(self._site, host, *names)
        super()._protect(host, shape)


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=[] if k in QUICK else pytest.mark.full) for k in KINDS]
)
def test_gets_through_and_its_media_shows_nobody(tmp_path: Path, kind: str) -> None:
    call = calls.CALLS[kind]
    with Site(tmp_path) as site:
        lab = StrictLab(site, kind)
        call.make(lab)
        lab.done()
        lab.finish(tmp_path / "calls.pcap")
        assert lab.gateway is not None
        assert lab.relay is not None
        lab.relay.await_none()
        state = lab.gateway.status()
        assert lab.gateway.end() == 0
    asked = state["effects"].get("relay", {})
    assert not {"late", "failed", "crowded"} & {*asked}
    assert ("done" in asked) is (kind not in WITHOUT_CALL)
    assert not [name for name in state["outcomes"]["egress"] if name.startswith("refused")]
    assert state["audited"] > 0
    assert "leak" not in state["shown"]


def test_audio_through_a_proxy_between_two_who_cannot_reach_each_other(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        lab = StrictLab(site, "basic")
        calls._one_proxy(lab)
        site.run("alice", "ip", "route", "add", "blackhole", calls.BOB)
        site.run("bob", "ip", "route", "add", "blackhole", calls.ALICE)
        alice = Phone(site, "alice", calls.ALICE, "alice", (calls.PROXY, 5060), "calling-bob")
        bob = Phone(site, "bob", calls.BOB, "bob", (calls.PROXY, 5060))
        alice.uri = "sip:bob@server.com"
        alice.request("INVITE", alice.sdp())
        invite = bob.hear("INVITE")
        bob.answer(invite, "200 OK", bob.sdp())
        ok = alice.hear("SIP/2.0 200")
        alice.join(ok)
        bob.join(invite)
        alice.request("ACK")
        bob.hear("ACK")
        assert (invite.media[0], ok.media[0]) == (calls.PROXY, calls.PROXY)
        alice.speak(ok.media)
        assert bob.listen(alice) == {calls.PROXY}
        bob.speak(invite.media)
        assert alice.listen(bob) == {calls.PROXY}
        bob.request("BYE")
        alice.answer(alice.hear("BYE"), "200 OK")
        bob.hear("SIP/2.0 200")
        assert lab.relay is not None
        lab.relay.await_none()
        for phone, other in ((alice, calls.BOB), (bob, calls.ALICE)):
            assert not [m.start for m in phone.heard if re.search(other.encode(), m.data)]
