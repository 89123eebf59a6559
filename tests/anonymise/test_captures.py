"""Every capture of the corpus and of the project, anonymised: what tshark read in the original it reads
nowhere in the result, and it finds nothing broken there that was not broken before."""
# mypy: allow-untyped-calls

import json
import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from scapy.utils import RawPcapReader

from tests import tshark
from tests.corpus.rows import CAPTURES, EXPECTED, INDEX, param

ROWS = [(row["file"], row) for row in EXPECTED["corpus"]] + list(INDEX.items())
OWN = {
    *("slides-outside.pcap", "topos-slides-outside.pcap", "refer.pcap", "register-outside.pcap"),
    *("prack.pcapng", "compact.pcap", "fragments.pcap", "fragments6.pcap", "nat.pcap"),
}
"""The project's own captures that are anonymised by default."""


def _param(name: str, row: dict[str, Any]) -> Any:
    one = param((name, row), name, row)
    is_long = name in INDEX and name not in OWN and not one.marks
    return pytest.param(*one.values, id=one.id, marks=pytest.mark.full if is_long else one.marks)


ADDRESSES = [
    *("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "arp.src.proto_ipv4", "arp.dst.proto_ipv4"),
    *("sip.from.host", "sip.to.host", "sip.r-uri.host", "sip.contact.host", "sip.Via.received"),
    *("sip.Via.sent-by.address", "sip.Route.host", "sip.Record-Route.host"),
    *("sdp.owner.address", "sdp.connection_info.address"),
]
USERS = [
    *("sip.from.user", "sip.to.user", "sip.r-uri.user", "sip.contact.user", "sip.pai.user"),
    *("sip.ppi.user", "sip.auth.username", "sdp.owner.username"),
    *("sip.from.display.info", "sip.to.display.info"),
]
MACS = ["eth.src", "eth.dst", "sll.src.eth", "arp.src.hw_mac", "arp.dst.hw_mac"]
JUDGED = ["_ws.malformed", *(f"{name}.checksum.status" for name in ("ip", "udp", "tcp", "icmp"))]
PAYLOADS = [
    *("frame.cap_len", "frame.len", "tcp.len", "rtp", "dns", "data.len"),
    *("ip.flags.mf", "ip.frag_offset", "ipv6.fraghdr.ident"),
]
CHECKS = [f"-o{name}.check_checksum:TRUE" for name in ("ip", "udp", "tcp")]
NOBODY = re.compile(
    r"0\.0\.0\.0|127\.0\.0\.1|255\.255\.255\.255|224\.0\.[01]\.\d+|::1?|ff0[0-9a-f]::.*"
)
SHARED = re.compile(r"ff:ff:ff:ff:ff:ff|01:.*|33:33:.*|00:00:00:00:00:00")
OF_SIP = {
    "anonymous",
    "anonymous.invalid",
    "unavailable",
    "-",
    "",
    "sip",
    "info",
    "call",
    "audio",
    "server",
    "user",
}


class Read(NamedTuple):
    """What tshark reads in a capture."""

    addresses: set[str]
    names: set[str]
    users: set[str]
    macs: set[str]
    malformed: int
    wrong: int


def read(packets: list[tshark.Packet]) -> Read:
    def all_of(names: list[str]) -> set[str]:
        found = (one for packet in packets for name in names for one in packet[name].split("|"))
        return {one.strip('" ').lower() for one in found}

    shown = all_of(ADDRESSES) - OF_SIP
    return Read(
        {one for one in shown if is_address(one) and not NOBODY.fullmatch(one)},
        {one for one in shown if not is_address(one)},
        all_of(USERS) - OF_SIP,
        {one for one in all_of(MACS) - {""} if not SHARED.fullmatch(one)},
        sum(bool(packet[JUDGED[0]]) for packet in packets),
        sum(any("0" in packet[name] for name in JUDGED[1:]) for packet in packets),
    )


def is_address(text: str) -> bool:
    try:
        return bool(ip_address(text.strip("[]")))
    except ValueError:
        return False


class Shared(NamedTuple):
    """A capture, what it became, and the report."""

    before: Path
    after: Path
    report: dict[str, Any]


@pytest.fixture(params=[_param(*row) for row in ROWS])
def shared(request: pytest.FixtureRequest, command: Callable[..., Any], tmp_path: Path) -> Shared:
    name, row = request.param
    folder = CAPTURES if name in INDEX else request.getfixturevalue("corpus")
    source, target = folder / name, tmp_path / f"shared{Path(name).suffix}"
    inside = [word for network in row["inside"] for word in ("--inside", network)]
    ran = command("replay", "--anonymise", "-r", source, "-w", target, *inside, "--json")
    assert ran.status == 0, ran.err
    return Shared(source, target, json.loads(ran.out))


@pytest.mark.needs("tshark")
def test_no_name_is_read_again(shared: Shared) -> None:
    fields = [*dict.fromkeys([*ADDRESSES, *USERS, *MACS, *JUDGED, *PAYLOADS])]
    packets = tshark.read([shared.before, shared.after], fields, *CHECKS, aggregator="|")
    before, after = map(read, packets)
    assert not before.addresses & after.addresses
    assert not before.names & after.names
    assert not before.users & after.users
    assert not before.macs & after.macs
    assert after.malformed <= before.malformed
    assert after.wrong <= before.wrong
    no_byte_spells(before, shared.after)
    only_messages_have_a_payload(packets[1])


def no_byte_spells(before: Read, path: Path) -> None:
    """Addresses, names with a dot and users that are no common word or short number, anywhere."""
    looked_for = before.addresses | {
        name for name in before.names if "." in name and "/" not in name
    }
    looked_for |= {user for user in before.users if len(user) > 4 and not user.isdigit()}
    with RawPcapReader(str(path)) as reader:
        texts = [data for data, _ in reader]
    for name in looked_for:
        pattern = rb"(?i)(?<![0-9A-Za-z.])%b(?![0-9A-Za-z])" % re.escape(name.encode())
        assert not [text for text in texts if re.search(pattern, text)], name


def only_messages_have_a_payload(packets: list[tshark.Packet]) -> None:
    """What else has one is cut, or a fragment."""
    for packet in packets:
        is_first = packet["ip.frag_offset"].split("|")[0] in ("", "0")
        is_whole = is_first and not packet["ip.flags.mf"].startswith("1")
        is_data = packet["data.len"].strip("0|") and is_whole and not packet["ipv6.fraghdr.ident"]
        if packet["tcp.len"].strip("0|") or packet["rtp"] or packet["dns"] or is_data:
            assert int(packet["frame.cap_len"]) < int(packet["frame.len"])
