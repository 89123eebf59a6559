"""Torture messages and fuzzed packets that pass while calls are made."""

import itertools
import time
from pathlib import Path

import pytest

from lab.site import Site
from tests.live.traffic import ALICE, RouterLab, datagrams, dump, showing
from tests.live.traffic import COUNT as CALLS

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]

PHONE = "203.0.113.27"
RATE, COUNT = 1000, 9 * CALLS


@pytest.fixture
def malformed(corpus: Path) -> list[bytes]:
    """RFC 4475's messages, and a capture of SIP that was fuzzed."""
    torture = (corpus / "resiprocate+resiprocate/rfc4475").glob("*.dat")
    fuzzed = datagrams(corpus / "ntop+nDPI/pcap/fuzz-2006-06-26-2594.pcap")
    messages = [path.read_bytes() for path in sorted(torture)]
    return messages + [payload for _, _, payload in fuzzed]


def test_malformed_sip_at_a_thousand_a_second_costs_no_call(
    site: Site, malformed: list[bytes]
) -> None:
    assert len(malformed) > 100
    site.run("outside", "ip", "addr", "add", f"{PHONE}/24", "dev", "eth0")
    lab = RouterLab(site)
    with dump(site, "gw", "out0"):
        lab.calls.start()
        # to ports where nobody takes an INVITE among them for a call
        ways = [(site.udp("inside", ALICE), PHONE), (site.udp("outside", PHONE), ALICE)]
        sinks = [
            site.udp(host, to, 5070)
            for host, (_, to) in zip(("outside", "inside"), ways, strict=True)
        ]
        begin = time.monotonic()
        for number, message in enumerate(itertools.islice(itertools.cycle(malformed), COUNT // 2)):
            for source, target in ways:
                source.sendto(message, (target, 5070))
            time.sleep(max(0.0, 2 * number / RATE - (time.monotonic() - begin)))
        lab.calls.done()
    state = lab.gateway.status()
    assert state["queues"][0]["deaths"] == 0
    assert state["queues"][0]["lost"] == 0
    assert not {"error", "refused_error"} & lab.gateway.outcomes().keys()
    assert state["packets"] >= COUNT
    assert state["outcomes"]["ingress"]
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE, of=CALLS) == []
    for sink in sinks:
        assert sink.recv(65535)  # some got through
