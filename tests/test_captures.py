"""The captures show what INDEX.toml and README.md say, by tshark."""

import functools
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import tshark
from tests.gathered import gathered

ROOT = Path(__file__).parents[1]
CAPTURES = ROOT / "captures"
SCRIPT = ROOT / "scripts" / "make_captures"
INDEX = tomllib.loads((CAPTURES / "INDEX.toml").read_text())
needs_tshark = pytest.mark.needs("tshark")
every_capture = pytest.mark.parametrize("file", sorted(INDEX))

PROXY = "192.168.178.10"
EDGE = "203.0.113.5"
OUTSIDE = "198.51.100.22"  # bob, where there is an edge

# The true tokens of the slides
ALICE = "ORylIHvlTJS.IXenCXNciHvPItcZTMWfC6m.T5**"
BOB = "ORylIHvlCJS.IXenCXNciHvPItcZCHW.C6JRIR.o3-Jp3dJMGHDoC8W*"
VIA_INVITE = "JfymiMenCtp4urS5CX1ZiHvRItc.TM5nCHOBT6SfCXN94v5pswyRIRDZN80HU6gBI8LqTwDiCMe.CXm0TMNP"
VIA_BYE = (
    "JfymiMenCtp4urS5CX1ZiHvRItc.TM5nCHOBT6SfCXN94v5pswTRIRDZN80HU6gBI8LqTwDiCHO.T6vgTHJPIPDl3PDf"
    "hXmlT6vR"
)


class Packet(NamedTuple):
    """What tshark sees of one packet; header fields in order, split at their commas."""

    source: str
    destination: str
    method: str
    status: str
    via: list[str]
    record_route: list[str]
    route: list[str]
    contact: list[str]
    path: list[str]
    call_id: str
    refer_to: str
    replaces: str
    r_ack: str
    more_fragments: str
    udp_length: str
    trouble: str
    ip_checksum: str
    udp_checksum: str
    payload: bytes


FIELDS = [
    "_ws.col.Source", "_ws.col.Destination", "sip.Method", "sip.Status-Code", "sip.Via",
    "sip.Record-Route", "sip.Route", "sip.Contact", "sip.Path", "sip.Call-ID", "sip.Refer-To",
    "sip.Replaces", "sip.RAck", "ip.flags.mf", "udp.length", "_ws.malformed", "ip.checksum.status",
    "udp.checksum.status", "udp.payload",
]  # fmt: skip
LISTS = {"sip.Via", "sip.Record-Route", "sip.Route", "sip.Contact", "sip.Path"}


@functools.cache
def _read() -> dict[str, list[Packet]]:
    """Every capture, in one run of tshark."""
    checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    found = tshark.read([CAPTURES / file for file in INDEX], FIELDS, *checks)
    return {
        file: [_packet(values) for values in packets]
        for file, packets in zip(INDEX, found, strict=True)
    }


def packets(file: str) -> list[Packet]:
    return _read()[file]


def _packet(found: tshark.Packet) -> Packet:
    lists = {name: re.split(r",\s*", value) if value else [] for name, value in found.items()}
    read = [lists[name] if name in LISTS else found[name] for name in FIELDS[:-1]]
    return Packet._make([*read, bytes.fromhex(found["udp.payload"])])


def messages(file: str) -> list[Packet]:
    return [packet for packet in packets(file) if packet.method or packet.status]


def sent(file: str, source: str, method: str) -> Packet:
    """The first such request of a file."""
    return next(p for p in messages(file) if p.source == source and p.method == method)


def answered(file: str, source: str, status: str) -> Packet:
    """The first such response of a file."""
    return next(p for p in messages(file) if p.source == source and p.status == status)


def both(name: str, suffix: str = ".pcap") -> pytest.MarkDecorator:
    return pytest.mark.parametrize("file", [f"{name}{suffix}", f"{name}-topoh{suffix}"])


# The index, the README and the folder name the same files


def test_index_names_every_capture() -> None:
    assert set(INDEX) == {path.name for path in CAPTURES.glob("*.pcap*")}


@needs_tshark
def test_readme_names_every_capture_with_its_packets() -> None:
    rows = re.findall(r"^\|.*\| `([\w-]+\.pcap(?:ng)?)` \| (\d+) \|", _readme(), flags=re.M)
    assert {name: int(count) for name, count in rows} == {f: len(packets(f)) for f in INDEX}


def test_readme_names_what_the_script_makes() -> None:
    made_by = {entry["made_by"] for entry in INDEX.values()}
    assert made_by == set(re.findall(r"^\| `([\w-]+)` \|", _readme(), flags=re.M))


def _readme() -> str:
    return (CAPTURES / "README.md").read_text()


# Every file is sound, by tshark


