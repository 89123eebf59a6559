"""A phone system behind NAT that does not know its public address: what of it shows without a relay."""

import json
import subprocess
from pathlib import Path

import pytest

from lab import calls
from lab.net import Net
from lab.ours import INLINE_TOPO
from lab.sipp import SDP
from tests.live.nat import CARRIER, NatLab, bob_calling, called, check_as_replayed, naming
from tests.live.traffic import answering, dump

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump")]


def test_only_where_its_media_goes_and_that_is_counted(tmp_path: Path) -> None:
    outer = tmp_path / "eth0.pcap"
    with Net(tmp_path) as net:
        lab = NatLab(net)
        with dump(net, "pbx-nat", "home"), dump(net, "pbx-nat", "eth0"):
            lab.register()
            lab.lab.party("bob", calls.FAR, calls.answering_bob())
            lab.lab.party("pbx", calls.PROXY, calls.calling_alice(), via=CARRIER)
            lab.lab.done()
            lab.lab.party("pbx", calls.PROXY, answering("alice"))
            lab.lab.party("bob", calls.FAR, bob_calling(SDP), via=CARRIER)
            lab.lab.done()
        state = lab.gateway.status()
        check_as_replayed(net)
    assert called(outer, calls.EDGE, CARRIER) == called(outer, CARRIER, calls.EDGE) == 1
    shown = naming(outer, calls.PROXY)
    lines = [
        line for packet in shown for line in packet.split(b"\r\n") if calls.PROXY.encode() in line
    ]
    assert lines == [f"c=IN IP4 {calls.PROXY}".encode()] * len(shown)
    assert len(shown) >= 2  # an offer and an answer
    assert state["noted"] == {"media": len(shown)}
    audit = subprocess.run(
        [*INLINE_TOPO, "audit", "--json", "-r", outer, "-c", tmp_path / "gw.toml"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(audit.stdout)
    assert found["leaks"] == []
    assert found["media_shown"] == [{"field": "SDP c=", "kind": "ipv4", "count": len(shown)}]
