"""The scenarios of calls: each takes the four clients, and raises Failed where one does not see its end."""

import time

from clients_lab.cast import Cast
from clients_lab.phone import (
    ENDED,
    ESTABLISHED,
    HELD,
    INCOMING,
    RESUMED,
    RINGING,
    Phone,
    uri,
)

_SETTLE = 0.3  # seconds between two steps, as between two presses of a key


def ring(caller: Phone, callee: Phone, target: str = "") -> None:
    """Call until it rings at both ends."""
    caller.forget()
    callee.forget()
    caller.call(target or callee.line.uri)
    callee.hears(INCOMING)
    caller.hears(RINGING)
    time.sleep(_SETTLE)


def talk(caller: Phone, callee: Phone) -> None:
    """Call until both say that the call is up, and that they hear each other."""
    ring(caller, callee)
    callee.answer()
    caller.hears(ESTABLISHED)
    callee.hears(ESTABLISHED)
    caller.hears_audio()
    callee.hears_audio()
    time.sleep(_SETTLE)


def end(phone: Phone, other: Phone) -> None:
    """Hang up, until both say that the call has ended."""
    phone.forget()
    other.forget()
    phone.hang_up()
    other.hears(ENDED)
    phone.hears(ENDED)
    time.sleep(_SETTLE)


def hold(phone: Phone, other: Phone) -> None:
    """Hold and resume, until each says so that does say such things."""
    for begin, event in ((phone.hold, HELD), (phone.resume, RESUMED)):
        phone.forget()
        other.forget()
        begin()
        for one in (phone, other):
            if event in one.says:
                one.hears(event)
        time.sleep(_SETTLE)


def _both_ways(cast: Cast) -> tuple[tuple[Phone, Phone], tuple[Phone, Phone]]:
    return (cast.alice, cast.bob), (cast.bob, cast.alice)


def call_hold(cast: Cast) -> None:
    """Calls out and in, held by either side, ended by the caller, then by the callee."""
    for caller, callee in _both_ways(cast):
        talk(caller, callee)
        hold(caller, callee)
        hold(callee, caller)
        end(caller, callee)
        talk(caller, callee)
        end(callee, caller)


def cancel(cast: Cast) -> None:
    """The caller gives up while it rings."""
    for caller, callee in _both_ways(cast):
        ring(caller, callee)
        end(caller, callee)


def busy(cast: Cast) -> None:
    """The callee rejects."""
    for caller, callee in _both_ways(cast):
        ring(caller, callee)
        callee.reject()
        caller.hears(ENDED)
        time.sleep(_SETTLE)


def message(cast: Cast) -> None:
    """MESSAGE both ways, shown by the other's client."""
    for number, (sender, receiver) in enumerate(_both_ways(cast)):
        text = f"hello-{time.monotonic_ns()}-{number}"
        receiver.forget()
        sender.message(receiver.line.uri, text)
        receiver.said(text)


def blind(cast: Cast) -> None:
    """A blind transfer by alice of bob to dave, then by bob of alice to carol."""
    for giver, given, target in (
        (cast.alice, cast.bob, cast.dave),
        (cast.bob, cast.alice, cast.carol),
    ):
        talk(giver, given)
        target.forget()
        given.forget()
        giver.transfer(target.line.uri)
        target.hears(INCOMING)
        time.sleep(_SETTLE)
        target.answer()
        target.hears(ESTABLISHED)
        given.hears(ESTABLISHED)
        time.sleep(_SETTLE)
        giver.hang_up()
        end(target, given)


def moved(cast: Cast) -> None:
    """carol calls who has moved, to bob and to a host inside (302 of the proxy)."""
    cast.carol.forget()
    cast.bob.forget()
    cast.carol.call(uri("moved"))
    cast.bob.hears(INCOMING)
    time.sleep(_SETTLE)
    cast.bob.answer()
    cast.carol.hears(ESTABLISHED)
    end(cast.carol, cast.bob)


def fork(cast: Cast) -> None:
    """bob has two clients; the second one answers, and the first one stops ringing."""
    second = cast.add(cast.pair.outside, "carol", "bob", 5062)
    try:
        second.hears("registered")
        for phone in (cast.alice, cast.bob, second):
            phone.forget()
        cast.alice.call(uri("bob"))
        cast.bob.hears(INCOMING)
        second.hears(INCOMING)
        time.sleep(_SETTLE)
        second.answer()
        cast.alice.hears(ESTABLISHED)
        second.hears(ESTABLISHED)
        cast.bob.hears(ENDED)
        end(cast.alice, second)
    finally:
        cast.remove(second)
