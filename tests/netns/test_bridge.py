"""A filtering bridge in the way of the frames, tagged or not."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.rules.plan import Family
from tests.netns import nfqueue
from tests.netns.applied import HEADERS, ROUTER, apply
from tests.netns.gateway import invite, ours, running
from tests.netns.nfqueue import Listener
from tests.netns.topology import OUTSIDE, WAN, receive_tagged, row

MOST_LOST = 3
"""A port that comes up may drop its first frames, and one frame lost is a whole datagram."""

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]


@contextmanager
def one_processor() -> Iterator[None]:
    """Verdicts are given, and so datagrams cut, on one processor.

    Linux 6.18 tags the pieces of an IPv6 datagram with the VLAN of the IPv4 datagram that this
    processor cut before it, on whatever bridge: an IPv4 one without a tag must have been the last.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize("interfaces", [(), ("br0",)], ids=["any", "br0"])
def test_a_bridge_judges_frames_where_br_netfilter_is_on(interfaces: tuple[str, ...]) -> None:
    with row(bridge=True) as net, one_processor():
        apply(net.gateway, ROUTER._replace(interfaces=interfaces))
        for family in Family:
            out = net.outside.udp(OUTSIDE[family], 5060)
            phone = net.inside.udp(WAN[family], 5060)
            with Listener(net.gateway) as listener:
                for size in (100, 3500):
                    came = 0
                    lost: list[str] = []
                    while not came and len(lost) < MOST_LOST:
                        where = "before the queue"
                        with suppress(TimeoutError):
                            phone.sendto(b"x" * size, (OUTSIDE[family], 5060))
                            queued = listener.accept()
                            assert queued.hook == nfqueue.FORWARD
                            assert len(queued.packet) == size + HEADERS[family]
                            where = "behind the queue"
                            came = len(out.recv(5000))
                        if not came:
                            lost.append(where)
                    assert came == size, f"{family}, {size} bytes, lost: {lost}"
        assert net.gateway.tracked() == 0


@pytest.mark.parametrize("family", Family, ids=str)
def test_a_bridge_judges_tagged_frames_where_told_to(family: Family) -> None:
    ip = (IP if family is Family.IPV4 else IPv6)(src=WAN[family], dst=OUTSIDE[family])
    with row(bridge=True) as net:
        apply(net.gateway, ROUTER)
        sender, receiver = net.inside.link(), net.outside.link()
        frame = Ether(dst=receiver.getsockname()[4], src=sender.getsockname()[4])
        frame = frame / Dot1Q(vlan=7) / ip / UDP(sport=5060, dport=5060) / Raw(b"x" * 100)
        for judged in (False, True):
            setting = f"net.bridge.bridge-nf-filter-vlan-tagged={int(judged)}"
            net.gateway.run("sysctl", "-qw", setting)
            with Listener(net.gateway) as listener:
                sender.send(bytes(frame))
                if judged:
                    assert len(listener.accept().packet) == 100 + HEADERS[family]
                assert not listener.has_more(0)
            payload, vlan = receive_tagged(receiver)
            assert payload.endswith(b"x" * 100)
            assert vlan == 7


def test_what_grows_past_the_mtu_is_cut_and_stays_tagged(tmp_path: Path) -> None:
    server, peer = WAN[Family.IPV4], OUTSIDE[Family.IPV4]
    pytest.importorskip("netfilterqueue", reason="NetfilterQueue is not installed")
    KeyRing.generate().save(tmp_path / "mask.key")
    file = tmp_path / "gw.toml"
    file.write_text(f'inside = ["{server}"]\n[topoh]\nmask_key_file = "mask.key"\n')
    ip = IP(src=server, dst=peer, flags="DF") / UDP(sport=5060, dport=5060)
    with row(bridge=True) as net:
        net.gateway.run("sysctl", "-qw", "net.bridge.bridge-nf-filter-vlan-tagged=1")
        assert ours(net, "rules", "apply", "-c", file).returncode == 0
        sender, receiver = net.inside.link(), net.outside.link()
        out = net.outside.udp(peer, 5060)
        ends = {"dst": receiver.getsockname()[4], "src": sender.getsockname()[4]}
        with running(net, file):
            for body in (0, 1460 - len(invite(Family.IPV4, body=1000)) + 1000):
                sent = invite(Family.IPV4, body=body)
                sender.send(bytes(Ether(**ends) / ip / Raw(sent)))
                masked = out.recv(5000)
                assert b":5070" not in masked
                assert len(masked) > len(sent)
                sender.send(bytes(Ether(**ends) / Dot1Q(vlan=7) / ip / Raw(sent)))
                frames = [receive_tagged(receiver)]
                while frames[-1][0][20] & 0x20:
                    frames.append(receive_tagged(receiver))
                assert b"".join(frame[34:] for frame, _ in frames)[8:] == masked
                assert {vlan for _, vlan in frames} == {7}
            assert len(frames) == 2
