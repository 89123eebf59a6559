"""`rules apply` and `run` together, as the README has it: one router, real packets."""

import json
import re
import time
from pathlib import Path

import pytest

from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.rules.plan import Family
from tests.netns.gateway import invite, ours, running
from tests.netns.topology import INSIDE, OUTSIDE, Row

pytest.importorskip("netfilterqueue", reason="NetfilterQueue is not installed")
pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]

BOTH = pytest.mark.parametrize("family", Family, ids=str)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    KeyRing.generate().save(tmp_path / "mask.key")
    path = tmp_path / "gw.toml"
    path.write_text(
        'inside = ["10.9.1.0/24", "2001:db8:1::/64"]\nown = ["10.9.1.33", "2001:db8:1::33"]\n'
        '[topoh]\nmask_key_file = "mask.key"\n[queue]\nnumbers = "0:1"\n'
    )
    return path


@BOTH
def test_what_leaves_is_masked_and_opened_on_its_way_back(
    net: Row, file: Path, family: Family
) -> None:
    assert ours(net, "rules", "apply", "-c", file).returncode == 0
    phone, out = net.inside.udp(INSIDE[family], 5060), net.outside.udp(OUTSIDE[family], 5060)
    with running(net, file):
        for body in (0, 3500):
            phone.sendto(invite(family, body=body), (OUTSIDE[family], 5060))
            seen = out.recv(10000)
            assert seen.endswith(b"\r\n\r\n" + b"x" * body)
            contact = re.search(rb"Contact: <(sip:[^>]+)>", seen)
            assert contact
            assert b":5070" not in contact[1]
            back = re.sub(rb"^INVITE \S+", b"BYE " + contact[1], seen)
            out.sendto(back, (INSIDE[family], 5060))
            opened = phone.recv(10000).split(b"\r\n", 1)[0]
            assert opened.startswith(b"BYE sip:alice@")
            assert opened.endswith(b":5070 SIP/2.0")
        assert net.gateway.tracked() == 0
        state = json.loads(ours(net, "rules", "status", "--json", "-c", file).stdout)
        assert state["families"][0 if family is Family.IPV4 else 1]["queued"] == 4
        assert [queue["number"] for queue in state["queues"]] == [0, 1]
        again = ours(net, "run", "-c", file)
        assert again.returncode == 2
        assert again.stderr.startswith("inline-topo: queue 0: taken ")
    phone.sendto(invite(family), (OUTSIDE[family], 5060))
    out.settimeout(0.3)
    with pytest.raises(TimeoutError):
        out.recv(10000)
    assert ours(net, "rules", "remove").returncode == 0
    out.settimeout(2)
    phone.sendto(invite(family), (OUTSIDE[family], 5060))
    assert out.recv(10000) == invite(family)


def test_a_private_phone_behind_nat_registers_and_is_called(net: Row, file: Path) -> None:
    file.write_text(
        'shape = "nat"\ninside = ["10.9.1.2"]\npublic = "198.51.100.1"\ninterfaces = ["wan0"]\n'
        '[topoh]\nmask_key_file = "mask.key"\n'
    )
    net.gateway.run(
        *["iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan0"], "-j", "MASQUERADE"
    )
    assert ours(net, "rules", "apply", "-c", file).returncode == 0
    phone, registrar = net.inside.udp("10.9.1.2", 5060), net.outside.udp("198.51.100.2", 5060)
    via = b"Via: SIP/2.0/UDP 10.9.1.2:5060;rport;branch=z9hG4bKnashds7"
    contact = b"Contact: <sip:bob@10.9.1.2:5060>"
    register = b"\r\n".join(
        [
            b"REGISTER sip:example.com SIP/2.0",
            via,
            b"Max-Forwards: 70",
            b"To: <sip:bob@example.com>",
            b"From: <sip:bob@example.com>;tag=456248",
            b"Call-ID: 843817637684230",
            b"CSeq: 1826 REGISTER",
            contact,
            b"Content-Length: 0",
            b"",
            b"",
        ]
    )
    with running(net, file):
        phone.sendto(register, ("198.51.100.2", 5060))
        seen, source = registrar.recvfrom(10000)
        assert source == ("198.51.100.1", 5060)
        assert b"10.9.1" not in seen
        answer = re.sub(rb"^REGISTER .*", b"SIP/2.0 200 OK\r", seen).replace(
            b";rport", b";rport=5060;received=198.51.100.1"
        )
        registrar.sendto(answer, source)
        answered = phone.recv(10000).split(b"\r\n")
        assert via.replace(b";rport", b";rport=5060;received=198.51.100.1") in answered
        assert contact in answered
        masked = re.search(rb"Contact: <([^>]+)>", seen)
        assert masked
        assert masked[1].partition(b"@")[2].split(b";")[0] in (
            b"198.51.100.1",
            b"198.51.100.1:5060",
        )
        call = invite(Family.IPV4).replace(b"sip:bob@198.51.100.2", masked[1])
        registrar.sendto(call.replace(b"10.9.1.2", b"198.51.100.2"), source)
        assert phone.recv(10000).startswith(b"INVITE sip:bob@10.9.1.2:5060 SIP/2.0\r\n")


