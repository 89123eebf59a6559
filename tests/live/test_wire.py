"""One gateway on the real kernel: what each kind of packet becomes on its way."""

import socket
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcap

from lab.ours import INLINE_TOPO
from lab.site import Site
from tests.conftest import Ran
from tests.live.messages import HIDDEN, invite, numbered, ok_to
from tests.live.running import CONFIG, Running

pytestmark = [pytest.mark.both, pytest.mark.root, pytest.mark.needs("ip", "iptables")]

_ETH_P_IP = 0x0800
_IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 10, 2  # ip(7); Python has no names for them


def replayed(gateway: Running, payload: bytes, command: object) -> bytes:
    """What `replay --leg gateway` makes of this payload on its way out."""
    folder = gateway.site.folder
    packet = IP(src=Site.INSIDE, dst=Site.OUTSIDE) / UDP(sport=5060, dport=5060) / Raw(payload)
    wrpcap(str(folder / "in.pcap"), packet)
    words = ("-r", folder / "in.pcap", "-w", folder / "out.pcap", "-c", gateway.config)
    assert callable(command)
    ran: Ran = command("replay", *words)
    assert ran.status == 0, ran.err
    return bytes(rdpcap(str(folder / "out.pcap"))[0][UDP].payload)


class Pair:
    """A socket on either side."""

    def __init__(self, site: Site) -> None:
        self.inside = site.udp("inside", Site.INSIDE)
        self.outside = site.udp("outside", Site.OUTSIDE)

    def out(self, payload: bytes) -> bytes:
        """What arrives outside."""
        self.inside.sendto(payload, (Site.OUTSIDE, 5060))
        return self.outside.recv(65535)

    def back(self, payload: bytes) -> bytes:
        """What arrives inside."""
        self.outside.sendto(payload, (Site.INSIDE, 5060))
        return self.inside.recv(65535)

    def is_lost_on_its_way_out(self, payload: bytes) -> bool:
        """Whether what is sent after it arrives, and it itself does not."""
        self.inside.sendto(payload, (Site.OUTSIDE, 5060))
        return self.out(b"\r\n\r\n") == b"\r\n\r\n"


@pytest.fixture
def pair(gateway: Running) -> Pair:
    return Pair(gateway.site)


def test_masks_on_the_way_out_as_replay_does(gateway: Running, pair: Pair, command: object) -> None:
    sent = invite()
    arrived = pair.out(sent)
    assert arrived != sent
    assert HIDDEN.encode() not in arrived
    assert arrived == replayed(gateway, sent, command)


def test_opens_on_the_way_in(pair: Pair) -> None:
    sent = invite()
    arrived = pair.out(sent)
    answer = pair.back(ok_to(arrived))
    assert answer == ok_to(sent)


def test_what_comes_together_leaves_in_its_order(pair: Pair) -> None:
    """More than is read at a time, some of it to be masked and some of it not."""
    burst = [invite(number) if number % 3 else b"%d" % number for number in range(150)]
    for message in burst:
        pair.inside.sendto(message, (Site.OUTSIDE, 5060))
    arrived = [pair.outside.recv(65535) for _ in burst]
    assert [numbered(one) if b"SIP" in one else int(one) for one in arrived] == list(range(150))


JUNK = {
    "keep-alive": b"\r\n\r\n",
    "nul": b"\x00",
    "empty": b"",
    "STUN binding request": bytes.fromhex("000100002112a442b7e7a701bc34d686fa87dfae"),
    "RTP": bytes.fromhex("8000000100000002000000035555"),
    "random": bytes(range(256)) * 4,
}


def test_what_is_not_sip_passes_both_ways(pair: Pair) -> None:
    for name, junk in JUNK.items():
        assert (pair.out(junk), pair.back(junk)) == (junk, junk), name


def test_malformed_sip_does_not_leave_and_may_enter(gateway: Running, pair: Pair) -> None:
    broken = invite().replace(b"Contact: <", b"Contact: <<<:")
    assert pair.is_lost_on_its_way_out(broken)
    assert pair.back(broken) == broken
    refused = [name for name in gateway.outcomes() if name.startswith("refused_")]
    assert refused
    assert f"event={refused[0]}" in gateway.log()
    assert HIDDEN not in gateway.log()


def test_a_message_in_fragments_is_put_together_and_masked(
    gateway: Running, pair: Pair, command: object
) -> None:
    sent = invite(padding=3200)
    assert len(sent) > 3500
    assert pair.out(sent) == replayed(gateway, sent, command)
    answer = ok_to(pair.out(sent)).replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 3000 + b"\r\n\r\n")
    assert pair.back(answer).startswith(ok_to(sent)[:-2])


