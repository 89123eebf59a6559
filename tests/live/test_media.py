"""Calls whose audio goes through a real rtpengine: between two hosts that reach each other no other way."""

from collections.abc import Iterator

import pytest

from lab.site import Site
from tests.live.media import Phone, RtpEngine, only_sip
from tests.live.running import Running
from tests.live.test_status import metrics, status

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "rtpengine")]

INNER, OUTER = "192.168.178.1", "203.0.113.1"
"""The router's addresses, and the relay's."""

CONFIG = f"""\
profile = "strict"
inside = ["192.168.178.0/24"]
own = ["{OUTER}"]
[topoh]
mask_key_file = "mask.key"
[media]
relay = "rtpengine"
interfaces = ["internal", "external"]
"""


class Calling:
    """alice inside, bob outside, and what is between them."""

    def __init__(self, site: Site, config: str = CONFIG) -> None:
        only_sip(site)
        self.site = site
        self.relay = RtpEngine(site, "gw", f"internal/{INNER}", f"external/{OUTER}")
        self.gateway = Running(site, config)
        call_id = f"call@{Site.INSIDE}"
        self.alice = Phone(site, "inside", Site.INSIDE, "alice", (Site.OUTSIDE, 5060), call_id)
        self.bob = Phone(site, "outside", Site.OUTSIDE, "bob", (Site.INSIDE, 5060), "bobs-call")

    def talk(self, to_bob: tuple[str, int], to_alice: tuple[str, int]) -> None:
        """Audio both ways; the arguments are where alice and bob were told to send it."""
        assert (to_bob[0], to_alice[0]) == (INNER, OUTER)
        self.alice.speak(to_bob)
        assert self.bob.listen(self.alice) == {OUTER}
        self.bob.speak(to_alice)
        assert self.alice.listen(self.bob) == {INNER}

    def hang_up(self, phone: Phone, other: Phone) -> None:
        """One of the two says BYE, and the relay has no call after that."""
        assert self.relay.calls()
        phone.request("BYE")
        other.answer(other.hear("BYE"), "200 OK")
        phone.hear("SIP/2.0 200")
        self.relay.await_none()

    def descriptions_outside(self) -> bytes:
        """All that bob was told about media."""
        return b"".join(message.body for message in self.bob.heard)


@pytest.fixture
def calling(site: Site) -> Iterator[Calling]:
    yield (calling := Calling(site))
    assert b"192.168." not in calling.descriptions_outside()
    assert "leak" not in calling.gateway.status()["shown"]


