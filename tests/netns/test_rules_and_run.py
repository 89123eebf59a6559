"""`rules apply` and `run` together, as the README has it: one router, real packets."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.rules.plan import Family
from tests.netns.topology import INSIDE, OUTSIDE, Row, row

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


@pytest.fixture
def net() -> Iterator[Row]:
    with row() as hosts:
        yield hosts


def ours(net: Row, *words: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "inline_topo", *map(str, words)]
    with net.gateway.enter():
        return subprocess.run(command, capture_output=True, text=True, check=False)


def until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def running(net: Row, file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    log = file.with_suffix(".log").open("wb")
    with net.gateway.enter():
        program = subprocess.Popen(
            [sys.executable, "-m", "inline_topo", "run", "-c", file], stderr=log
        )
    try:
        until(lambda: ours(net, "status", "-c", file).returncode == 0)
        yield program
    finally:
        program.terminate()
        program.wait(10)
        log.close()


def invite(family: Family, *, body: int = 0) -> bytes:
    inside, outside = (
        f"[{address[family]}]" if family is Family.IPV6 else address[family]
        for address in (INSIDE, OUTSIDE)
    )
    lines = [
        f"INVITE sip:bob@{outside} SIP/2.0",
        f"Via: SIP/2.0/UDP {inside}:5060;branch=z9hG4bK776asdhds",
        "Max-Forwards: 70",
        "To: <sip:bob@example.com>",
        "From: <sip:alice@example.com>;tag=1928301774",
        "Call-ID: a84b4c76e66710",
        "CSeq: 314159 INVITE",
        f"Contact: <sip:alice@{inside}:5070>",
        f"Content-Length: {body}",
    ]
    return "\r\n".join([*lines, "", "x" * body]).encode()


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


@BOTH
def test_an_icmp_error_does_not_quote_what_was_opened(net: Row, file: Path, family: Family) -> None:
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
                b"Content-Length: 0",
                b"",
                b"",
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
