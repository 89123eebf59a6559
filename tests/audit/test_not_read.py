"""What nobody read is told: in messages, in packets, by the gateway, by the commands."""

import base64
import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.utils import wrpcap

from inline_topo import assemble
from inline_topo.audit.layers import MOST_UNPACKED
from inline_topo.audit.packets import unread
from inline_topo.config import load
from inline_topo.gateway import Action, Verdict
from inline_topo.masking.codecs.keyring import KeyRing
from tests.audit.messages import PEER, PHONE, PROXY, found, request

CLEAN = request("Contact: <sip:sip.example.com>")
PORTS = frozenset({5060})


def body(data: bytes, *lines: str) -> list[tuple[str, str, str]]:
    return found(request("Content-Type: text/plain", *lines) + data)


GZIP, BASE64 = "Content-Encoding: gzip", "Content-Transfer-Encoding: base64"
NOT_READ = [("not_read", "body", "")]


BODIES = [
    (GZIP, gzip.compress(b"hello"), True),
    ("e: GZIP", gzip.compress(b"hello"), True),
    (GZIP, zlib.compress(b"hello"), True),
    ("Content-Encoding: deflate", zlib.compress(b"hello")[2:-4], True),
    ("Content-Encoding: deflate, gzip", gzip.compress(zlib.compress(b"hello")), True),
    (GZIP, b"", True),
    ("Content-Encoding: identity", b"hello", True),
    (GZIP, b"hello", False),
    (GZIP, gzip.compress(b"hello")[:-3], False),
    (GZIP, gzip.compress(b"hello") + b"more", False),
    (GZIP, gzip.compress(bytes(MOST_UNPACKED + 1)), False),
    ("Content-Encoding: br", b"hello", False),
    ("e: compress", b"hello", False),
    ("Content-Encoding: x-own", b"hello", False),
    (BASE64, base64.encodebytes(b"hello" * 40), True),
    (BASE64, b"aGVsbG8", False),
    (BASE64, b"aGVs!!G8=", False),
    (BASE64, b"aGVsbG8=more", False),
    ("Content-Transfer-Encoding: x-uuencode", b"begin", False),
    ("Content-Transfer-Encoding: quoted-printable", b"=31=32", True),
]


@pytest.mark.parametrize(("line", "data", "is_read"), BODIES, ids=map(str, range(len(BODIES))))
def test_bodies_that_are_declared_as_encoded(line: str, data: bytes, is_read: bool) -> None:
    assert body(data, line) == ([] if is_read else NOT_READ)


CHARSETS = [
    (b"10+AC4-1+AC4-1+AC4-30", "charset=UTF-7", [PHONE], True),
    (b"sip:a+AEA-10.1.1.30", 'charset="utf-7"', [PHONE], True),
    (b"hello+", "charset=utf-7", [], True),
    (b"hello +A\xff", "charset=utf-7", [], False),
    (b"hello", "charset=utf-8", [], True),
    (b"hello", "charset=ISO-8859-15", [], True),
    ("sip:a@10.1.1.30".encode("utf-16"), "charset=utf-16", [PHONE], True),
    ("sip:a@10.1.1.30".encode("cp037"), "charset=cp037", [], False),
    (b"hello", "charset=iso-2022-jp", [], False),
]


@pytest.mark.parametrize(("data", "charset", "shown", "is_read"), CHARSETS)
def test_charsets(data: bytes, charset: str, shown: list[str], is_read: bool) -> None:
    told = found(request(f"Content-Type: text/plain;{charset}") + data)
    assert [one[2] for one in told if one[0] == "open"] == shown
    assert [one for one in told if one[0] != "open"] == ([] if is_read else NOT_READ)


DOCUMENTS = [
    (b"<a>10.1<![CDATA[.1]]>.30</a>", [PHONE], True),
    (b"<a><![CDATA[sip:a@10.1.]]><![CDATA[1.30]]></a>", [PHONE], True),
    (b"<a>sip:a@10.1<!-- .9 -->.1.30</a>", [PHONE], True),
    (b"<?xml version='1.0'?><a>10.1<?x y?>.1.30</a>", [PHONE], True),
    (b"<a>10&#46;1.1&#x2e;30</a>", [PHONE], True),
    (b"<?xml version='1.0' encoding='UTF-7'?><a>10+AC4-1+AC4-1+AC4-30</a>", [PHONE], True),
    (b"<?xml version='1.0' encoding=\"utf-8\"?><a>b</a>", [], True),
    (b'<!DOCTYPE a [<!ENTITY d "10.1">]><a>&d;.1.30</a>', [], False),
    (b"<?xml version='1.0' encoding='ebcdic-cp-us'?><a>b</a>", [], False),
]


