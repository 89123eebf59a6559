"""Profile strict, live: what a watcher outside is told of a phone inside serves it, and shows nothing.

dialog-info (RFC 4235) is answered with a pickup (Replaces, RFC 3891), reginfo (RFC 3680) with a request to
the contact that it names. Sound goes through the relay.
"""

import re
from collections.abc import Iterator

import pytest

from lab.site import Site
from tests.live.test_media import Calling

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "rtpengine")]

ALICE = f"sip:alice@{Site.INSIDE}:5060"
RINGING = f"ringing-7@{Site.INSIDE}"
DIALOGS = f"""<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="{ALICE}">
<dialog id="1" call-id="{RINGING}" local-tag="l1" remote-tag="r1" direction="recipient">
<state>early</state><local><identity>{ALICE}</identity><target uri="{ALICE}"/></local>
</dialog></dialog-info>
""".encode()
BINDINGS = f"""<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">
<registration aor="sip:alice@example.com" id="a" state="active">
<contact id="c" state="active" event="registered" callid="{RINGING}" cseq="1"><uri>{ALICE}</uri></contact>
</registration></reginfo>
""".encode()


@pytest.fixture
def calling(site: Site) -> Iterator[Calling]:
    yield (calling := Calling(site))
    bodies = [message.body for message in calling.bob.heard]
    assert not any(b"192.168." in body for body in bodies)
    assert "leak" not in calling.gateway.status()["shown"]


def notified(calling: Calling, event: str, kind: str, body: bytes) -> str:
    """What bob reads, once he has subscribed."""
    alice, bob = calling.alice, calling.bob
    bob.request("SUBSCRIBE", b"", "", f"Event: {event}", "Expires: 600")
    subscribe = alice.hear("SUBSCRIBE")
    alice.answer(subscribe, "200 OK")
    bob.join(bob.hear("SIP/2.0 200"))
    alice.join(subscribe)
    more = (f"Event: {event}", "Subscription-State: active", f"Content-Type: {kind}")
    alice.request("NOTIFY", body, "", *more)
    notify = bob.hear("NOTIFY")
    bob.answer(notify, "200 OK")
    alice.hear("SIP/2.0 200")
    return notify.body.decode()


def found(pattern: str, text: str) -> str:
    [value] = re.findall(pattern, text)
    assert isinstance(value, str)
    return value


def test_a_call_is_picked_up_by_what_dialog_info_told(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    text = notified(calling, "dialog", "application/dialog-info+xml", DIALOGS)
    assert 'local-tag="l1" remote-tag="r1"' in text
    bob.peer_tag, bob.call_id = "", "pickup"
    bob.uri = found('target uri="(.*?)"', text)
    replaced = found('call-id="(.*?)"', text)
    bob.request("INVITE", bob.sdp(), "", f"Replaces: {replaced};to-tag=l1;from-tag=r1;early-only")
    invite = alice.hear("INVITE")
    assert invite.start == f"INVITE {ALICE} SIP/2.0"
    assert invite.value("Replaces") == f"{RINGING};to-tag=l1;from-tag=r1;early-only"
    alice.answer(invite, "200 OK", alice.sdp())
    ok = bob.hear("SIP/2.0 200")
    bob.join(ok)
    bob.request("ACK")
    alice.hear("ACK")
    alice.join(invite)
    calling.talk(invite.media, ok.media)
    calling.hang_up(bob, alice)


def test_a_request_comes_to_the_contact_that_reginfo_told(calling: Calling) -> None:
    alice, bob = calling.alice, calling.bob
    text = notified(calling, "reg", "application/reginfo+xml", BINDINGS)
    assert 'aor="sip:alice@example.com"' in text
    bob.peer_tag, bob.call_id = "", "message"
    bob.uri = found("<uri>(.*?)</uri>", text)
    bob.request("MESSAGE", b"hello", "", "Content-Type: text/plain")
    message = alice.hear("MESSAGE")
    assert (message.start, message.body) == (f"MESSAGE {ALICE} SIP/2.0", b"hello")
