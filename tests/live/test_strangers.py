"""A phone outside, at home behind NAT, with an address of the range that the inside has.

It registers with a real Kamailio inside, moves to another home, refreshes, is called, calls, transfers
and hangs up, through the gateway; then the gateway drains, and goes. Kamailio has nathelper as Debian's
kamailio.cfg with WITH_NAT, or has nothing of the kind.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from attacks.message import Message, bare
from lab.live import Lab
from lab.site import Site
from tests.live.dialogs import DOMAIN, SDP, Dialog, Phone, bindings
from tests.live.running import Running
from tests.live.traffic import datagrams, dump, packed

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "kamailio", "tcpdump")]

HOMES = {"home": "198.51.100.7", "moved": "198.51.100.8"}
"""Where carol's phone is, and the address that her router has there."""

CAROL, BOB, ALICE = "192.168.178.30", "192.168.178.27", "192.168.178.28"
CONFIG = f"""\
profile = "{{profile}}"
inside = ["192.168.178.0/24"]
own = ["{Site.INSIDE}", "{DOMAIN}"]
{{more}}[topoh]
mask_key_file = "mask.key"
[media]
relay = "{{relay}}"
"""
MARK = re.compile(r";out=[A-Za-z0-9_-]+")


class Town(NamedTuple):
    """The network: Kamailio, bob and alice inside, the gateway, and two homes."""

    site: Site
    profile: str
    carol: Phone
    moved: Phone
    bob: Phone
    alice: Phone
    gateway: Running

    @property
    def nowhere(self) -> str:
        """What the registrar has for the host and port of carol's Contact."""
        return "out.invalid" if self.profile == "strict" else f"{CAROL}:5060"

    def sdp(self, address: str) -> str:
        """A description, where no relay is asked for one."""
        return SDP.format(address) if self.profile != "strict" else ""


def town(site: Site, profile: str, *, nathelper: bool, mode: str = "topoh") -> Town:
    """Build it, with a gateway that is at work."""
    site.with_homes()
    for home, public in HOMES.items():
        site.home(home, CAROL, "192.168.178.1", public)
    for address in (BOB, ALICE):
        site.run("inside", "ip", "addr", "add", f"{address}/24", "dev", "eth0")
    users = {"BOB": f'"sip:bob@{BOB}:5062"', "ALICE": f'"sip:alice@{ALICE}:5064"'}
    lab = Lab(site, topoh=False)
    lab.proxy("inside", f"{Site.INSIDE}:5060", defines=users | ({"NAT": ""} if nathelper else {}))
    store = f'mode = "topos"\ntopos.store = "sqlite:///{site.folder}/dialogs.db"\n'
    more = store if mode == "topos" else ""
    relay = "rtpengine" if profile == "strict" else "none"
    gateway = Running(site, CONFIG.format(profile=profile, relay=relay, more=more))
    return Town(
        site,
        profile,
        Phone(site, "home", "carol", (CAROL, 5060)),
        Phone(site, "moved", "carol", (CAROL, 5060)),
        Phone(site, "inside", "bob", (BOB, 5062)),
        Phone(site, "inside", "alice", (ALICE, 5064)),
        gateway,
    )


@pytest.mark.parametrize(
    ("profile", "mode"),
    [
        ("strict", "topoh"),
        pytest.param("default", "topoh", marks=pytest.mark.full),
        pytest.param("default", "topos", marks=pytest.mark.full),
        pytest.param("strict", "topos", marks=pytest.mark.full),
    ],
)
def test_a_phone_of_the_insides_range_by_nathelper(site: Site, profile: str, mode: str) -> None:
    at = town(site, profile, nathelper=True, mode=mode)
    with dump(site, "gw", "in0"), dump(site, "gw", "wan0"):
        assert bindings(at.carol.register()) == [at.carol.uri]
        _is_called(at, at.carol, "first")
        at.moved.sent = at.carol.sent
        assert bindings(at.moved.register()) == [at.moved.uri]
        _is_called(at, at.moved, "moved")
        _calls(at)
        lasting = _ring(at, at.moved, "lasting")
    _judge(at)
    _drains(at, *lasting)