@needs_tshark
@every_capture
def test_a_capture_is_sound_and_shows_what_its_view_says(file: str) -> None:
    gathered(
        lambda: the_index_counts_messages_and_packets(file),
        lambda: nothing_is_malformed_and_all_checksums_are_right(file),
        lambda: only_masked_views_show_what_topoh_writes(file),
    )


def the_index_counts_messages_and_packets(file: str) -> None:
    entry = INDEX[file]
    assert len(messages(file)) == entry["messages"]
    assert len(packets(file)) == entry.get("packets", entry["messages"])


def nothing_is_malformed_and_all_checksums_are_right(file: str) -> None:
    right = {"", "1"}  # tshark: 1 is good; it does not judge UDP of a lone fragment
    assert {packet.trouble for packet in packets(file)} == {""}
    assert {packet.ip_checksum for packet in packets(file)} <= right
    assert {packet.udp_checksum for packet in packets(file)} <= right
    assert {packet.udp_checksum for packet in messages(file)} == {"1"}


def only_masked_views_show_what_topoh_writes(file: str) -> None:
    payload = b"".join(packet.payload for packet in messages(file))
    if INDEX[file].get("mode") == "topos":
        assert b"tpsh-" in payload
    elif INDEX[file]["view"] == "masked":
        assert b"sip:10.1.1.10;line=sr-" in payload
        lower_vias = b"SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-" in payload
        assert lower_vias is (file != "register-outside-topoh.pcap")  # REGISTER is left alone
    else:
        assert b"10.1.1.10" not in payload
        assert b"tpsh-" not in payload
    assert b";TH=" not in payload


def test_formats() -> None:
    magic = {file: (CAPTURES / file).read_bytes()[:4] for file in INDEX}
    nanoseconds, pcapng = bytes.fromhex("4d3cb2a1"), bytes.fromhex("0a0d0d0a")
    assert {f for f in INDEX if magic[f] == nanoseconds} == {"reinvite.pcap", "reinvite-topoh.pcap"}
    assert (
        {f for f in INDEX if magic[f] == pcapng} == {f for f in INDEX if f.endswith("ng")} != set()
    )


# The slides


def test_slide_tokens_are_the_true_ones() -> None:
    wire = (CAPTURES / "slides-outside.pcap").read_bytes()
    assert wire.count(f"sip:10.1.1.10;line=sr-{ALICE}".encode()) == 2
    assert wire.count(f"sip:10.1.1.10;line=sr-{BOB}".encode()) == 2
    assert wire.count(f"SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-{VIA_INVITE}\r\n".encode()) == 2
    assert wire.count(f"SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-{VIA_BYE}\r\n".encode()) == 1
    assert wire.count(b"10.1.1.10") == 7


@needs_tshark
def test_slide_views_differ_in_the_masked_values_only() -> None:
    clear = {
        f"sip:10.1.1.10;line=sr-{ALICE}": "sip:105@192.168.178.27:40416",
        f"sip:10.1.1.10;line=sr-{BOB}": "sip:101@192.168.178.22:1056;line=mu3z2i1j",
        f"SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-{VIA_INVITE}": (
            "SIP/2.0/UDP 192.168.178.27:40416;branch=z9hG4bK321149767"
        ),
        f"SIP/2.0/UDP 10.1.1.10;branch=z9hG4bKsr-{VIA_BYE}": (
            "SIP/2.0/UDP 192.168.178.27:40416;branch=z9hG4bK271415657;rport=40416"
        ),
    }
    inside = [packet.payload for packet in messages("slides-inside.pcap")]
    outside = [packet.payload for packet in messages("slides-outside.pcap")]
    opened = []
    for payload in outside:
        for token, value in clear.items():
            payload = payload.replace(token.encode(), value.encode())
        opened.append(payload)
    assert opened == inside
    assert [a == b for a, b in zip(inside, outside, strict=True)] == [True] + [False] * 5


@needs_tshark
@pytest.mark.parametrize("file", ["topos-slides-inside.pcap", "topos-slides-outside.pcap"])
def test_topos_slides(file: str) -> None:
    shown = [p.method or p.status for p in messages(file)]
    assert shown == ["INVITE", "INVITE", "200", "200", "BYE", "BYE"]
    depth = 1 if "outside" in file else 2
    assert [len(p.via) for p in messages(file)] == [1, depth, depth, 1, 1, depth]


# The calls show what they claim


