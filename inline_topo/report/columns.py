"""Which column of a ladder each endpoint has."""

from collections.abc import Iterable

from inline_topo.report.messages import Seen
from inline_topo.report.texts import endpoint_text, host_text

_Endpoint = tuple[bytes, int]  # packed address, port


class Columns:
    """The columns of a call's ladder, in the order in which endpoints come up. A host that uses one
    port at a time (as a proxy, or a phone that changes its port) is one column, by its address.

    `names` is what stands over the columns.
    """

    def __init__(self, call: Iterable[Seen]) -> None:
        ends: dict[_Endpoint, None] = {}
        talks_to_itself = set()
        for seen in call:
            ends.setdefault((seen.source, seen.ports[0]))
            ends.setdefault((seen.destination, seen.ports[1]))
            if seen.source == seen.destination:
                talks_to_itself.add(seen.source)
        self.names: list[str] = []
        self._columns: dict[_Endpoint, int] = {}
        for address, port in ends:
            alone = address not in talks_to_itself
            key = (address, 0 if alone else port)
            if key not in self._columns:
                self._columns[key] = len(self.names)
                ports = {p for a, p in ends if a == address}
                is_one_port = not alone or len(ports) == 1
                self.names.append(
                    endpoint_text(address, port) if is_one_port else host_text(address)
                )

    def of(self, address: bytes, port: int) -> int:
        """The column of an endpoint."""
        column = self._columns.get((address, 0))
        return self._columns[address, port] if column is None else column
