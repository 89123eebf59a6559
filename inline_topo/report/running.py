"""The state of a running gateway, for a person."""

from collections.abc import Iterator
from typing import Any

from inline_topo import build_info
from inline_topo.edges.live.tally import NOTES

_WIDTH = 12
_SHOWN = {
    "leak": "LEAKS",
    "unexplained": "UNEXPLAINED",
    "not_read": "NOT READ",
    "policy": "by a rule",
    "media": "media",
    "open": "left clear",
    "vias": "in Vias",
    "echoed": "own words",
}


def lines(state: dict[str, Any]) -> Iterator[str]:
    """A snapshot of `edges.live.snapshot.take`, a line each."""
    modes = {
        "fill": " (fill: clear Request-URIs and Routes leave)",
        "dry_run": " (dry run: originals are sent)",
        "drain": " (drain: opens, masks no more)",
    }
    yield _line("state", state["state"] + modes.get(state["mode"], ""))
    yield _line("program", build_info.text(state["build"]))
    for queue in state["queues"]:
        parts = [f"process {queue['pid']}" if queue["alive"] else "NOT SERVED"]
        parts.append(f"{queue['packets']} packets")
        parts += [
            f"{queue[key]} {text}"
            for key, text in (
                ("waiting", "wait"),
                ("held", "wait for the store or the relay"),
                ("deaths", "deaths of its process"),
                ("lost", "lost to a full socket"),
                ("dropped_queue_full", "dropped because the queue was full"),
            )
            if queue.get(key)
        ]
        yield _line(f"queue {queue['queue']}", ", ".join(parts))
    for direction, outcomes in state["outcomes"].items():
        counts = (f"{count} {name}" for name, count in _by_count(outcomes))
        yield _line(direction, ", ".join(counts))
    for action, fields in state["edits"].items():
        counts = (f"{name} {count}" for name, count in _by_count(fields))
        yield _line(action, ", ".join(counts))
    if state["opens_refused"]:
        counts = (f"{name} {count}" for name, count in _by_count(state["opens_refused"]))
        yield _line("not opened", ", ".join(counts))
    for kind, ended in state["effects"].items():
        counts = (f"{number} {name}" for name, number in ended.items())
        yield _line(kind, ", ".join(counts))
    for note, number in state["noted"].items():
        yield _line("noted", f"{number}: {NOTES[note]}")
    if state["audited"]:
        yield _line("audited", f"{state['audited']} messages that left")
    for cause, fields in state["shown"].items():
        counts = (f"{name} {count}" for name, count in _by_count(fields))
        yield _line(_SHOWN[cause], ", ".join(counts))
    since = state["seconds_since_opened"]
    if state["mode"] == "drain":
        text = "none has come" if since is None else f"the last came {since:.0f} seconds ago"
        yield _line("tokens", text)
    yield _line("bytes", f"{state['bytes_added']} added")
    over = state["over_mtu"]
    if over["ipv4"] or over["ipv6"]:
        told = f"{state['told_too_big']} senders told to send fragments"
        text = f"{over['ipv4']} packets of IPv4 cut, {over['ipv6']} of IPv6, which no router cuts, {told}"
        yield _line("over MTU", text)
    if state["over_1300"]:
        text = f"{state['over_1300']} messages grew past 1,300 bytes, beyond which phones take TCP"
        yield _line("over 1300", text)


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}}{text}"


def _by_count(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])
