"""What happens to the gateway while a call is up, and to registrations."""

import time
from collections.abc import Callable

from clients_lab.calls import end, talk
from clients_lab.cast import Cast
from clients_lab.phone import REGISTERED, Failed
from clients_lab.specials import ERIN, await_refresh

_MORE = 5064


def restart(cast: Cast) -> None:
    """SIGTERM and a start, with the same key."""

    def again() -> None:
        cast.ground.stop_gateway()
        time.sleep(0.5)
        cast.ground.start_gateway()

    _survive(cast, again)


def rotation(cast: Cast) -> None:
    """A new key, and SIGHUP."""
    _survive(cast, cast.ground.rotate_key)


def killed(cast: Cast) -> None:
    """kill -9 of the worker."""
    _survive(cast, cast.ground.kill_worker)


def _survive(cast: Cast, fault: Callable[[], None]) -> None:
    """A call from before ends in order, who was registered is called, refreshes, and is called again."""
    erin = cast.add(cast.pair.inside, "alice", ERIN, _MORE, expires=15)
    try:
        erin.hears(REGISTERED)
        before = cast.ground.contacts(ERIN)
        talk(cast.alice, cast.bob)
        fault()
        end(cast.bob, cast.alice)
        talk(cast.bob, erin)
        end(erin, cast.bob)
        await_refresh(erin, erin.has_said(REGISTERED) + 1)
        after = cast.ground.contacts(ERIN)
        if not after or (len(after) > 1 and before != after):
            raise Failed(f"bindings {before} became {after}")
        talk(cast.bob, erin)
        end(cast.bob, erin)
    finally:
        cast.remove(erin)