@pytest.mark.parametrize(("data", "shown", "is_read"), DOCUMENTS)
def test_documents(data: bytes, shown: list[str], is_read: bool) -> None:
    told = found(request("Content-Type: application/x+xml") + data)
    assert [one[2] for one in told if one[0] == "leak"] == shown
    assert [one for one in told if one[0] != "leak"] == ([] if is_read else NOT_READ)


@pytest.mark.parametrize("kind", ["gzip", "x-bzip2", "zip", "x-xz"])
def test_types_that_are_compressed(kind: str) -> None:
    packs: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "x-bzip2": bz2.compress,
        "x-xz": lzma.compress,
    }
    data = packs.get(kind, bytes)
    told = found(request(f"Content-Type: application/{kind}") + data(b"sip:a@10.1.1.30"))
    is_read = kind == "gzip"
    assert [one for one in told if one[0] == "not_read"] == ([] if is_read else NOT_READ)
    assert not is_read or any(one[2] == PHONE for one in told)


def test_what_does_decode_of_one_is_searched_all_the_same() -> None:
    packed = gzip.compress(b"sip:a@10.1.1.30") + b"more"
    assert body(packed, GZIP) == [("open", "body text/plain", PHONE), *NOT_READ]
    assert body(base64.b64encode(b"sip:a@10.1.1.30"), BASE64) == [
        ("open", "body text/plain", PHONE)
    ]
    quoted = "Content-Transfer-Encoding: quoted-printable"
    assert body(b"sip:a@10=2E1.1.=\r\n30", quoted) == [("open", "body text/plain", PHONE)]


def test_a_part_of_a_body() -> None:
    def part(data: bytes, end: bytes = b"\r\n--x--\r\n") -> list[tuple[str, str, str]]:
        head = request("Content-Type: multipart/mixed;boundary=x")
        kind = b"--x\r\nContent-Type: application/sdp\r\nContent-Encoding: gzip\r\n\r\n"
        return found(head + kind + data + end)

    sdp = b"v=0\r\no=- 1 1 IN IP4 10.1.1.30\r\nc=IN IP4 10.1.1.31\r\n"
    shown = [("leak", "SDP o=", PHONE), ("media", "SDP c=", "10.1.1.31")]
    assert part(gzip.compress(sdp)) == shown
    assert part(gzip.compress(sdp), b"") == shown
    assert part(gzip.compress(sdp)[:-9])[-1:] == NOT_READ


def test_a_compressed_body_that_nothing_declares() -> None:
    assert body(gzip.compress(b"sip:a@10.1.1.30")) == [("open", "body text/plain", PHONE)]


def test_more_than_is_looked_at() -> None:
    bounds = ("not_read", "bounds", "")
    assert bounds in found(request("Subject: " + "1.2.3.4 " * 8000))
    text = b"sip:a@10.1.1.30"
    for _ in range(5):
        text = base64.b64encode(text)
    assert found(request("Subject: " + text.decode())) == [bounds]
    deep = b"sip:a@10.1.1.30"
    for _ in range(4):
        deep = gzip.compress(deep)
    assert bounds in body(deep)


def test_a_message_that_does_not_parse() -> None:
    data = request("Contact of alice")
    assert found(data) == [("not_read", "malformed", "")]
    assert found(data.replace(b"alice", b"10.1.1.30")) == [
        ("leak", "message that does not parse", PHONE),
        ("not_read", "malformed", ""),
    ]


# --- packets ------------------------------------------------------------------------------------------

LEAVES: dict[str, Any] = {"src": PHONE, "dst": PEER}


def udp(payload: bytes = CLEAN, port: int = 5060, **layer: Any) -> Any:
    return IP(**LEAVES, **layer) / UDP(sport=port, dport=port) / payload


def tcp(payload: bytes = CLEAN, port: int = 5060) -> Any:
    return IP(**LEAVES) / TCP(sport=40000, dport=port, flags="PA") / payload


WRONG_LENGTH = IP(**LEAVES) / UDP(sport=5060, dport=5060, len=9000) / CLEAN
PIECES = fragment(udp(CLEAN + b"x" * 3000), fragsize=1480)  # type: ignore[no-untyped-call]
RTP = b"\x80\x00" + bytes(170)