@pytest.mark.parametrize("padding", [8700, 64000])
def test_a_long_message_is_masked_whole(
    gateway: Running, pair: Pair, command: object, padding: int
) -> None:
    sent = invite(padding=padding)
    arrived = pair.out(sent)
    assert len(arrived) > len(sent)
    assert arrived == replayed(gateway, sent, command)
    assert pair.back(sent) == sent


def test_a_message_longer_than_a_packet_can_be_does_not_leave(gateway: Running, pair: Pair) -> None:
    sent = invite(padding=65480 - len(invite()))
    assert pair.is_lost_on_its_way_out(sent)
    assert gateway.outcomes()["refused_too_long"] == 1


def test_the_gateway_ends_when_told_and_closes_its_queue(gateway: Running) -> None:
    assert gateway.end() == 0
    pair = Pair(gateway.site)
    pair.outside.settimeout(1)
    with pytest.raises(socket.timeout):
        pair.out(invite())


def test_a_second_one_does_not_start(gateway: Running, tmp_path: Path) -> None:
    command = (*INLINE_TOPO, "run", "-c", "gw.toml")
    second = gateway.site.start("gw", "second.log", *command)
    assert second.wait(20) == 2
    assert "queue 0: taken" in (tmp_path / "second.log").read_text()


@pytest.mark.parametrize("policy", ["accept", "drop"])
def test_sip_over_tcp_is_counted_and_passes_only_by_policy(site: Site, policy: str) -> None:
    gateway = Running(site, f'{CONFIG}[queue]\non_tcp = "{policy}"\n')
    server = site.open_socket("outside", socket.SOCK_STREAM)
    server.bind((Site.OUTSIDE, 5060))
    server.listen()
    client = site.open_socket("inside", socket.SOCK_STREAM)
    client.settimeout(1.5)
    if policy == "accept":
        client.connect((Site.OUTSIDE, 5060))
    else:
        with pytest.raises(TimeoutError):
            client.connect((Site.OUTSIDE, 5060))
    assert gateway.outcomes()["tcp"] >= 1
    assert "event=tcp" in gateway.log()


def test_df_does_not_stop_what_grows_past_the_mtu(gateway: Running, pair: Pair) -> None:
    sent = invite(padding=1450 - len(invite(padding=1000)) + 1000)
    assert len(sent) == 1450
    pair.inside.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
    arrived = pair.out(sent)
    assert len(arrived) > 1472
    assert gateway.status()["over_mtu"] == {"ipv4": 1, "ipv6": 0}


