"""Live equals replay in mode topos: one capture of what entered on both sides, and an empty store."""

from contextlib import closing
from pathlib import Path

import pytest
from scapy.utils import RawPcapReader, RawPcapWriter

from lab.ours import INLINE_TOPO
from lab.site import Site
from tests.live.stores import Redis, topos
from tests.live.test_pair import held_by_bob
from tests.live.traffic import RouterLab, dump, packed, payloads

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump", "redis-server"),
]


def entering(folder: Path, merged: Path) -> None:
    """Writes what entered the router, from both sides and in the order of time."""
    packets = []
    for name, source in (("in0", Site.INSIDE), ("out0", Site.OUTSIDE)):
        with RawPcapReader(str(folder / f"{name}.pcap")) as reader:
            packets += [
                (meta.sec, meta.usec, bytes(frame))
                for frame, meta in reader
                if bytes(frame)[26:30] == packed(source)
            ]
    with closing(RawPcapWriter(str(merged), linktype=1, sync=True)) as writer:
        writer.write_header(None)
        for seconds, micros, frame in sorted(packets):
            writer.write_packet(frame, sec=seconds, usec=micros)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("redis", marks=pytest.mark.nightly)])
def test_live_equals_replay(site: Site, kind: str) -> None:
    """The same key and an empty store: what entered, replayed, is what left, byte for byte."""
    url = Redis(site, "gw").url if kind == "redis" else f"sqlite:///{site.folder}/dialogs.db"
    lab = RouterLab(site, config=topos(url))
    alice, bob = held_by_bob()
    with dump(site, "gw", "in0"), dump(site, "gw", "out0"):
        lab.calls.start(caller=alice, callee=bob, count=200)
        lab.calls.done()
    folder = site.folder
    entering(folder, folder / "entered.pcap")
    site.run("gw", "env", "-C", str(folder), *INLINE_TOPO, "replay", "--leg", "gateway",
             "-r", "entered.pcap", "-w", "replayed.pcap", "-c", "gw.toml",
             "--set", f"topos.store=sqlite:///{folder}/replayed.db", "--strict")  # fmt: skip
    for source, left in ((Site.INSIDE, "out0"), (Site.OUTSIDE, "in0")):
        replayed = payloads(folder / "replayed.pcap", source)
        assert sum(replayed.values()) >= 4 * 200
        assert replayed == payloads(folder / f"{left}.pcap", source)
