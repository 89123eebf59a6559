"""A private phone system behind a router that translates: it registers, calls and is called, much."""

import re
import signal
from pathlib import Path

import pytest

from inline_topo.masking.codecs.keyring import KeyRing
from lab import calls, sipp
from lab.net import Net
from tests.live.nat import CARRIER, SDP, NatLab, bob_calling, called, check_as_replayed, naming
from tests.live.traffic import COUNT, Calls, answering, datagrams, dump, packed, refused

pytestmark = [
    pytest.mark.root,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

CONTACTS = re.compile(rb"^Contact: (.*)\r$", re.MULTILINE)


def test_a_refresh_is_the_same_binding_whatever_the_key(tmp_path: Path) -> None:
    ring = tmp_path / "mask.key"
    with Net(tmp_path) as net:
        lab = NatLab(net)
        with dump(net, "pbx-nat", "home"), dump(net, "pbx-nat", "eth0"):
            lab.register()
            lab.register()
            KeyRing.load(ring).rotate().save(ring)
            before = lab.gateway.worker()
            lab.gateway.process.send_signal(signal.SIGHUP)
            lab.gateway.await_status(
                lambda state: state["queues"][0]["pid"] not in (before, None, 0)
            )
            lab.register()
    for link, shown in (("home", calls.PROXY), ("eth0", calls.EDGE)):
        answers = [
            CONTACTS.findall(payload)
            for source, _, payload in datagrams(tmp_path / f"{link}.pcap")
            if source == packed(CARRIER)
        ]
        assert len(answers) >= 3
        assert {len(contacts) for contacts in answers} == {1}
        assert [contacts for [contacts] in answers if shown.encode() not in contacts] == []


@pytest.mark.alone
def test_it_calls_and_is_called_at_once(tmp_path: Path) -> None:
    with Net(tmp_path) as net:
        lab = NatLab(net)
        out = Calls(lab.lab, ("pbx", calls.PROXY), ("bob", calls.FAR), CARRIER)
        back = Calls(lab.lab, ("bob", calls.FAR), ("pbx", calls.PROXY), CARRIER)
        with dump(net, "pbx-nat", "home"), dump(net, "pbx-nat", "eth0"):
            lab.register()
            out.start(caller=calls.calling_alice(body=SDP))
            back.start(
                caller=bob_calling(sipp.SDP), callee=answering("alice", SDP), count=COUNT // 2
            )
            lab.lab.done()
        state = lab.gateway.status()
        check_as_replayed(net)
    assert state["queues"][0]["lost"] == 0
    assert state["noted"] == {}
    assert refused(state) == []
    outer = tmp_path / "eth0.pcap"
    assert called(outer, calls.EDGE, CARRIER) == COUNT
    assert called(outer, CARRIER, calls.EDGE) == COUNT // 2
    assert naming(outer, calls.PROXY) == []
