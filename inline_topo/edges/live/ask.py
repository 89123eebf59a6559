"""Asks a running gateway for its state."""

import json
import urllib.error
import urllib.request
from typing import Any

from inline_topo.errors import InlineTopoError

_PATIENCE = 3.0  # seconds


def ask(port: int) -> dict[str, Any]:
    """The snapshot of the gateway whose loopback port this is; InlineTopoError where none answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/status", timeout=_PATIENCE) as answer:
            state = json.load(answer)
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = getattr(reason, "strerror", None) or reason
        raise InlineTopoError(f"no gateway answers on loopback port {port}: {reason}") from None
    if not isinstance(state, dict) or "queues" not in state:
        raise InlineTopoError(f"what answers on loopback port {port} is no gateway")
    return state