PACKETS = {
    "SIP over TCP": (tcp(), "tcp"),
    "a segment on a port of SIP": (tcp(b""), "tcp"),
    "SIP over TCP on another port": (tcp(port=8060), "tcp"),
    "TLS": (tcp(b"\x16\x03\x01\x02\x00"), "tls"),
    "TLS on its port": (tcp(b"\x99", 5061), "tls"),
    "DTLS": (udp(b"\x16\xfe\xfd\x00", 5061), "tls"),
    "GRE": (IP(**LEAVES) / GRE() / udp(), "tunnel"),
    "IP in IP": (IP(**LEAVES) / udp(), "tunnel"),
    "in UDP": (
        IP(**LEAVES) / UDP(dport=2152) / (b"\x30\xff\x00\x00\0\0\0\1" + bytes(udp())),
        "tunnel",
    ),
    "a UDP length beyond the packet": (WRONG_LENGTH, "malformed"),
    "the beginning of a datagram": (PIECES[0], "incomplete"),
    "IPv6": (IPv6(src="2001:db8:1::30", dst="2001:db8::9") / TCP(dport=5060) / CLEAN, "tcp"),
    "HTTP": (tcp(b"GET / HTTP/1.1\r\n\r\n", 80), ""),
    "RTP": (udp(RTP, 40000), ""),
    "RTP's beginning": (fragment(udp(RTP * 20, 40000), fragsize=1480)[0], ""),  # type: ignore
    "a later fragment": (PIECES[1], ""),
    "STUN on a port of SIP": (udp(b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)), ""),
    "a keep-alive": (udp(b"\r\n\r\n"), ""),
    "GRE without SIP": (IP(**LEAVES) / GRE() / udp(RTP, 40000), ""),
}


@pytest.mark.parametrize("name", PACKETS)
def test_packets(name: str) -> None:
    packet, reason = PACKETS[name]
    told = unread(bytes(packet), PORTS)
    assert (told.reason if told else "") == reason


def gateway(**settings: Any) -> Any:
    sets = {"inside": [PROXY, "10.1.0.0/16"], "own": [PROXY]} | settings
    config = load(None, env={}, overrides=sets, key_ring_given=True)
    return assemble.gateway(config, ring=KeyRing.generate())


def judge(packet: Any, **settings: Any) -> Verdict:
    verdict: Verdict = gateway(**settings).handle(bytes(packet), 0.0)
    assert isinstance(verdict, Verdict)
    return verdict


REFUSED = {"tcp", "tls", "malformed"}


@pytest.mark.parametrize("name", PACKETS)
def test_the_gateway_tells_it_and_refuses_it_where_that_is_enforced(name: str) -> None:
    packet, reason = PACKETS[name]
    if packet.version == 6 or "fragment" in name or reason == "incomplete":
        return  # not inside here; refused as fragments
    audited, enforced = judge(packet, audit=1), judge(packet, audit="enforce")
    for verdict in (audited, enforced):
        told = [(one.cause, one.field) for one in verdict.shown or ()]
        if verdict.action is not Action.DROP or verdict.outcome == "refused_unread":
            assert told == ([("not_read", reason)] if reason else [])
    if reason in REFUSED:
        assert enforced.action is Action.DROP
    else:
        assert enforced.action is Action.ACCEPT


BEFORE = {
    "a control before a line break": (b"\x01\r\n" + CLEAN, 5060),
    "a control before the method": (b"\x01" + CLEAN, 5060),
    "on another port": (b"\x01\x02\r\n" + CLEAN, 7000),
    "a response": (b"\x01\nSIP/2.0 200 OK\r\n\r\n", 7000),
}


@pytest.mark.parametrize("name", BEFORE)
def test_bytes_before_a_start_line_are_no_tunnel(name: str) -> None:
    packet = udp(*BEFORE[name])
    told = unread(bytes(packet), PORTS)
    assert told is not None
    assert told.reason == "malformed"
    assert judge(packet, audit="enforce").outcome == "refused_unread"
    assert judge(packet, profile="strict").action is Action.DROP


def test_what_enters_or_stays_inside_is_none_of_it() -> None:
    ways: list[dict[str, Any]] = [{"src": PEER, "dst": PHONE}, {"src": PHONE, "dst": PROXY}]
    for ends in ways:
        packet = IP(**ends) / TCP(dport=5060, flags="PA") / CLEAN
        verdict = judge(packet, audit="enforce")
        assert (verdict.action, verdict.shown) == (Action.ACCEPT, None)


def test_who_lets_tcp_pass_says_so() -> None:
    verdict = judge(tcp(), audit="enforce", **{"queue.on_tcp": "accept"})
    assert verdict.action is Action.ACCEPT
    assert [one.field for one in verdict.shown or ()] == ["tcp"]