@needs_tshark
@pytest.mark.parametrize(
    ("name", "claimed"),
    [
        ("basic", "INVITE 100 180 200 ACK BYE"),
        ("reinvite", "INVITE 100 180 200 ACK BYE"),
        ("cancel", "INVITE 100 180 200 487 ACK CANCEL"),
        ("refer", "INVITE 100 180 200 202 ACK BYE REFER NOTIFY"),
        ("subscribe", "SUBSCRIBE NOTIFY 200"),
        ("register", "REGISTER INVITE 100 180 200 ACK BYE"),
        ("register-outside", "REGISTER INVITE 100 180 200 ACK BYE"),
        ("redirect", "INVITE 100 180 200 302 ACK BYE"),
        ("prack", "INVITE 100 183 200 ACK BYE PRACK"),
    ],
)
def test_methods_and_responses(name: str, claimed: str) -> None:
    suffix = ".pcapng" if name == "prack" else ".pcap"
    for file in (f"{name}{suffix}", f"{name}-topoh{suffix}"):
        assert {p.method or p.status for p in messages(file)} == set(claimed.split())


@needs_tshark
@both("reinvite")
def test_both_sides_send_a_reinvite_and_the_callee_ends(file: str) -> None:
    callers = [p.source for p in messages(file) if p.method == "INVITE" and p.source != PROXY]
    assert callers == ["192.168.178.27", "192.168.178.27", "192.168.178.22"]
    assert sent(file, "192.168.178.22", "BYE").destination == PROXY


@needs_tshark
@both("cancel")
def test_cancel_and_ack_repeat_the_branch_of_the_invite(file: str) -> None:
    vias = {sent(file, "192.168.178.27", m).via[0] for m in ("INVITE", "CANCEL", "ACK")}
    assert len(vias) == 1


@needs_tshark
@both("refer")
def test_refer_to_carries_replaces_and_an_invite_uses_it(file: str) -> None:
    refer = sent(file, PROXY, "REFER")
    assert re.search(r"\?Replaces=consult-1%3Bto-tag%3D\w+%3Bfrom-tag%3D\w+>", refer.refer_to)
    invites = [p for p in messages(file) if p.method == "INVITE" and p.replaces]
    assert [p.source for p in invites] == ["192.168.178.22", PROXY]
    assert {p.call_id for p in invites} != {refer.call_id}


@needs_tshark
@both("register")
def test_register_answers_with_two_bindings_and_forgets_all(file: str) -> None:
    bindings = [len(p.contact) for p in messages(file) if p.status == "200" and p.source == PROXY]
    assert 2 in bindings
    assert ["*"] in [p.contact for p in messages(file) if p.method == "REGISTER"]


@needs_tshark
@both("register-outside")
def test_path_of_two_comes_back_as_routes(file: str) -> None:
    path = sent(file, EDGE, "REGISTER").path
    assert path == ["<sip:203.0.113.5;lr>", "<sip:192.168.178.11;lr>"]
    assert sent(file, "198.51.100.60", "INVITE").route == path


@needs_tshark
@both("redirect")
def test_302_has_two_contacts_and_the_first_is_called(file: str) -> None:
    assert len(answered(file, PROXY, "302").contact) == 2
    called = [p.destination for p in messages(file) if p.method == "INVITE" and p.source == PROXY]
    assert called == ["192.168.178.22", "192.168.178.23"]


@needs_tshark
@both("prack", ".pcapng")
def test_prack_names_the_reliable_response(file: str) -> None:
    assert sent(file, PROXY, "PRACK").r_ack == "4711 1 INVITE"


@needs_tshark
@pytest.mark.parametrize(("name", "vias", "routes"), [("two", 3, 4), ("three", 4, 6)])
def test_proxies_in_a_row(name: str, vias: int, routes: int) -> None:
    file = f"{name}-proxies.pcap"
    out = sent(file, EDGE, "INVITE")
    assert (len(out.via), len(out.record_route)) == (vias, routes)
    assert all("r2=on" in route for route in out.record_route)
    back = sent(file, OUTSIDE, "BYE")  # the callee ends the call out: its routes must be opened
    assert back.route == out.record_route
    assert out.record_route[1].startswith("<sip:192.168.178.")
    answers = [p for p in messages(file) if p.source == EDGE and p.status == "200"]
    above = [p.record_route[:-1] for p in answers if p.record_route]  # the call in: above our own
    assert [len(entries) for entries in above] == [routes - 1]
    assert "192.168.178.11" in above[0][0]


@needs_tshark
@pytest.mark.parametrize(("name", "vias", "routes"), [("two", 3, 4), ("three", 4, 6)])
def test_proxies_in_a_row_with_topoh(name: str, vias: int, routes: int) -> None:
    out = sent(f"{name}-proxies-topoh.pcap", EDGE, "INVITE")
    assert (len(out.via), len(out.record_route)) == (vias, routes)
    assert all("10.1.1.10;" in value for value in [*out.via[1:], *out.record_route[1:]])