def _ring(at: Town, carol: Phone, call_id: str) -> tuple[Dialog, Dialog]:
    """bob calls carol, who answers: his side and hers."""
    his = Dialog.calling(at.bob, f"sip:carol@{DOMAIN}", call_id, at.sdp(BOB))
    invite = carol.hear("INVITE")
    assert invite.target == carol.uri
    assert BOB not in str(invite.fields)
    hers = Dialog.called(carol, invite, carol.answer(invite, "200 OK", at.sdp(CAROL)))
    ok = his.answered()
    assert _stranger(ok.first("Contact"), HOMES[carol.host])
    assert carol.hear("ACK").target == carol.uri
    return his, hers


def _stranger(contact: str, public: str) -> bool:
    """Whether the inside knows carol by the address of her router there, and a mark."""
    return bool(
        re.match(rf"<sip:carol@{re.escape(public)}:[0-9]+;", contact) and MARK.search(contact)
    )


def _is_called(at: Town, carol: Phone, call_id: str) -> None:
    """bob calls carol, asks again into the dialog, and hangs up."""
    his, _ = _ring(at, carol, call_id)
    his.send("INVITE", at.sdp(BOB))
    again = carol.hear("INVITE")
    assert again.target == carol.uri
    carol.answer(again, "200 OK", at.sdp(CAROL))
    his.answered()
    carol.hear("ACK")
    his.send("BYE")
    bye = carol.hear("BYE")
    assert bye.target == carol.uri
    carol.answer(bye, "200 OK")
    at.bob.hear("200 BYE")


def _calls(at: Town) -> None:
    """carol calls bob, who sends her on to alice; she has a second line that bob is sent to."""
    hers = Dialog.calling(at.moved, f"sip:bob@{DOMAIN}", "hers", at.sdp(CAROL))
    invite = at.bob.hear("INVITE")
    assert invite.target == at.bob.uri
    assert _stranger(invite.first("Contact"), HOMES["moved"])
    assert f"c=IN IP4 {CAROL}" not in invite.body or at.profile == "default"
    his = Dialog.called(at.bob, invite, at.bob.answer(invite, "200 OK", at.sdp(BOB)))
    ok = hers.answered()
    assert BOB not in ok.first("Contact")
    assert at.bob.hear("ACK").target == at.bob.uri

    line = f"sip:carol@{CAROL}:5070"  # a second one of her phone
    if at.profile == "strict":  # it claims to be inside
        hers.send("REFER", Refer_To=f"<{line}>")
        at.gateway.await_status(lambda state: _claims(state) == 1)
        line = f"sip:alice@{DOMAIN}"
    hers.send("REFER", Refer_To=f"<{line}>", Referred_By=f"<{at.moved.uri}>")
    refer = at.bob.hear("REFER")
    referred = bare(refer.first("Refer-To"))
    assert MARK.sub("", referred) == line
    assert ("out=" in referred) is (CAROL in line)
    assert CAROL not in refer.first("Referred-By")
    at.bob.answer(refer, "202 Accepted")
    at.moved.hear("202 REFER")

    replaces = "consult%3Bto-tag%3Da%3Bfrom-tag%3Db"
    his.send("REFER", Refer_To=f"<{at.alice.uri}?Replaces={replaces}>")
    refer = at.moved.hear("REFER")
    assert refer.target == at.moved.uri
    target, _, headers = bare(refer.first("Refer-To")).partition("?")
    assert ALICE not in target
    assert headers == f"Replaces={replaces}"
    at.moved.answer(refer, "202 Accepted")
    at.bob.hear("202 REFER")
    third = Dialog.calling(
        at.moved, target, "third", at.sdp(CAROL), Replaces="consult;to-tag=a;from-tag=b"
    )
    joined = at.alice.hear("INVITE")
    assert joined.target == at.alice.uri
    assert _stranger(joined.first("Contact"), HOMES["moved"])
    at.alice.answer(joined, "200 OK", at.sdp(ALICE))
    third.answered()
    assert at.alice.hear("ACK").target == at.alice.uri
    for dialog, other in ((third, at.alice), (hers, at.bob)):
        dialog.send("BYE")
        other.answer(other.hear("BYE"), "200 OK")
        at.moved.hear("200 BYE")