def test_a_body_that_does_not_decode_is_refused_where_that_is_enforced() -> None:
    packet = udp(request(GZIP) + b"no gzip").copy()
    assert judge(packet, audit="enforce").outcome == "refused_unread"
    assert judge(packet, audit=1).outcome != "refused_unread"


# --- the commands ---------------------------------------------------------------------------------------

Command = Callable[..., Any]


@pytest.fixture
def capture(tmp_path: Path) -> Callable[..., Path]:
    """Write packets to a file."""

    def make(*packets: Any) -> Path:
        path = tmp_path / "a.pcap"
        wrpcap(str(path), [Ether() / packet for packet in packets])
        return path

    return make


INSIDE = ("--inside", "10.1.0.0/16", "--set", 'own=["10.1.1.10", "sip.example.com"]')
CLEAR = udp(request(f"Contact: <sip:a@{PHONE}>").replace(PROXY.encode(), PHONE.encode()))


def test_exit_statuses(command: Command, capture: Callable[..., Path]) -> None:
    clean = IP(src=PROXY, dst=PEER) / UDP(sport=5060, dport=5060) / CLEAN
    for packets, status, verdict in (
        ([clean], 0, "no leaks"),
        ([clean, tcp()], 3, "no leaks in what was read; 1 packet not read"),
        ([clean, CLEAR, tcp()], 1, "1 leak in 1 message: Contact 1"),
        ([clean, udp(RTP, 40000), tcp(b"GET /", 80)], 0, "no leaks"),
    ):
        ended = command("audit", "-r", capture(*packets), *INSIDE)
        assert (ended.status, ended.out.splitlines()[-1]) == (status, verdict)
    alone = command("audit", "-r", capture(tcp()), *INSIDE)
    assert (alone.status, alone.out) == (2, "")


def test_all_of_it_is_listed(command: Command, capture: Callable[..., Path]) -> None:
    clean = IP(src=PROXY, dst=PEER) / UDP(sport=5060, dport=5060) / CLEAN
    bomb = IP(src=PROXY, dst=PEER) / UDP(sport=5060, dport=5060) / (request(GZIP) + b"no")
    tunnel, tls = PACKETS["GRE"][0], PACKETS["TLS"][0]
    path = capture(clean, tcp(), tcp(), bomb, tunnel, tls, WRONG_LENGTH, PIECES[0], PIECES[1])
    ended = command("audit", "-r", path, *INSIDE)
    assert ended.status == 3
    assert [line for line in ended.out.splitlines() if line.startswith("not read")] == [
        "not read: SIP over TCP: 2 (packets 2, 3)",
        "not read: bodies declared as encoded that do not fully decode: 1 (packet 4)",
        "not read: SIP in a tunnel: 1 (packet 5)",
        "not read: TLS on a port of SIP: 1 (packet 6)",
        "not read: packets or messages that do not parse: 1 (packet 7)",
        "not read: packets that are not whole: 1 (packet 8)",
    ]
    tree = json.loads(command("audit", "-r", path, *INSIDE, "--json").out)
    assert tree["leaks"] == tree["not_explained"] == []
    assert tree["not_read"] == {
        "malformed": 1, "tcp": 2, "tls": 1, "tunnel": 1, "incomplete": 1, "body": 1, "bounds": 0,
    }  # fmt: skip
    assert {one["packet"] for one in tree["not_read_packets"]} == {2, 3, 4, 5, 6, 7, 8}
    page = path.with_suffix(".html")
    command("audit", "-r", path, *INSIDE, "--html", page)
    text = page.read_text()
    assert "No leaks in what was read; 7 packets not read" in text
    assert "SIP over TCP: 2 (#2, #3)" in text


def test_replay_strict_leaves_it_out(
    command: Command, capture: Callable[..., Path], tmp_path: Path
) -> None:
    path, out = capture(CLEAR, tcp(), PACKETS["GRE"][0]), tmp_path / "out.pcap"
    words = ("replay", "-r", path, "-w", out, *INSIDE, "--json")
    tree = json.loads(command(*words).out)
    assert tree["refused"] == {}
    ended = command(*words, "--strict")
    assert ended.status == 1
    tree = json.loads(ended.out)
    refused = tree["refused"]["refused_unread"]
    assert (list(tree["refused"]), refused["count"], refused["packets"]) == (
        ["refused_unread"],
        1,
        [2],
    )
    assert tree["packets_written"] == 2