@BOTH
def test_the_servers_own_machine(net: Row, file: Path, family: Family) -> None:
    server = {Family.IPV4: "198.51.100.1", Family.IPV6: "2001:db8:2::1"}[family]
    file.write_text(f'shape = "host"\ninside = ["{server}"]\n[topoh]\nmask_key_file = "mask.key"\n')
    assert ours(net, "rules", "apply", "-c", file).returncode == 0
    proxy, out = net.gateway.udp(server, 5060), net.outside.udp(OUTSIDE[family], 5060)
    with running(net, file):
        proxy.sendto(invite(family), (OUTSIDE[family], 5060))  # another one's, relayed
        seen = out.recv(10000)
        contact = re.search(rb"Contact: <(sip:[^>]+)>", seen)
        assert contact
        assert server.encode() in contact[1]
        assert b":5070" not in contact[1]
        out.sendto(re.sub(rb"^INVITE \S+", b"BYE " + contact[1], seen), (server, 5060))
        opened = proxy.recv(10000).split(b"\r\n", 1)[0]
        assert opened.startswith(b"BYE sip:alice@")
        assert opened.endswith(b":5070 SIP/2.0")
    assert net.gateway.tracked() == 0


@pytest.mark.parametrize(
    ("family", "body"),
    [
        (Family.IPV4, 0),
        (Family.IPV6, 3500),
        pytest.param(Family.IPV4, 3500, marks=pytest.mark.full),
        pytest.param(Family.IPV6, 0, marks=pytest.mark.full),
    ],
    ids=lambda value: str(value) if isinstance(value, Family) else f"{value} bytes",
)
def test_an_icmp_error_does_not_quote_what_was_opened(
    net: Row, file: Path, family: Family, body: int
) -> None:
    assert ours(net, "rules", "apply", "-c", file).returncode == 0
    phone, out = net.inside.udp(INSIDE[family], 5060), net.outside.udp(OUTSIDE[family], 5060)
    out.setsockopt(*((0, 11, 1) if family is Family.IPV4 else (41, 25, 1)))  # IP_RECVERR
    with running(net, file):
        phone.sendto(invite(family), (OUTSIDE[family], 5060))
        contact = re.search(rb"Contact: <(sip:[^>]+)>", out.recv(10000))
        assert contact
        phone.close()
        bye = b"\r\n".join(
            [
                b"BYE " + contact[1] + b" SIP/2.0",
                b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
                b"From: <sip:b@example.com>;tag=1",
                b"To: <sip:a@example.com>;tag=2",
                b"Call-ID: 1",
                b"CSeq: 1 BYE",
                b"Content-Length: %d" % body,
                b"",
                b"x" * body,
            ]
        )
        out.sendto(bye, (INSIDE[family], 5060))
        end = time.monotonic() + 3
        quote = b"none"
        while time.monotonic() < end:
            try:
                quote = out.recvmsg(10000, 512, 0x2000)[0]  # MSG_ERRQUEUE
                break
            except BlockingIOError:
                time.sleep(0.05)
        assert quote == b""
