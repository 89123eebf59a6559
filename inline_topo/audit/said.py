"""What outsiders said earlier in a capture: names of the inside in their own words, and Call-IDs."""

from typing import Final

from inline_topo.audit.hosts import Hosts
from inline_topo.audit.message import CALL_ID, read
from inline_topo.audit.search import Search, Sighting

_REMEMBERED: Final = 1 << 16


class Said:
    """Remembers messages that enter, up to a bound; then it forgets all."""

    def __init__(self, hosts: Hosts) -> None:
        self._search = Search(hosts)
        self._hosts: set[tuple[bytes, bytes]] = set()
        self._call_ids: set[bytes] = set()

    def hear(self, data: bytes, outside: bytes) -> None:
        """A message that enters from this packed address."""
        for sighting in self._search.find(data, ()).sightings:
            if sighting.named:
                if len(self._hosts) >= _REMEMBERED:
                    self._hosts.clear()
                self._hosts.add((outside, spelled(sighting)))
        message = read(data)
        # A request that begins a dialog has a Call-ID of its sender's making.
        if message and not message.status and b"tag=" not in message.last("To").lower():
            if len(self._call_ids) >= _REMEMBERED:
                self._call_ids.clear()
            self._call_ids.add(message.last(CALL_ID))

    def has_host(self, sighting: Sighting, outside: bytes) -> bool:
        """Whether who sits at this packed address has named that host."""
        return (outside, spelled(sighting)) in self._hosts

    def has_call_id(self, call_id: bytes) -> bool:
        """Whether an outsider made it."""
        return call_id in self._call_ids


def spelled(sighting: Sighting) -> bytes:
    """A host in one spelling."""
    return sighting.address or sighting.shown.lower().rstrip(b".")
