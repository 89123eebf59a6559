"""Calls that ring twice, and calls that need a password."""

import re
from collections import Counter
from pathlib import Path

import pytest

from lab import calls
from lab.live import Lab
from lab.net import Net
from lab.sipp import SDP, Party
from lab.site import Site
from tests.live.running import Running
from tests.live.traffic import ROUTER, datagrams, dump, refused, showing

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump")]

HOST = f"""\
shape = "host"
inside = ["{calls.PROXY}"]
own = ["{calls.PROXY}", "server.com"]
[topoh]
mask_key_file = "mask.key"
"""
NAT = f"""\
shape = "nat"
inside = ["{calls.PROXY}"]
public = "{calls.EDGE}"
[topoh]
mask_key_file = "mask.key"
"""
CARRIER = "198.51.100.60"
PHONE = "203.0.113.27"
PASSWORD = "[authentication username=alice password=secret]"
CREDENTIALS = re.compile(rb"^(?:Proxy-)?Authorization: .*$", re.MULTILINE)


def in_both_modes(by_default: str) -> pytest.MarkDecorator:
    """Each mode, the other one with --full."""
    return pytest.mark.parametrize(
        "mode",
        [
            pytest.param(mode, marks=[] if mode == by_default else pytest.mark.full)
            for mode in ("topoh", "topos")
        ],
    )


def in_mode(mode: str, config: str, folder: Path) -> str:
    """The configuration, in this mode."""
    stripping = f'mode = "topos"\n{config}[topos]\nstore = "sqlite:///{folder}/dialogs.db"\n'
    return stripping if mode == "topos" else config


@in_both_modes("topos")
def test_bob_and_carol_ring_and_bob_answers(tmp_path: Path, mode: str) -> None:
    bob = calls.answering_bob(ring=500)
    carol = Party("carol")
    carol.asked("INVITE")
    carol.reply("180 Ringing")
    carol.asked("CANCEL")
    carol.reply("200 OK")
    carol.reply("487 Request Terminated", first=True)
    carol.asked("ACK")
    places = {"alice": calls.ALICE, "bob": calls.BOB, "carol": calls.CAROL}
    with Net(tmp_path) as net:
        for name, address in {**places, "srv": calls.PROXY}.items():
            net.host(name, address)
        lab = Lab(net, topoh=False)
        users = {name.upper(): f'"sip:{name}@{places[name]}:5060"' for name in ("bob", "carol")}
        lab.proxy("srv", f"{calls.PROXY}:5060", defines={**users, "FORK": ""})
        running = Running(net, in_mode(mode, HOST, tmp_path), host="srv")
        with dump(net, "srv", "eth0"):
            lab.party("bob", calls.BOB, bob)
            lab.party("carol", calls.CAROL, carol)
            lab.party("alice", calls.ALICE, calls.calling_alice(), via=calls.PROXY)
            lab.done()
        assert refused(running.status()) == []
    for target in places.values():
        for hidden in set(places.values()) - {target}:
            assert showing(tmp_path / "eth0.pcap", target, hidden, of=1) == []


def with_password() -> tuple[Party, Party]:
    """alice registers; she calls and hangs up."""
    register = Party("alice", calls="alice", uri="sip:server.com")
    register.send("REGISTER", "Expires: 600")
    register.answered(401, challenge=True)
    register.send("REGISTER", "Expires: 600", PASSWORD)
    register.answered(200)
    call = Party("alice", calls="bob")
    call.send("INVITE", body=SDP)
    call.answered(100, 407, challenge=True)
    call.send("ACK")
    call.send("INVITE", PASSWORD, body=SDP)
    call.answered(100, 180, 200)
    call.send("ACK")
    call.pause(100)
    call.send("BYE")
    call.answered(407, challenge=True)
    call.send("BYE", PASSWORD)
    call.answered(200)
    return register, call


def credentials(file: Path) -> Counter[bytes]:
    """The header fields of a capture that authenticate."""
    return Counter(
        found for _, _, payload in datagrams(file) for found in CREDENTIALS.findall(payload)
    )


@in_both_modes("topoh")
def test_a_phone_outside_proves_who_it_is_to_the_proxy(site: Site, mode: str) -> None:
    site.run("outside", "ip", "addr", "add", f"{PHONE}/24", "dev", "eth0")
    lab = Lab(site, topoh=False)
    bob = {"BOB": f'"sip:bob@{Site.OUTSIDE}:5060"'}
    lab.proxy("inside", f"{Site.INSIDE}:5060", defines={**bob, "AUTH": ""})
    Running(site, in_mode(mode, ROUTER, site.folder))
    register, call = with_password()
    with dump(site, "gw", "in0"), dump(site, "gw", "out0"):
        lab.party("outside", PHONE, register, via=Site.INSIDE, port=5062)
        lab.done()
        lab.party("outside", Site.OUTSIDE, calls.answering_bob())
        lab.party("outside", PHONE, call, via=Site.INSIDE, port=5062)
        lab.done()
    sent = credentials(site.folder / "out0.pcap")
    assert len(sent) >= 3  # sipp may say a request again
    assert sent == credentials(site.folder / "in0.pcap")
    assert showing(site.folder / "out0.pcap", PHONE, Site.OUTSIDE, of=2) == []


@in_both_modes("topos")
def test_a_phone_system_behind_nat_proves_who_it_is_to_its_carrier(
    tmp_path: Path, mode: str
) -> None:
    register, call = with_password()
    with Net(tmp_path) as net:
        net.host("carrier", CARRIER)
        net.host("bob", calls.FAR)
        net.home("pbx", calls.PROXY, "192.168.178.1", calls.EDGE)
        lab = Lab(net, topoh=False)
        defines = {"NAT": "", "AUTH": "", "BOB": f'"sip:bob@{calls.FAR}:5060"'}
        lab.proxy("carrier", f"{CARRIER}:5060", defines=defines)
        Running(net, in_mode(mode, NAT, tmp_path), host="pbx-nat")
        with dump(net, "pbx-nat", "home"), dump(net, "pbx-nat", "eth0"):
            lab.party("pbx", calls.PROXY, register, via=CARRIER)
            lab.done()
            lab.party("bob", calls.FAR, calls.answering_bob())
            lab.party("pbx", calls.PROXY, call, via=CARRIER)
            lab.done()
    sent = credentials(tmp_path / "home.pcap")
    assert len(sent) >= 3  # sipp may say a request again
    assert sent == credentials(tmp_path / "eth0.pcap")
    assert showing(tmp_path / "eth0.pcap", CARRIER, calls.PROXY, of=2) == []