def _judge(at: Town) -> None:
    """What the two links have seen: no phone is seen outside, and carol never as one of the inside."""
    folder = at.site.folder
    outer = list(_messages(folder / "wan0.pcap", *map(packed, HOMES.values())))
    assert len(outer) >= 15
    for message in outer:
        text = "\n".join([message.start, *map(": ".join, message.fields)])
        assert not [place for place in (BOB, ALICE) if place in text], text
        assert not MARK.search(text), text
    inner = list(_messages(folder / "in0.pcap", packed(Site.INSIDE)))
    assert len(inner) >= 15
    for message in inner:
        for name in ("Contact", "Record-Route", "Refer-To"):
            for value in message.values(name):
                assert CAROL not in value or MARK.search(value), (name, value)
    registered = [each for each in inner if each.method == "REGISTER"]
    assert len(registered) == 2
    [contact] = {bare(each.first("Contact")) for each in registered}  # the same at each refresh
    assert re.fullmatch(rf"sip:carol@{re.escape(at.nowhere)};out=[\w-]+", contact)


def _messages(file: Path, *targets: bytes) -> Iterator[Message]:
    for _, target, payload in datagrams(file):
        if target in targets:
            yield Message.parse(payload)


def _drains(at: Town, his: Dialog, hers: Dialog) -> None:
    """A call goes on, a refresh moves the binding out of its mark, and when the gateway has gone the
    phone is called by its own name."""
    assert at.gateway.end() == 0
    (at.site.folder / "gateway.log").write_text("")
    at.gateway.start("--drain")
    hers.send("INFO")
    at.bob.answer(at.bob.hear("INFO"), "200 OK")
    at.moved.hear("200 INFO")
    his.send("BYE")
    bye = at.moved.hear("BYE")
    assert bye.target == at.moved.uri
    at.moved.answer(bye, "200 OK")
    at.bob.hear("200 BYE")
    _meets(at, "by its mark")
    assert bindings(at.moved.register()) == [at.moved.uri]
    assert at.gateway.status()["edits"]["withdrawn"] == {"Contact": 1}
    _meets(at, "by its name")
    assert at.gateway.end() == 0
    at.gateway.rules("remove")
    _meets(at, "without a gateway")
    assert bindings(at.moved.register(expires=0)) == []
    Dialog.calling(at.bob, f"sip:carol@{DOMAIN}", "gone")
    at.bob.hear("404 INVITE")


def _meets(at: Town, call_id: str) -> None:
    """bob calls carol, who answers and hangs up."""
    his = Dialog.calling(at.bob, f"sip:carol@{DOMAIN}", call_id.replace(" ", "-"))
    invite = at.moved.hear("INVITE")
    assert invite.target == at.moved.uri
    hers = Dialog.called(at.moved, invite, at.moved.answer(invite, "200 OK"))
    his.answered()
    at.moved.hear("ACK")
    hers.send("BYE")
    at.bob.answer(at.bob.hear("BYE"), "200 OK")
    at.moved.hear("200 BYE")


CLAIMS = {
    "Contact": (f"sip:carol@{ALICE}:5064", ""),
    "maddr": (f"sip:carol@{HOMES['home']}:5060;maddr={ALICE}", ""),
    "alias": (f"sip:carol@{HOMES['home']}:5060;alias={ALICE}~5064~1", ""),
    "Path": (f"sip:carol@{HOMES['home']}:5060", f"<sip:{ALICE}:5064;lr>"),
}
"""Contact and Path of REGISTERs from outside: where they can name a host inside that callers are sent to."""


@pytest.mark.parametrize("profile", ["default", pytest.param("strict", marks=pytest.mark.full)])
@pytest.mark.parametrize("nathelper", [False, pytest.param(True, marks=pytest.mark.full)])
def test_who_claims_to_be_inside_is_not_called_there(
    site: Site, profile: str, nathelper: bool
) -> None:
    at = town(site, profile, nathelper=nathelper)
    _without_names(site)
    claims = {**CLAIMS}
    if profile == "default" and not nathelper:
        del claims["Contact"]  # `hide.claims = "accept"`: README says what that leaves
    for where, (uri, path) in claims.items():
        at.carol.user = where
        assert bindings(at.carol.register(uri=uri, path=path)) == [uri]
        Dialog.calling(at.bob, f"sip:{where}@{DOMAIN}", where)
        if profile == "strict" and not nathelper and not path:
            at.bob.hear("478 INVITE")  # Kamailio: unresolvable destination
            continue
        invite = at.carol.hear("INVITE")
        assert invite.target == uri
        assert invite.values("Route") == ([path] if path else [])
        at.carol.answer(invite, "486 Busy Here")
        at.bob.hear("486 INVITE")
    _heard_nothing(at)


