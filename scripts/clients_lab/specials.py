"""The scenarios that only some clients can play."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from clients_lab.calls import end, hold, ring, talk
from clients_lab.cast import Cast
from clients_lab.ground import has_module
from clients_lab.linphone import Linphone
from clients_lab.phone import (
    ENDED,
    ESTABLISHED,
    INCOMING,
    REGISTERED,
    Failed,
    Phone,
    Skipped,
    bracketed,
    uri,
)
from clients_lab.pjsua import LargePjsua, Pjsua, PresentPjsua, RelyingPjsua
from clients_lab.settings import NAT
from lab.calls import answering_bob
from lab.live import Lab

_SETTLE = 0.5
ERIN, FRANK = "erin", "frank"
"""Users of more clients: inside, and outside."""
_MORE = 5064
"""Their port."""
LONG = 30.0


@contextmanager
def _two_more(
    cast: Cast, inside: type[Phone], outside: type[Phone], *, expires: int = 600
) -> Iterator[tuple[Phone, Phone]]:
    """erin and frank, registered; they go again."""
    erin = cast.add(inside, "alice", ERIN, _MORE, expires=expires)
    frank = cast.add(outside, "bob", FRANK, _MORE, expires=expires)
    try:
        for phone in (erin, frank):
            phone.hears(REGISTERED)
        yield erin, frank
    finally:
        cast.remove(erin)
        cast.remove(frank)


def _pjsua(phone: Phone) -> Pjsua:
    assert isinstance(phone, Pjsua)
    return phone


def attended(cast: Cast) -> None:
    """Transfers with Replaces: who gives, who is given, and to whom, inside and outside in all ways."""
    alice, bob, carol, dave = cast.alice, cast.bob, cast.carol, cast.dave
    for giver, given, target in (
        (alice, bob, carol),
        (bob, alice, dave),
        (alice, bob, dave),
        (bob, alice, carol),
    ):
        talk(giver, given)
        talk(giver, target)
        giver.forget()
        target.forget()
        given.forget()
        _pjsua(giver).order("transfer_first_to_second")
        target.said("EVENT replaced")
        giver.said(r"EVENT transfer-status 200 .* 1")
        given.hears(ESTABLISHED)
        time.sleep(_SETTLE)
        giver.hang_up()
        end(target, given)


def prack(cast: Cast) -> None:
    """183 with PRACK (RFC 3262), UPDATE and INFO, both ways."""
    with _two_more(cast, RelyingPjsua, RelyingPjsua) as (erin, frank):
        for caller, callee in ((erin, frank), (frank, erin)):
            caller.forget()
            callee.forget()
            caller.call(callee.line.uri)
            callee.hears(INCOMING)
            time.sleep(_SETTLE)
            _pjsua(callee).order("answer", 183)
            caller.said(r"EVENT call \d+ EARLY 183")
            time.sleep(_SETTLE)
            callee.answer()
            caller.hears(ESTABLISHED)
            callee.hears(ESTABLISHED)
            caller.said(r"EVENT transaction PRACK 200")
            _pjsua(caller).order("update")
            caller.said(r"EVENT transaction UPDATE 200")
            _pjsua(caller).order("info", "7")
            caller.said(r"EVENT transaction INFO 200")
            end(caller, callee)


def large(cast: Cast) -> None:
    """Requests for which clients would rather have TCP, which is reset: calls both ways."""
    with _two_more(cast, LargePjsua, LargePjsua) as (erin, frank):
        for caller, callee in ((erin, frank), (frank, erin)):
            talk(caller, callee)
            hold(caller, callee)
            hold(callee, caller)
            end(callee, caller)


def forwarded(cast: Cast) -> None:
    """302 by a phone: to an address of record, and from inside to a device inside."""
    alice, bob, carol, dave = cast.alice, cast.bob, cast.carol, cast.dave
    line = dave.line
    device = f"sip:dave@{bracketed(line.address)}:{line.port}"
    for caller, callee, contact, target in (
        (alice, bob, uri("carol"), carol),
        (bob, alice, uri("dave"), dave),
        (bob, alice, device, dave),
    ):
        ring(caller, callee)
        target.forget()
        _pjsua(callee).order("hang_up", 302, {"Contact": f"<{contact}>"})
        target.hears(INCOMING)
        caller.said("EVENT redirected")
        target.answer()
        caller.hears(ESTABLISHED)
        end(caller, target)


def presence(cast: Cast) -> None:
    """PUBLISH, SUBSCRIBE and NOTIFY of presence, and of waiting messages, both ways."""
    if not has_module("presence"):
        raise Skipped("Kamailio has no presence (Debian: apt install kamailio-presence-modules)")
    with _two_more(cast, PresentPjsua, PresentPjsua) as (erin, frank):
        for phone in (erin, frank):
            phone.said("EVENT waiting")
        for watcher, watched in ((erin, frank), (frank, erin)):
            text = f"meeting-{time.monotonic_ns()}"
            _pjsua(watcher).order("watch", watched.line.uri)
            time.sleep(_SETTLE)
            _pjsua(watched).order("note", text)
            watcher.said(rf"EVENT presence .*{text}")


def gruu(cast: Cast) -> None:
    """Calls in which Contacts are GRUUs (RFC 5627), by the clients that have them, ended by either side."""
    alice, bob = cast.alice, cast.bob
    for phone in (alice, bob):
        if phone.kind == Linphone.kind:
            phone.ever_said(r"pub-gruu=", "a public GRUU in its registration")
    for caller, callee in ((alice, bob), (bob, alice)):
        for first, second in ((caller, callee), (callee, caller)):
            talk(caller, callee)
            end(first, second)
    for phone in (alice, bob):
        if phone.kind == Linphone.kind:
            phone.ever_said(r"Contact: <sip:[^>\r\n]*;gr\b", "a Contact that is a GRUU")


def outbound(cast: Cast) -> None:
    """A client inside that registers with RFC 5626, is called, calls, and refreshes."""
    erin = cast.add(cast.pair.inside, "alice", ERIN, _MORE, outbound=True, expires=15)
    try:
        erin.hears(REGISTERED)
        for caller, callee in ((cast.bob, erin), (erin, cast.bob)):
            talk(caller, callee)
            end(callee, caller)
        await_refresh(erin)
        talk(cast.bob, erin)
        end(erin, cast.bob)
    finally:
        cast.remove(erin)


def refresh(cast: Cast) -> None:
    """Registrations for 15 seconds are refreshed: one binding each, and a call after it."""
    with _two_more(cast, *cast.pair, expires=15) as (erin, frank):
        before = cast.ground.contacts(ERIN), cast.ground.contacts(FRANK)
        for phone in (erin, frank):
            await_refresh(phone)
        after = cast.ground.contacts(ERIN), cast.ground.contacts(FRANK)
        if before != after or any(len(contacts) != 1 for contacts in after):
            raise Failed(f"bindings {before} became {after}")
        for caller, callee in ((erin, frank), (frank, erin)):
            talk(caller, callee)
            end(caller, callee)


def await_refresh(phone: Phone, times: int = 2) -> None:
    """Wait until it has registered so often since it was started; Failed otherwise."""
    deadline = time.monotonic() + LONG
    while phone.has_said(REGISTERED) < times:
        if time.monotonic() > deadline:
            raise Failed(f"{phone.line.user} ({phone.kind}) did not refresh its registration")
        time.sleep(0.1)


def options(cast: Cast) -> None:
    """sipsak asks the registrar and, through it, alice; and from inside bob."""
    setting = cast.ground.setting
    if setting.version == 6:
        raise Skipped("sipsak has no IPv6")
    at = setting.at
    own = bracketed(at.carrier if setting.registrar_is_outside else at.public)
    first = bracketed(at.carrier if setting.shape == NAT else at.public)
    for host, target, proxy in (
        ("carol", f"sip:{first}", first),
        ("carol", f"sip:alice@{own}", own),
        ("dave", f"sip:bob@{own}", cast.alice.line.proxy),
    ):
        command = ["sipsak", "-vv", "-l", "5066", "-s", target, "-p", proxy]
        try:
            asked = subprocess.run(
                ["timeout", "8", "ip", "netns", "exec", cast.ground.name_of(host), *command],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except OSError:
            raise Skipped("sipsak is not installed (Debian: apt install sipsak)") from None
        if "SIP/2.0 200" not in asked.stdout + asked.stderr:
            raise Failed(f"sipsak {target}: {(asked.stdout + asked.stderr)[-200:]!r}")


def sipp_answers(cast: Cast) -> None:
    """alice calls sipp, which is no registered client, and hangs up."""
    ground = cast.ground
    lab = Lab(ground, topoh=False)
    lab.party("carol", ground.setting.at.carol, answering_bob(ring=500), port=5066)
    cast.alice.forget()
    cast.alice.call(uri("service"))
    cast.alice.hears(ESTABLISHED)
    time.sleep(_SETTLE)
    cast.alice.hang_up()
    cast.alice.hears(ENDED)
    lab.done()
