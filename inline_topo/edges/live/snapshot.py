"""The state of a running gateway as one object: for `status`, and from there for a person."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inline_topo import build_info
from inline_topo.build_info import BuildInfo

from .board import Board
from .tally import (
    AUDITED,
    BYTES_ADDED,
    DEATHS,
    EDIT,
    EFFECT,
    EFFECT_NS,
    HELD,
    LOST,
    NOTED,
    OPENED_NS,
    OUTCOME,
    OVER_1300,
    OVER_MTU,
    OVER_MTU_IPV6,
    PACKETS,
    PID,
    READY,
    REFUSED,
    SHOWN,
    TOLD_TOO_BIG,
    TURN_NS,
    Name,
)
from .worker import Mode

STALE = 2.0
"""Seconds without a turn after which a worker does not count as alive."""

KERNEL_QUEUES = Path("/proc/net/netfilter/nfnetlink_queue")
_QUEUE, _WAITING, _DROPPED, _DROPPED_BY_SOCKET = 0, 2, 5, 6  # columns there


@dataclass(frozen=True)
class Source:
    """What a snapshot is taken of."""

    board: Board[Name]
    numbers: tuple[int, ...]
    mode: Mode
    build: BuildInfo = field(default_factory=build_info.find)


def take(source: Source) -> dict[str, Any]:
    """`{"state": "ok" | "degraded", "mode": ..., "queues": [...], ...}`, as JSON has it."""
    board = source.board
    now = time.monotonic_ns()
    kernel = kernel_queues()
    opened = max(row[OPENED_NS] for row in board.rows)
    queues = []
    for number, row in zip(source.numbers, board.rows, strict=True):
        idle = (now - row[TURN_NS]) / 1e9
        queues.append(
            {
                "queue": number,
                "pid": row[PID],
                "alive": bool(row[READY]) and idle < STALE,
                "seconds_since_turn": round(max(idle, 0.0), 3),
                "deaths": row[DEATHS],
                "packets": row[PACKETS],
                "lost": row[LOST],
                "held": row[HELD],
                **kernel.get(number, {}),
            }
        )
    outcomes: dict[str, dict[str, int]] = {}
    edits: dict[str, Counter[str]] = {}
    effects: dict[str, dict[str, float]] = {}
    shown: dict[str, dict[str, int]] = {}
    refused: dict[str, int] = {}
    for name in board.names:
        count = board.total(name)
        if count and name[0] == OUTCOME:
            outcomes.setdefault(name[1], {})[name[2]] = count
        elif count and name[0] == EDIT:
            edits.setdefault(name[1], Counter())[name[2]] += count
        elif count and name[0] == REFUSED:
            refused[name[1]] = count
        elif count and name[0] == SHOWN:
            shown.setdefault(name[1], {})[name[2]] = count
        elif count and name[0] == EFFECT:
            effects.setdefault(name[1], {})[name[2]] = count
        elif count and name[0] == EFFECT_NS:
            effects.setdefault(name[1], {})["seconds"] = round(count / 1e9, 3)
    noted = ((name, board.total(name)) for name in board.names if name[0] == NOTED)
    return {
        "state": "ok" if all(queue["alive"] for queue in queues) else "degraded",
        "mode": source.mode.value,
        "build": source.build.as_dict(),
        "queues": queues,
        "packets": board.total(PACKETS),
        "outcomes": outcomes,
        "edits": {action: dict(fields) for action, fields in edits.items()},
        "opens_refused": refused,
        "effects": effects,
        "noted": {name[1]: count for name, count in noted if count},
        "audited": board.total(AUDITED),
        "shown": shown,
        "seconds_since_opened": round((now - opened) / 1e9, 1) if opened else None,
        "bytes_added": board.total(BYTES_ADDED),
        "over_mtu": {"ipv4": board.total(OVER_MTU), "ipv6": board.total(OVER_MTU_IPV6)},
        "told_too_big": board.total(TOLD_TOO_BIG),
        "over_1300": board.total(OVER_1300),
    }


def kernel_queues() -> dict[int, dict[str, int]]:
    """What the kernel counts for each queue: packets that wait, and that it dropped because the
    queue or the socket was full. Empty where this user may not read it (root and its group may, and
    the unit makes it the service's)."""
    try:
        lines = KERNEL_QUEUES.read_text().splitlines()
    except OSError:
        return {}
    counts = {}
    for line in lines:
        columns = [int(column) for column in line.split()]
        counts[columns[_QUEUE]] = {
            "waiting": columns[_WAITING],
            "dropped_queue_full": columns[_DROPPED],
            "dropped_socket_full": columns[_DROPPED_BY_SOCKET],
        }
    return counts
