"""Every kind of call of the laboratory, through a real Kamailio with the live gateway on its host.

The Kamailio is plain and knows of nothing; its phones must get through all the same, and none of
them may see where another is.
"""

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
from scapy.utils import RawPcapNgReader, RawPcapReader

from lab import calls
from lab.live import NOTHING, Lab
from lab.net import Net
from tests.live.running import Running
from tests.live.stores import Redis

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump", "editcap"),
]

INDEX = tomllib.loads((Path(__file__).parents[2] / "captures/INDEX.toml").read_text())
STORES = ("sqlite", "memory", "redis")
"""Of mode topos. Mode topoh has none."""

QUICK = ("basic", "spiral", "fragments")
PLACES = (calls.ALICE, calls.BOB, calls.CAROL, calls.INNER, calls.MIDDLE)
PLACES6 = ("2001:db8:178::27", "2001:db8:178::22")
PROXIES = (calls.PROXY, calls.EDGE, "2001:db8:178::10")
FRAGMENT = 44
HOME = "198.51.100.7"
"""The router of a phone that has the private address of bob's, and says so itself."""


class LiveLab(Lab):
    """Starts a gateway on the host of the protected proxy; in shape nat on the router's. `keys` and
    `tables` are more of its configuration."""

    keys: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    def __init__(self, net: Net, kind: str) -> None:
        super().__init__(net, topoh=False)
        self._index: dict[str, Any] = INDEX[f"{kind}{calls.CALLS[kind].suffix}"]
        self.gateway: Running | None = None

    def proxy(
        self, host: str, *listen: str, hide: bool = True, defines: Mapping[str, str] = NOTHING
    ) -> "subprocess.Popen[bytes]":
        kamailio = super().proxy(host, *listen, hide=hide, defines=defines)
        if hide:
            self._protect(host, "host")
        return kamailio

    def capture(self, host: str, nanoseconds: bool = False, only: str = "") -> None:
        if host == "pbx":
            self._protect("pbx-nat", "nat")
        super().capture(host if host != "pbx" else "pbx-nat", nanoseconds, only)

    def settle(self, host: str) -> None:
        """Called before a gateway starts on a host."""

    def _protect(self, host: str, shape: str) -> None:
        self.settle(host)
        own = self._index["own"]
        lines = [f'shape = "{shape}"', f"inside = {self._index['inside']}", f"own = {own}"]
        lines += self.keys
        if shape == "nat":
            lines.append(f'public = "{self._index["public"]}"')
        lines += ["[topoh]", 'mask_key_file = "mask.key"']
        if self._index.get("topoh", {}).get("mask_callid"):
            lines.append("mask_callid = true")
        lines += self.tables
        self.gateway = Running(self.net, "\n".join(lines), host=host)


class StrippingLab(LiveLab):
    """With a gateway in mode topos, and this store."""

    keys = ('mode = "topos"',)

    def __init__(self, net: Net, kind: str, store: str) -> None:
        super().__init__(net, kind)
        self._store = store

    def settle(self, host: str) -> None:
        url = f"sqlite:///{self.net.folder}/dialogs.db" if self._store == "sqlite" else "memory:"
        if self._store == "redis":
            url = Redis(self.net, host).url
        self.tables = ("[topos]", f'store = "{url}"')


def packets(file: Path) -> Iterator[tuple[str, str, str]]:
    """Source, destination and header of the SIP messages in a capture; later fragments, which
    hold bodies here, are left out."""
    with (RawPcapNgReader if file.suffix == ".pcapng" else RawPcapReader)(str(file)) as reader:
        for frame, _ in reader:
            data = bytes(frame)[14:]
            source: IPv4Address | IPv6Address
            target: IPv4Address | IPv6Address
            if data[0] >> 4 == 4:
                source, target = IPv4Address(data[12:16]), IPv4Address(data[16:20])
                is_later = int.from_bytes(data[6:8], "big") & 0x1FFF
            else:
                source, target = IPv6Address(data[8:24]), IPv6Address(data[24:40])
                is_later = data[6] == FRAGMENT and int.from_bytes(data[42:44], "big") & 0xFFF8
            if not is_later:
                yield str(source), str(target), data.partition(b"\r\n\r\n")[0].decode("latin-1")


def kinds(store: str) -> Iterator[Any]:
    """Every kind of call with this store; most of them in a long run alone. With `--full` each kind is
    made in both modes, and in mode topos with the stores by turns."""
    for number, kind in enumerate(calls.CALLS):
        by_turns = store in ("", STORES[number % len(STORES)])
        marks = [] if by_turns else [pytest.mark.nightly]
        if kind not in QUICK or store not in ("", "sqlite"):
            marks.append(pytest.mark.full)
        if store == "redis":
            marks.append(pytest.mark.needs("redis-server"))
        yield pytest.param(kind, store, marks=marks, id=f"{kind}-{store or 'topoh'}")


@pytest.mark.parametrize(
    ("kind", "store"), [each for store in ("", *STORES) for each in kinds(store)]
)
def test_gets_through_and_shows_nobody_else(tmp_path: Path, kind: str, store: str) -> None:
    call = calls.CALLS[kind]
    with Net(tmp_path) as net:
        lab = StrippingLab(net, kind, store) if store else LiveLab(net, kind)
        call.make(lab)
        lab.done()
        lab.finish(tmp_path / f"calls{call.suffix}")
        assert lab.gateway is not None
        state = lab.gateway.status()
        assert lab.gateway.end() == 0
    assert state["edits"]["masked"]
    assert state["edits"].keys() & ({"opened", "restored"} if store else {"opened"})
    assert not [name for name in state["outcomes"]["egress"] if name.startswith("refused")]
    public = "" if kind != "nat" else calls.PROXY
    for source, target, header in packets(tmp_path / f"calls{call.suffix}"):
        if source not in PROXIES:
            continue
        if target.startswith("192.168.") and calls.EDGE in INDEX[f"{kind}{call.suffix}"]["own"]:
            continue  # between insiders
        hidden = {*PLACES, *PLACES6} - {target}
        if target == HOME:
            hidden.discard(calls.BOB)
        if public:
            hidden.add(public)
        shown = [place for place in hidden if re.search(rf"{re.escape(place)}(?![\d.])", header)]
        assert not shown, (target, header)
