"""What a capture is taken to say about a network."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether

from inline_topo import assemble
from inline_topo.config import load as load_config
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.report import proposal, survey
from inline_topo.report.messages import Tally, load

Make = Callable[..., Path]
PHONE, PROXY, CARRIER = "10.0.0.5", "203.0.113.5", "198.51.100.9"


def request(*vias: str, more: str = "", call: str = "1", size: int = 0) -> str:
    lines = "".join(f"Via: SIP/2.0/UDP {via};branch=z9hG4bK{via}\n" for via in vias)
    return (
        f"INVITE sip:b@carrier.example SIP/2.0\n{lines}From: <sip:a@x.example>;tag=a\n"
        f"To: <sip:b@y.example>\nCall-ID: {call}\nCSeq: 1 INVITE\nContact: <sip:a@{PHONE}>\n"
        f"{more}Content-Length: {size}\n\n" + "x" * size
    )


def propose(path: Path) -> dict[str, list[str | int]]:
    proposed = proposal.propose(load(str(path), Tally()))
    assert proposed
    return proposed.settings()


def warn(path: Path, **settings: Any) -> list[str]:
    config = load_config(None, env={}, overrides=settings, key_ring_given=True)
    hosts, policy = assemble.hosts(config), assemble.policy(config)
    tally = Tally()
    messages = load(str(path), tally)
    return survey.warnings(
        messages,
        tally,
        config,
        assemble.flows(config, hosts, policy),
        assemble.tokens(
            config, assemble.Leg.GATEWAY, assemble.codec(config, KeyRing.generate()), hosts, policy
        ),
    )


@pytest.mark.parametrize(
    "name",
    ["slides-inside.pcap", "basic.pcap", "ipv6.pcap", "two-proxies.pcap", "three-proxies.pcap",
     "remote-phone.pcap", "spiral.pcap"],
)  # fmt: skip
def test_proposes_what_the_makers_of_a_capture_configured(captures: Path, name: str) -> None:
    row = tomllib.loads((captures / "INDEX.toml").read_text())[name]
    proposed = propose(captures / name)
    assert (proposed["inside"], proposed["own"]) == (row["inside"], row["own"])
    assert proposed["ports"] == [5060]


def test_private_hosts_behind_a_public_proxy(make_capture: Make) -> None:
    path = make_capture(
        "a.pcap", (PHONE, PROXY, request(PHONE)), (PROXY, CARRIER, request(PROXY, PHONE))
    )
    assert propose(path)["inside"] == [PHONE, PROXY]
    assert propose(path)["own"] == [PROXY, "carrier.example"]


def test_two_private_hosts_are_their_network(make_capture: Make) -> None:
    path = make_capture(
        "a.pcap", *((host, CARRIER, request(host)) for host in ("10.0.0.5", "10.0.0.6"))
    )
    assert propose(path)["inside"] == ["10.0.0.0/24"]


def test_all_public_the_busiest_is_inside(make_capture: Make) -> None:
    path = make_capture(
        "a.pcap",
        ("198.51.100.1:5062", PROXY + ":5080", request("198.51.100.1", call="1")),
        ("198.51.100.2:5062", PROXY + ":5080", request("198.51.100.2", call="2")),
    )
    proposed = propose(path)
    assert (proposed["inside"], proposed["ports"]) == ([PROXY], [5080])


def test_the_proposal_can_be_pasted(captures: Path) -> None:
    proposed = proposal.propose(load(str(captures / "basic.pcap"), Tally()))
    assert proposed
    lines = proposed.toml("basic.pcap", 13)
    assert tomllib.loads("\n".join(lines)) == proposed.settings()
    assert "# 192.168.178.10: record-routes (1 request)" in lines
    assert lines[0] == "# proposed from 13 SIP messages in basic.pcap: judge for yourself"


def test_a_line_break_in_a_files_name_breaks_no_toml(captures: Path) -> None:
    proposed = proposal.propose(load(str(captures / "basic.pcap"), Tally()))
    assert proposed
    tree = tomllib.loads("\n".join(proposed.toml('a\nmode = "x"\n.pcap', 13)))
    assert tree == proposed.settings()


def test_no_sip_no_proposal() -> None:
    assert proposal.propose([]) is None


# --- warnings -----------------------------------------------------------------------------------

BOTH_WAYS = ((PROXY, CARRIER, request(PROXY)), (CARRIER, PROXY, request(CARRIER, call="2")))
ROUTED = f"Record-Route: <sip:{PROXY};lr>\n"


def test_nothing_to_warn_of(make_capture: Make) -> None:
    path = make_capture(
        "a.pcap",
        (PROXY, CARRIER, request(PROXY, PHONE, more=ROUTED)),
        (CARRIER, PROXY, request(CARRIER, call="2")),
    )
    assert warn(path, inside=[PROXY, "10.0.0.0/8"], own=[PROXY]) == []


def test_no_record_route(make_capture: Make) -> None:
    path = make_capture("a.pcap", *BOTH_WAYS)
    [warning] = warn(path, inside=[PROXY])
    assert warning.startswith("1 of 1 dialog whose Contacts are masked have no Record-Route")


@pytest.mark.parametrize(
    ("size", "words"), [(900, None), (1000, "between 1300 and 1500"), (1300, "longer than 1500")]
)
def test_sizes_after_masking(make_capture: Make, size: int, words: str | None) -> None:
    text = request(PROXY, more=ROUTED, size=size)
    path = make_capture("a.pcap", (PROXY, CARRIER, text), BOTH_WAYS[1])
    found = warn(path, inside=[PROXY])
    assert [words in warning for warning in found] == ([True] if words else [])  # type: ignore[operator]


def test_a_long_uri(make_capture: Make) -> None:
    long = f"Contact: <sip:{'x' * 250}@{PHONE}>"
    text = request(PROXY, more=ROUTED).replace(f"Contact: <sip:a@{PHONE}>", long)
    path = make_capture("a.pcap", (PROXY, CARRIER, text), BOTH_WAYS[1])
    [warning] = warn(path, inside=[PROXY])
    assert warning.startswith("1 message would carry a masked URI of more than 255 bytes")


def test_own_that_is_not_inside(make_capture: Make) -> None:
    path = make_capture("a.pcap", (PROXY, CARRIER, request(PROXY, more=ROUTED)), BOTH_WAYS[1])
    [warning] = warn(path, inside=[PROXY], own=[PROXY, "192.0.2.77"])
    assert warning.startswith("own address 192.0.2.77 is not in `inside`")


def test_directions(make_capture: Make) -> None:
    path = make_capture("a.pcap", (PROXY, CARRIER, request(PROXY, more=ROUTED)))
    assert warn(path, inside=[PROXY]) == ["traffic in one direction only (1 egress)"]
    [warning] = warn(path, inside=["192.0.2.77"])
    assert warning == "no message leaves or enters `inside` (1 transit)"


def test_what_is_wrong_with_packets(make_capture: Make, frame: Callable[..., Any]) -> None:
    good = frame(PROXY, CARRIER, request(PROXY, more=ROUTED))
    wrong = good.copy()
    wrong[UDP].chksum = 0x1234
    offload = good.copy()
    pseudo = IP(bytes(good[IP]))
    words = bytes(map(int, f"{PROXY}.{CARRIER}".split(".")))
    total = (
        sum(int.from_bytes(words[i : i + 2], "big") for i in range(0, 8, 2)) + 17 + pseudo[UDP].len
    )
    offload[UDP].chksum = (total & 0xFFFF) + (total >> 16)
    pieces = fragment(frame(PROXY, CARRIER, request(PROXY, more=ROUTED, size=3000)), fragsize=1480)  # type: ignore[no-untyped-call]
    wire = request(PROXY).replace("\n", "\r\n").encode()
    tcp = Ether() / IP(src=PROXY, dst=CARRIER) / TCP(dport=5060, flags="PA") / wire
    back = frame(CARRIER, PROXY, request(CARRIER, call="2"))
    path = make_capture("a.pcap", wrong, offload, *pieces, pieces[0], tcp, back)
    found = warn(path, inside=[PROXY])
    starts = [
        "1 message that leaves would be longer than 1500",
        "1 message over TCP",
        "1 message in 3 fragments",
        "1 fragment without the rest",
        "1 message with the checksum left to the network card",
        "1 message with a wrong UDP checksum",
    ]
    assert [start for start in starts if not any(line.startswith(start) for line in found)] == []
    assert len(found) == len(starts)


def test_phones_without_a_proxy(make_capture: Make) -> None:
    """What a packet shows is said: phones are routed straight to a registrar outside."""
    path = make_capture(
        "a.pcap", (PHONE, CARRIER, request(PHONE, more=ROUTED)), (CARRIER, PHONE, request(CARRIER))
    )
    found = warn(path, inside=["10.0.0.0/24", PROXY], own=[PROXY])
    assert any(one.startswith("1 of 1 message that leave come straight from") for one in found), (
        found
    )
    behind = make_capture("b.pcap", (PROXY, CARRIER, request(PROXY, more=ROUTED)), BOTH_WAYS[1])
    assert warn(behind, inside=["10.0.0.0/24", PROXY], own=[PROXY]) == []