def test_audio_both_ways_early_media_hold_and_resume(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    alice.request("INVITE", alice.sdp())
    invite = bob.hear("INVITE")
    assert b"a=candidate" not in invite.body
    bob.answer(invite, "183 Session Progress", bob.sdp())
    early = alice.hear("SIP/2.0 183")
    bob.speak(invite.media)
    assert alice.listen(bob) == {INNER}
    bob.answer(invite, "200 OK", bob.sdp())
    ok = alice.hear("SIP/2.0 200")
    assert ok.media == early.media
    alice.join(ok)
    alice.request("ACK")
    bob.join(invite)
    bob.hear("ACK")
    calling.talk(ok.media, invite.media)

    for phone, other, mode in ((bob, alice, "sendonly"), (alice, bob, "sendrecv")):
        phone.request("INVITE", phone.sdp(mode, version=2))
        offer = other.hear("INVITE")
        assert f"a={mode}".encode() in offer.body
        other.answer(offer, "200 OK", other.sdp("recvonly" if mode == "sendonly" else mode, 2))
        answer = phone.hear("SIP/2.0 200")
        phone.request("ACK")
        other.hear("ACK")
    calling.talk(answer.media, offer.media)
    calling.hang_up(alice, bob)
    assert calling.gateway.status()["outcomes"]["egress"].keys() <= {"masked", "unchanged"}


def test_a_call_from_outside(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    bob.request("INVITE", bob.sdp())
    invite = alice.hear("INVITE")
    alice.answer(invite, "200 OK", alice.sdp())
    ok = bob.hear("SIP/2.0 200")
    bob.join(ok)
    bob.request("ACK")
    alice.hear("ACK")
    alice.join(invite)
    calling.talk(invite.media, ok.media)
    calling.hang_up(bob, alice)


def test_an_offer_in_the_answer_and_an_answer_in_the_ack(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    alice.request("INVITE")
    invite = bob.hear("INVITE")
    bob.answer(invite, "200 OK", bob.sdp())
    ok = alice.hear("SIP/2.0 200")
    alice.join(ok)
    alice.request("ACK", alice.sdp())
    ack = bob.hear("ACK")
    bob.join(invite)
    calling.talk(ok.media, ack.media)
    calling.hang_up(bob, alice)


def test_the_relay_forgets_who_is_not_reached_and_who_gave_up(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    alice.request("INVITE", alice.sdp())
    bob.answer(bob.hear("INVITE"), "486 Busy Here")
    alice.hear("SIP/2.0 486")
    calling.relay.await_none()

    branch = "given-up"
    alice.call_id = f"second@{Site.INSIDE}"
    alice.request("INVITE", alice.sdp(), branch)
    invite = bob.hear("INVITE")
    bob.answer(invite, "183 Session Progress", bob.sdp())
    alice.hear("SIP/2.0 183")
    assert calling.relay.calls() == [alice.call_id]
    alice.request("CANCEL", b"", branch)
    bob.answer(bob.hear("CANCEL"), "200 OK")
    alice.hear("SIP/2.0 200")
    bob.answer(invite, "487 Request Terminated")
    alice.hear("SIP/2.0 487")
    calling.relay.await_none()


def test_a_call_that_goes_on_when_its_re_invite_fails(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    alice.request("INVITE", alice.sdp())
    invite = bob.hear("INVITE")
    bob.answer(invite, "200 OK", bob.sdp())
    ok = alice.hear("SIP/2.0 200")
    alice.join(ok)
    alice.request("ACK")
    bob.hear("ACK")
    alice.request("INVITE", alice.sdp("sendonly", 2))
    bob.answer(bob.hear("INVITE"), "488 Not Acceptable Here")
    alice.hear("SIP/2.0 488")
    assert calling.relay.calls() == [f"call@{Site.INSIDE}"]
    calling.hang_up(alice, bob)


def test_a_forked_call_follows_who_answers(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    alice.request("INVITE", alice.sdp())
    invite = bob.hear("INVITE")
    for tag in ("bob1", "bob2"):
        bob.answer(invite, "183 Session Progress", bob.sdp(), tag)
        alice.hear("SIP/2.0 183")
    bob.answer(invite, "200 OK", bob.sdp(), "bob1")
    ok = alice.hear("SIP/2.0 200")
    alice.join(ok)
    alice.request("ACK")
    bob.hear("ACK")
    calling.talk(ok.media, invite.media)
    calling.hang_up(alice, bob)


def test_what_comes_again_goes_out_the_same_and_the_relay_is_asked_once(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    message = alice.request("INVITE", alice.sdp())
    first = bob.hear("INVITE")
    alice.sip.sendto(message, alice.target)
    assert bob.hear("INVITE").data == first.data
    assert calling.gateway.status()["effects"]["relay"]["done"] == 1
    bob.answer(first, "486 Busy Here")
    alice.hear("SIP/2.0 486")
    calling.relay.await_none()


def test_while_the_relay_hangs_others_go_on_and_then_all_is_well_again(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    calling.relay.pause()
    alice.request("INVITE", alice.sdp(), "hangs")
    alice.call_id = "another@example.com"
    alice.request("OPTIONS")
    bob.hear("OPTIONS")  # at once: nobody waits for the relay with that INVITE but its own call
    state = calling.gateway.await_status(
        lambda state: state["outcomes"].get("egress", {}).get("refused_relay") == 1
    )
    # The room's patience and the client's end together: which of them is first does not matter.
    endings = state["effects"]["relay"]
    [ending] = endings.keys() & {"done", "late", "failed", "crowded"}
    assert ending in ("late", "failed")
    assert endings[ending] == 1
    assert f"event=relay_{ending}" in calling.gateway.log()
    calling.relay.go_on()
    alice.request("INVITE", alice.sdp(), "is-answered")
    invite = bob.hear("INVITE")
    assert invite.media[0] == OUTER
    bob.answer(invite, "486 Busy Here")
    alice.hear("SIP/2.0 486")


def test_on_error_accept_lets_media_show_and_says_so(site: Site) -> None:
    config = CONFIG.replace('profile = "strict"', "audit = 1").replace(
        "[media]\n", '[media]\non_error = "accept"\n'
    )
    calling = Calling(site, config)
    calling.relay.process.terminate()
    calling.relay.process.wait()
    calling.alice.request("INVITE", calling.alice.sdp())
    invite = calling.bob.hear("INVITE")
    assert invite.media[0] == Site.INSIDE
    assert b"o=alice" not in invite.body  # the rest is hidden all the same
    state = calling.gateway.status()
    assert state["effects"]["relay"]["failed"] == 1
    assert state["shown"]["leak"]["SDP"] > 0
    assert "nobody listens there" in calling.gateway.log()


def test_without_a_relay_media_shows_and_is_counted_and_said_once(site: Site) -> None:
    gateway = Running(site, CONFIG.partition("[media]")[0].replace('profile = "strict"', ""))
    alice = Phone(site, "inside", Site.INSIDE, "alice", (Site.OUTSIDE, 5060), "call")
    bob = Phone(site, "outside", Site.OUTSIDE, "bob")
    for number in (1, 2):
        alice.request("INVITE", alice.sdp(version=number))
        assert bob.hear("INVITE").media[0] == Site.INSIDE
    assert gateway.status()["noted"] == {"media": 2}
    assert metrics(site)["inline_topo_noted_total[media]"] == 2
    [line] = [line for line in status(site).stdout.splitlines() if line.startswith("noted")]
    assert line.split(None, 1)[1] == "2: SDP that leaves tells where media goes inside"
    assert gateway.log().count("event=noted note=media") == 1


def test_a_relay_that_is_not_there_yet_is_a_warning(site: Site) -> None:
    gateway = Running(site, CONFIG)
    assert "media.rtpengine 127.0.0.1:2223: nobody listens there" in gateway.log()
    relay = RtpEngine(site, "gw", f"internal/{INNER}", f"external/{OUTER}")
    alice = Phone(site, "inside", Site.INSIDE, "alice", (Site.OUTSIDE, 5060), "call")
    bob = Phone(site, "outside", Site.OUTSIDE, "bob")
    alice.request("INVITE", alice.sdp())
    assert bob.hear("INVITE").media[0] == OUTER
    assert relay.calls() == ["call"]


def test_a_dry_run_asks_no_relay(site: Site) -> None:
    relay = RtpEngine(site, "gw", f"internal/{INNER}", f"external/{OUTER}")
    gateway = Running(site, CONFIG, "--dry-run")
    alice = Phone(site, "inside", Site.INSIDE, "alice", (Site.OUTSIDE, 5060), "call")
    bob = Phone(site, "outside", Site.OUTSIDE, "bob")
    message = alice.request("INVITE", alice.sdp())
    assert bob.hear("INVITE").data == message
    assert "relay" not in gateway.status()["effects"]
    assert relay.calls() == []


def test_behind_a_translating_router_audio_goes_by_the_relay_too(site: Site) -> None:
    masquerade = ("-o", "out0", "-p", "udp", "--dport", "5060", "-j", "MASQUERADE")
    site.run("gw", "iptables", "-t", "nat", "-A", "POSTROUTING", *masquerade)
    calling = Calling(site, f'shape = "nat"\npublic = "{OUTER}"\n{CONFIG}')
    alice, bob = calling.alice, calling.bob
    alice.request("INVITE", alice.sdp())
    invite = bob.hear("INVITE")
    assert invite.source == (OUTER, 5060)
    bob.answer(invite, "200 OK", bob.sdp())
    ok = alice.hear("SIP/2.0 200")
    alice.join(ok)
    alice.request("ACK")
    bob.join(invite)
    bob.hear("ACK")
    calling.talk(ok.media, invite.media)
    calling.hang_up(bob, alice)
    assert not [message.data for message in bob.heard if b"192.168." in message.data]
    state = calling.gateway.status()
    assert state["effects"]["relay"]["done"] == 3
    assert state["noted"] == {}