@pytest.mark.parametrize(
    ("checksum", "arrives"), [(0, True), (0x1234, False)], ids=["zero", "wrong"]
)
def test_a_corrupt_checksum_is_not_made_good(
    gateway: Running, pair: Pair, checksum: int, arrives: bool
) -> None:
    packet = (
        IP(src=Site.INSIDE, dst=Site.OUTSIDE)
        / UDP(sport=5060, dport=5060, chksum=checksum)
        / Raw(invite())
    )
    raw = gateway.site.open_socket("inside", socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.sendto(bytes(packet), (Site.OUTSIDE, 0))
    if arrives:
        assert HIDDEN.encode() not in pair.outside.recv(65535)
        assert gateway.outcomes()["masked"] == 1
    else:
        gateway.await_status(lambda state: state["packets"] == 1)
        assert pair.out(b"\r\n\r\n") == b"\r\n\r\n"
        assert gateway.outcomes()["masked_corrupt"] == 1


@pytest.mark.parametrize("policy", ["drop", "accept"])
def test_a_lone_fragment_leaves_only_by_policy(site: Site, policy: str) -> None:
    gateway = Running(site, f'{CONFIG}[queue]\non_fragment = "{policy}"\n')
    gateway.rules("remove")
    rule = ("-A", "FORWARD", "-p", "udp", "-j", "NFQUEUE")  # nothing puts fragments together
    site.run("gw", "iptables", "-t", "mangle", *rule)
    pair = Pair(site)
    protocol = socket.htons(_ETH_P_IP)
    link = site.open_socket("outside", socket.SOCK_DGRAM, protocol, socket.AF_PACKET)
    raw = site.open_socket("inside", socket.SOCK_RAW, socket.IPPROTO_RAW)
    udp = UDP(sport=5060, dport=5060, len=1000, chksum=0)
    first = invite()[: len(invite()) // 8 * 8]
    sent = IP(src=Site.INSIDE, dst=Site.OUTSIDE, id=7, flags="MF") / udp / Raw(first)
    raw.sendto(bytes(sent), (Site.OUTSIDE, 0))
    assert pair.out(b"\r\n\r\n") == b"\r\n\r\n"
    arrived = [IP(link.recv(65535))]
    if policy == "accept":
        assert (arrived[0].id, str(arrived[0].flags)) == (7, "MF")
        assert bytes(arrived[0].payload) == bytes(sent.payload)
        arrived.append(IP(link.recv(65535)))
    assert bytes(arrived[-1][UDP].payload) == b"\r\n\r\n"
    assert gateway.outcomes()["refused_fragment"] == 1
    assert told_of(gateway, "refused_fragment") == policy


@pytest.mark.parametrize("policy", ["drop", "accept"])
def test_a_packet_that_the_kernel_gives_cut_leaves_only_by_policy(site: Site, policy: str) -> None:
    """Of the longest packets that there are the kernel gives a queue all but the last four bytes."""
    gateway = Running(site, f'{CONFIG}[queue]\non_cut = "{policy}"\n')
    pair = Pair(site)
    sent = invite(padding=65000)
    sent += b"x" * (65507 - len(sent))
    if policy == "accept":
        assert pair.out(sent) == sent
    else:
        assert pair.is_lost_on_its_way_out(sent)
    assert gateway.outcomes()["refused_cut"] == 1
    assert told_of(gateway, "refused_cut") == policy


def told_of(gateway: Running, outcome: str) -> str:
    """The action that the log tells of an outcome, once, and nothing that is hidden."""
    assert HIDDEN not in gateway.log()
    [line] = [line for line in gateway.log().splitlines() if f"event={outcome} " in line]
    return line.partition(" action=")[2].partition(" ")[0]


def test_an_error_of_a_host_inside_quotes_no_sip(gateway: Running) -> None:
    """Nobody listens on the port inside: the kernel there answers port unreachable."""
    site = gateway.site
    outside = site.udp("outside", Site.OUTSIDE)
    icmp = site.open_socket("outside", socket.SOCK_RAW, socket.IPPROTO_ICMP)
    outside.sendto(ok_to(invite()), (Site.INSIDE, 5060))
    error = icmp.recv(65535)
    assert error[20:22] == b"\x03\x03"
    assert len(error) == 20 + 8 + 20 + 8
    assert gateway.outcomes()["icmp_cut"] == 1


def test_calls_over_ipv6_are_masked_and_opened(gateway: Running) -> None:
    site = gateway.site
    inside, outside = site.udp("inside", Site.INSIDE6), site.udp("outside", Site.OUTSIDE6)
    sent = invite().replace(Site.INSIDE.encode(), f"[{Site.INSIDE6}]".encode())
    inside.sendto(sent, (Site.OUTSIDE6, 5060))
    masked = outside.recv(65535)
    assert HIDDEN.encode() not in masked
    outside.sendto(ok_to(masked), (Site.INSIDE6, 5060))
    assert inside.recv(65535) == ok_to(sent)


def test_what_ipv6_loses_by_growth_is_counted(gateway: Running) -> None:
    site = gateway.site
    inside = site.udp("inside", Site.INSIDE6)
    short = len(invite(padding=1000))
    inside.sendto(invite(padding=1440 - short + 1000), (Site.OUTSIDE6, 5060))
    state = gateway.await_status(lambda state: state["packets"] >= 1)
    assert state["over_mtu"] == {"ipv4": 0, "ipv6": 1}
    assert "event=over_mtu_ipv6 direction=egress queue=0" in gateway.log()


@pytest.mark.needs("tshark")
def test_what_is_refused_is_kept_with_its_reason_for_its_owner_alone(site: Site) -> None:
    (site.folder / "refused").mkdir()
    gateway = Running(site, f'{CONFIG}[queue]\nrefused_folder = "refused"\n')
    pair = Pair(site)
    broken = invite().replace(b"Contact: <", b"Contact: <<<:")
    assert pair.is_lost_on_its_way_out(broken)
    assert gateway.end() == 0
    kept = site.folder / "refused/refused-0.pcapng"
    assert kept.stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(
        ["tshark", "-r", kept, "-T", "fields", "-e", "ip.src", "-e", "udp.length", "-e", "frame.comment"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    [(source, length, comment)] = [line.split("\t") for line in shown.splitlines()]
    assert (source, int(length)) == (Site.INSIDE, 8 + len(broken))
    assert comment.startswith("egress: refused_")
