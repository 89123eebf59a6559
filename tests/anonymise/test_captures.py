"""Every capture of the corpus and of the project, anonymised: what tshark read in the original it reads
nowhere in the result, and it finds nothing broken there that was not broken before."""
# mypy: allow-untyped-calls

import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from scapy.utils import RawPcapReader

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "captures"
EXPECTED = tomllib.loads((ROOT / "tests" / "corpus" / "expected.toml").read_text())["corpus"]
INDEX = tomllib.loads((CAPTURES / "INDEX.toml").read_text())
ROWS = [(row["file"], row) for row in EXPECTED if "inside" in row] + list(INDEX.items())

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


@cache
def read(path: Path) -> Read:
    fields = [*ADDRESSES, *USERS, *MACS, *JUDGED]
    words = ["tshark", "-n", "-r", str(path), *CHECKS, "-T", "fields", "-E", "aggregator=|"]
    for field in fields:
        words += ["-e", field]
    out = subprocess.run(words, capture_output=True, check=True).stdout.decode("utf-8", "replace")
    found: dict[str, list[list[str]]] = {field: [] for field in fields}
    for line in out.splitlines():
        for field, values in zip(fields, line.split("\t"), strict=False):
            found[field].append(values.split("|"))

    def all_of(names: list[str]) -> set[str]:
        return {one.strip('" ').lower() for name in names for many in found[name] for one in many}

    shown = all_of(ADDRESSES) - OF_SIP
    wrong = [any("0" in found[name][n] for name in JUDGED[1:]) for n in range(len(found["ip.src"]))]
    return Read(
        {one for one in shown if is_address(one) and not NOBODY.fullmatch(one)},
        {one for one in shown if not is_address(one)},
        all_of(USERS) - OF_SIP,
        {one for one in all_of(MACS) - {""} if not SHARED.fullmatch(one)},
        sum(bool(many[0]) for many in found[JUDGED[0]]),
        sum(wrong),
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


@pytest.fixture(params=ROWS, ids=lambda row: f"{Path(row[0]).name}-{row[1]['inside'][0]}")
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
    before, after = read(shared.before), read(shared.after)
    assert not before.addresses & after.addresses
    assert not before.names & after.names
    assert not before.users & after.users
    assert not before.macs & after.macs
    assert after.malformed <= before.malformed
    assert after.wrong <= before.wrong
    no_byte_spells(before, shared.after)
    only_messages_have_a_payload(shared.after)


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


def only_messages_have_a_payload(path: Path) -> None:
    data = "data.len > 0 and not (ip.flags.mf == 1 or ip.frag_offset > 0 or ipv6.fraghdr.ident)"
    words = ["tshark", "-n", "-r", str(path), "-Y", f"tcp.len > 0 or rtp or dns or ({data})"]
    words += ["-T", "fields", "-e", "frame.cap_len", "-e", "frame.len"]
    out = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    for line in out.splitlines():
        captured, length = map(int, line.split("\t"))
        assert captured < length