@needs_tshark
@both("spiral")
def test_a_spiral_passes_the_proxy_twice(file: str) -> None:
    invites = [p for p in messages(file) if p.method == "INVITE"]
    assert [p.source for p in invites] == ["192.168.178.27", PROXY, "198.51.100.50", PROXY]
    assert [len(p.via) for p in invites] == [1, 2, 3, 4]
    assert [len(p.record_route) for p in invites] == [0, 1, 2, 3]


@needs_tshark
def test_the_remote_phone_has_the_address_of_one_inside() -> None:
    file = "remote-phone.pcap"
    at_home = sent(file, "198.51.100.7", "REGISTER")
    inside = sent(file, "192.168.178.22", "INVITE")
    assert at_home.via[0].startswith("SIP/2.0/UDP 192.168.178.22:5060;")
    assert at_home.contact == ["<sip:carol@192.168.178.22:5060>"]
    assert inside.contact == ["<sip:bob@192.168.178.22:5060>"]
    assert "received=198.51.100.7" in answered(file, EDGE, "200").via[0]


@needs_tshark
def test_behind_nat_the_private_address_stands_in_the_packet_too() -> None:
    register = sent("nat.pcap", PROXY, "REGISTER")
    assert register.via[0].startswith("SIP/2.0/UDP 192.168.178.10:5060;")
    assert register.contact == ["<sip:alice@192.168.178.10:5060>"]
    assert "received=203.0.113.5" in answered("nat.pcap", "198.51.100.60", "200").via[0]
    assert sent("nat.pcap", "198.51.100.60", "INVITE").destination == PROXY


@needs_tshark
@pytest.mark.parametrize("name", ["ipv6", "fragments6"])
def test_ipv6(name: str) -> None:
    for file in (f"{name}.pcap", f"{name}-topoh.pcap"):
        assert all(":" in p.source and ":" in p.destination for p in packets(file))


@needs_tshark
@both("compact")
def test_compact_names(file: str) -> None:
    invite = sent(file, PROXY, "INVITE")
    names = re.findall(rb"^([a-z]): ", invite.payload, flags=re.M)
    assert names == [b"v", b"f", b"t", b"i", b"m", b"k", b"c", b"l"]
    assert b"\r\nv: " in answered(file, "192.168.178.22", "200").payload


@needs_tshark
@both("fragments")
def test_fragments(file: str) -> None:
    assert int(sent(file, "192.168.178.27", "INVITE").udp_length) >= 3500
    assert [p.more_fragments for p in packets(file)].count("1") == 4
    assert len(packets(file)) - len(messages(file)) == 4


@needs_tshark
@both("fragments6")
def test_fragments_of_ipv6(file: str) -> None:
    assert int(sent(file, "2001:db8:178::27", "INVITE").udp_length) >= 3500
    assert len(packets(file)) - len(messages(file)) == 4


@needs_tshark
def test_the_call_id_carries_an_inside_address_or_a_token() -> None:
    assert {p.call_id.split("@")[1] for p in messages("callid.pcap")} == {"192.168.178.27"}
    assert {p.call_id[:3] for p in messages("callid-topoh.pcap")} == {"!!:"}


# The script


@pytest.mark.parametrize("name", ["slides", "topos-slides"])
def test_written_captures_come_out_the_same(name: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, "--into", tmp_path, name], check=True)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {f: (CAPTURES / f).read_bytes() for f in INDEX if INDEX[f]["made_by"] == name}


@pytest.fixture
def script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run make_captures in this process, as it refuses to work; what it says."""

    def refuse(*words: str) -> str:
        monkeypatch.syspath_prepend(SCRIPT.parent)
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert end.value.code == 2
        return capsys.readouterr().err

    return refuse


def test_live_captures_need_root(
    script: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = script("--into", str(tmp_path / "new"), "slides", "basic")
    assert said.endswith("error: live captures need root (network namespaces): basic\n")
    assert not (tmp_path / "new").exists()


def test_unknown_names_are_refused(script: Callable[..., str]) -> None:
    assert "error: no such capture: nothing (there are: slides, " in script("nothing")


@pytest.mark.full
@pytest.mark.root
@pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump", "tshark")
def test_a_live_capture_is_made_and_its_namespaces_are_removed(tmp_path: Path) -> None:
    making = subprocess.Popen([sys.executable, SCRIPT, "--into", tmp_path, "basic"])
    assert making.wait(60) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"basic.pcap", "basic-topoh.pcap"}
    made = str(tmp_path / "basic-topoh.pcap")
    listed = ["tshark", "-r", made, "-Y", "sip", "-T", "fields", "-e", "frame.number"]
    found = subprocess.run(listed, capture_output=True, check=True)
    assert len(found.stdout.split()) == INDEX["basic-topoh.pcap"]["messages"]
    left = subprocess.run(["ip", "netns"], capture_output=True, check=True, text=True).stdout
    assert f"lab{making.pid}-" not in left
