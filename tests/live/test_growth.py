"""Messages that outgrow the MTU by masking: how they arrive all the same."""

import pytest
from scapy.layers.inet import UDPerror
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPerror6
from scapy.utils import rdpcap

from lab.dump import Dump
from lab.site import Site
from tests.live.messages import HIDDEN, invite, ok_to
from tests.live.running import CONFIG, Running

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "tcpdump")]

INVITE = 1374
"""Bytes of a linphone's INVITE as it leaves: with its headers it fits, masked it does not."""


def sized(size: int) -> bytes:
    """An INVITE over IPv6 of so many bytes, which masking makes longer by four tokens."""
    more = (
        f"\r\nRecord-Route: <sip:{HIDDEN};lr>\r\nPath: <sip:{HIDDEN};lr>\r\nMax-Forwards".encode()
    )
    own = f"[{Site.INSIDE6}]".encode()

    def made(padding: int) -> bytes:
        message = invite(padding=padding).replace(Site.INSIDE.encode(), own)
        return message.replace(b"\r\nMax-Forwards", more)

    return next(message for padding in range(size) if len(message := made(padding)) == size)


def test_an_ipv6_message_that_outgrows_the_mtu_arrives_when_it_is_sent_again(
    gateway: Running,
) -> None:
    site = gateway.site
    inside, outside = site.udp("inside", Site.INSIDE6), site.udp("outside", Site.OUTSIDE6)
    dump = Dump(
        site, "inside", "icmp.log", "-i", "eth0", "-w", "icmp.pcap", "icmp6 and ip6[40] == 2"
    )
    sent = sized(INVITE)
    assert len(sent) == INVITE
    inside.sendto(sent, (Site.OUTSIDE6, 5060))
    state = gateway.await_status(lambda state: state["told_too_big"] >= 1)
    assert state["over_mtu"] == {"ipv4": 0, "ipv6": 1}
    assert state["over_1300"] == 0
    inside.sendto(sent, (Site.OUTSIDE6, 5060))
    arrived = outside.recv(65535)
    assert len(arrived) > 1500 - 48
    assert HIDDEN.encode() not in arrived
    outside.sendto(ok_to(arrived), (Site.INSIDE6, 5060))
    assert inside.recv(65535) == ok_to(sent)
    dump.end()
    error = rdpcap(str(site.folder / "icmp.pcap"))[0]
    assert 1280 <= error[ICMPv6PacketTooBig].mtu == 1500 - (len(arrived) - len(sent))
    assert (error[IPerror6].dst, error[UDPerror].dport) == (Site.OUTSIDE6, 5060)
    assert "told_mtu=" in gateway.log()


def test_what_a_host_itself_sends_is_cut_by_its_kernel(site: Site) -> None:
    gateway = Running(site, f'shape = "host"\n{CONFIG}', host="inside")
    inside, outside = site.udp("inside", Site.INSIDE6), site.udp("outside", Site.OUTSIDE6)
    sent = sized(INVITE)
    inside.sendto(sent, (Site.OUTSIDE6, 5060))
    arrived = outside.recv(65535)
    assert len(arrived) > 1500 - 48
    outside.sendto(ok_to(arrived), (Site.INSIDE6, 5060))
    assert inside.recv(65535) == ok_to(sent)
    assert gateway.status()["told_too_big"] == 0