@pytest.mark.parametrize("profile", ["default", pytest.param("strict", marks=pytest.mark.full)])
def test_nobody_is_sent_inside_by_alias_response_or_maddr(site: Site, profile: str) -> None:
    at = town(site, profile, nathelper=True)
    alias = f"sip:x@{HOMES['home']}:5060;alias={ALICE}~5064~1"
    strays = [at.carol.request("BYE", alias, "alias", 1)]
    strays[0].put("To", f"<sip:x@{DOMAIN}>;tag=any")
    strays[0].put("Route", f"<sip:{Site.INSIDE};lr>")
    stray = Message("SIP/2.0 183 Stray", at.carol.request("INVITE", "sip:x@y", "via", 1).fields)
    stray.put("Via", f"SIP/2.0/UDP {Site.INSIDE};branch=z9hG4bKany", f"SIP/2.0/UDP {ALICE}:5064")
    strays.append(stray)
    if profile == "strict":
        strays.append(at.carol.request("OPTIONS", f"sip:x@{ALICE}:5064", "uri", 1))
        strays[-1].put("Route", f"<sip:{Site.INSIDE};lr>")
        strays.append(at.carol.request("OPTIONS", f"sip:{DOMAIN}", "maddr", 1))
        top = strays[-1].first("Via")
        strays[-1].put("Via", top.replace(";rport", f":5064;maddr={ALICE}").replace(":5060:", ":"))
    for message in strays:
        at.carol.send(message)
    if profile == "default":
        assert at.carol.hear("BYE").target == alias
    refused = {"default": 1, "strict": 4}[profile]
    at.gateway.await_status(lambda state: _claims(state) == refused)
    _heard_nothing(at)


def _claims(state: dict[str, Any]) -> int:
    """How many messages that entered were refused for what they claim."""
    count = state["outcomes"].get("ingress", {}).get("refused_claim", 0)
    assert isinstance(count, int)
    return count


def _without_names(site: Site) -> None:
    """Let no resolver answer, and nobody wait for one."""
    reject = ("-p", "udp", "--dport", "53", "-j", "REJECT")
    site.run("inside", "iptables", "-A", "OUTPUT", *reject)


def _heard_nothing(at: Town) -> None:
    """Nothing has come to alice before a call that is for her."""
    Dialog.calling(at.bob, f"sip:alice@{DOMAIN}", "at-last")
    at.alice.answer(at.alice.first(), "486 Busy Here")
    assert at.bob.hear("486 INVITE", "at-last")
    assert [message.first("Call-ID") for message in at.alice.heard] == ["at-last"]


@pytest.mark.full
@pytest.mark.parametrize("loses", ["case", "parameter"])
def test_a_registrar_that_spoils_marks_calls_by_a_token(site: Site, loses: str) -> None:
    # The registrar is bob here. What it says then names a host of the inside, as far as anybody can
    # tell: it is sealed, and the call comes all the same.
    at = town(site, "default", nathelper=False)
    at.carol.via, at.bob.via = (BOB, 5062), (HOMES["home"], 5060)
    at.carol.send(at.carol.request("REGISTER", f"sip:{DOMAIN}", "spoilt", 1))
    heard = at.bob.hear("REGISTER")
    [mark] = MARK.findall(heard.first("Contact"))
    spoilt = bare(heard.first("Contact")).replace(mark, mark.lower() if loses == "case" else "")
    answer = at.bob.answering(heard, "200 OK")
    answer.put("Contact", f"<{spoilt}>;expires=600")
    at.bob.send(answer)
    [listed] = bindings(at.carol.hear("200 REGISTER"))
    Dialog.calling(at.bob, spoilt, "by-a-token")
    invite = at.carol.hear("INVITE")
    for uri in (listed, invite.target):
        assert CAROL not in uri
        assert MARK.sub("", uri).startswith("sip:A")  # a token's version
    at.carol.answer(invite, "200 OK")
    at.bob.hear("200 INVITE")
