"""Hundreds of calls of a phone inside whose Call-IDs carry its address."""

import pytest

from lab.site import Site
from tests.live.traffic import ALICE, COUNT, ROUTER, RouterLab, datagrams, dump, refused, showing

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump"),
]


def test_the_address_is_not_even_in_the_call_id(site: Site) -> None:
    lab = RouterLab(site, config=f"{ROUTER}mask_callid = true\n")
    with dump(site, "gw", "in0"), dump(site, "gw", "out0"):
        lab.calls.start(call_id="%u-%p@%s")
        lab.calls.done()
    state = lab.gateway.status()
    assert refused(state) == []
    assert state["edits"]["masked"]["Call-ID"] >= 3 * COUNT
    inside = [payload for _, _, payload in datagrams(site.folder / "in0.pcap")]
    assert len([p for p in inside if f"@{ALICE}\r\n".encode() in p]) >= 3 * COUNT
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE, of=COUNT) == []
