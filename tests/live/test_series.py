"""Calls through one gateway, and through two in series, with one key and with two.

Kamailio and alice are inside; bob, carol and an application server outside. Each step's messages are
looked at on both sides: outside nobody sees alice, inside everybody gets what is theirs.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from attacks.message import Message, bare
from inline_topo.masking.codecs.keyring import KeyRing
from lab.live import Lab
from lab.site import SeriesSite, Site
from tests.live.dialogs import DOMAIN, Dialog, Phone
from tests.live.running import Running

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "kamailio")]

ALICE, BOB, CAROL, SERVER = "192.168.178.27", Site.OUTSIDE, "203.0.113.10", "203.0.113.50"
MARK = re.compile(";out=[A-Za-z0-9_-]+")
CALLED = {"FORK": "", "PATH": "", "NEXT": f'"sip:{CAROL}:5060"'}
"""bob's calls ring at carol's, too; who registers is sent on to her."""

CONFIG = f"""\
profile = "{{profile}}"
inside = ["192.168.178.0/24"]
own = ["{Site.INSIDE}", "{DOMAIN}"]
{{more}}[topoh]
mask_key_file = "{{key}}"
[media]
relay = "{{relay}}"
"""


class Chain(NamedTuple):
    """The network, and its gateways from the inside outwards."""

    site: Site
    alice: Phone
    bob: Phone
    carol: Phone
    gateways: list[Running]
    keys: tuple[str, ...]

    def is_hers(self, uri: str) -> bool:
        """Whether a URI is alice's Contact, as her phone knows it. With one key the outer gateway opens what
        the inner one has sealed, and the inner one marks it as a stranger's: alice is reached all the
        same."""
        return (MARK.sub("", uri) if self.keys == ("a", "a") else uri) == self.alice.uri


def ways() -> Iterator[object]:
    """Profile, mode, and the key of each gateway; all but the most telling in a long run alone."""
    for mode in ("topoh", "topos"):
        for profile in ("default", "topoh", "strict"):
            for keys in (("a",), ("a", "a"), ("a", "b")):
                if (profile, keys) == ("strict", ("a", "a")):
                    continue  # what the outer one opens claims to be inside: README
                quick = (mode, profile, keys) == ("topoh", "default", ("a", "b"))
                marks = [] if quick else [pytest.mark.full]
                name = f"{profile}-{mode}-{'-'.join(keys)}"
                yield pytest.param(profile, mode, keys, marks=marks, id=name)


def chain(folder: Path, site: Site, profile: str, mode: str, keys: tuple[str, ...],
          defines: dict[str, str]) -> Chain:  # fmt: skip
    """Build it, with gateways at work."""
    site.build()
    site.run("inside", "ip", "addr", "add", f"{ALICE}/24", "dev", "eth0")
    for address in (CAROL, SERVER):
        site.run("outside", "ip", "addr", "add", f"{address}/24", "dev", "eth0")
    lab = Lab(site, topoh=False)
    users = {"BOB": f'"sip:bob@{BOB}:5060"', "CAROL": f'"sip:carol@{CAROL}:5060"'}
    lab.proxy("inside", f"{Site.INSIDE}:5060", defines={**users, **defines})
    if "SPIRAL" in defines:
        route = ("default", "via", "203.0.113.1", "src", SERVER)
        site.run("outside", "ip", "route", "replace", *route)
        lab.proxy("outside", f"{SERVER}:5060", defines={"BACK": f'"sip:{Site.INSIDE}:5060"'})
    gateways = []
    for key, host in zip(keys, ("gw", "gw2"), strict=False):
        if not (folder / f"{key}.key").exists():
            KeyRing.generate().save(folder / f"{key}.key")
        store = f'mode = "topos"\ntopos.store = "sqlite:///{folder}/{host}.db"\n'
        more = store if mode == "topos" else ""
        relay = "rtpengine" if profile == "strict" else "none"
        config = CONFIG.format(profile=profile, more=more, key=f"{key}.key", relay=relay)
        gateways.append(Running(site, config, host=host, name=host))
    return Chain(
        site,
        Phone(site, "inside", "alice", (ALICE, 5062)),
        Phone(site, "outside", "bob", (BOB, 5060)),
        Phone(site, "outside", "carol", (CAROL, 5060)),
        gateways,
        keys,
    )


def hidden(message: Message) -> Message:
    """The message, in which nothing of alice's is."""
    assert ALICE not in message.wire().decode()
    return message


@pytest.mark.parametrize(("profile", "mode", "keys"), [*ways()])
def test_calls_and_what_becomes_of_them(
    tmp_path: Path, profile: str, mode: str, keys: tuple[str, ...]
) -> None:
    with SeriesSite(tmp_path) as site:
        at = chain(tmp_path, site, profile, mode, keys, CALLED)
        _forks(at)
        _is_given_up(at)
        _is_redirected(at)
        _registers(at, profile)
        _ends_well(at)


@pytest.mark.parametrize(("profile", "mode", "keys"), [*ways()])
def test_a_spiral(tmp_path: Path, profile: str, mode: str, keys: tuple[str, ...]) -> None:
    with SeriesSite(tmp_path) as site:
        spiral = {"SPIRAL": f'"{SERVER}"', "ALICE": f'"sip:alice@{ALICE}:5062"'}
        at = chain(tmp_path, site, profile, mode, keys, spiral)
        his = Dialog.calling(at.bob, f"sip:alice@{DOMAIN}", "spiral")
        invite = at.alice.hear("INVITE")
        assert at.is_hers(invite.target)
        at.alice.answer(invite, "180 Ringing")
        [via] = hidden(at.bob.hear("180 INVITE")).values("Via")
        assert via.startswith(f"SIP/2.0/UDP {BOB}:5060;")
        at.alice.answer(invite, "200 OK")
        hidden(his.answered())
        assert at.is_hers(at.alice.hear("ACK").target)
        his.send("INVITE")
        again = at.alice.hear("INVITE")
        assert at.is_hers(again.target)
        at.alice.answer(again, "200 OK")
        his.answered()
        at.alice.hear("ACK")
        his.send("BYE")
        bye = at.alice.hear("BYE")
        assert at.is_hers(bye.target)
        at.alice.answer(bye, "200 OK")
        hidden(at.bob.hear("200 BYE"))
        _ends_well(at)


@pytest.mark.parametrize(
    ("profile", "keys"),
    [
        pytest.param("topoh", ("a",), marks=pytest.mark.full),
        pytest.param("default", ("a",), marks=pytest.mark.full),
        ("strict", ("a", "b")),
    ],
)
def test_a_spiral_that_begins_inside(tmp_path: Path, profile: str, keys: tuple[str, ...]) -> None:
    """alice calls dave inside, by a server outside: their Contacts come back as they wrote them, as she
    sends what is next straight to it."""
    with SeriesSite(tmp_path) as site:
        spiral = {"SPIRAL": f'"{SERVER}"', "ALICE": f'"sip:dave@{ALICE}:5066"'}
        at = chain(tmp_path, site, profile, "topoh", keys, spiral)
        dave = Phone(site, "inside", "dave", (ALICE, 5066))
        hers = Dialog.calling(at.alice, f"sip:alice@{DOMAIN}", "spiral")
        invite = dave.hear("INVITE")
        assert bare(invite.first("Contact")) == at.alice.uri
        answer = dave.answer(invite, "200 OK")
        assert bare(hers.answered().first("Contact")) == dave.uri
        assert dave.hear("ACK").target == dave.uri
        his = Dialog.called(dave, invite, answer)
        his.send("INVITE")
        again = at.alice.hear("INVITE")
        assert again.target == at.alice.uri
        at.alice.answer(again, "200 OK")
        his.answered()
        assert at.alice.hear("ACK").target == at.alice.uri
        hers.send("BYE")
        bye = dave.hear("BYE")
        assert bye.target == dave.uri
        dave.answer(bye, "200 OK")
        at.alice.hear("200 BYE")
        _ends_well(at)


def _came_back(answer: Message) -> None:
    """An answer has alice's Via, as she wrote it."""
    [via] = answer.values("Via")
    assert via.startswith(f"SIP/2.0/UDP {ALICE}:5062;")
    assert ";branch=z9hG4bKalice" in via


def _forks(at: Chain) -> None:
    """bob and carol ring and bob answers, twice over; he holds, she sends him to another phone of hers,
    he asks whether she is there, and hangs up."""
    hers = Dialog.calling(at.alice, f"sip:bob@{DOMAIN}", "fork")
    invite, other = (hidden(phone.hear("INVITE")) for phone in (at.bob, at.carol))
    for phone, asked in ((at.bob, invite), (at.carol, other)):
        phone.answer(asked, "180 Ringing")
        _came_back(at.alice.hear("180 INVITE"))
    answer = at.bob.answer(invite, "200 OK")
    ok = hers.answered()
    _came_back(ok)
    his = Dialog.called(at.bob, invite, answer)
    assert hidden(at.bob.hear("ACK")).target == at.bob.uri
    at.carol.answer(hidden(at.carol.hear("CANCEL")), "200 OK")
    at.carol.answer(other, "487 Request Terminated")
    hidden(at.carol.hear("ACK"))
    at.bob.send(answer)  # late: its ACK may have been lost
    _came_back(at.alice.again("200 INVITE"))
    for dialog, phone, seen in ((his, at.alice, lambda m: m), (hers, at.bob, hidden)):
        dialog.send("INVITE")
        asked = seen(phone.hear("INVITE"))
        phone.answer(asked, "200 OK")
        dialog.answered()
        for request in (asked, seen(phone.hear("ACK"))):
            assert at.is_hers(request.target) if phone is at.alice else request.target == phone.uri
    _transfers(at, hers)
    his.send("BYE")
    bye = at.alice.hear("BYE")
    assert at.is_hers(bye.target)
    at.alice.answer(bye, "200 OK")
    hidden(at.bob.hear("200 BYE"))


def _transfers(at: Chain, hers: Dialog) -> None:
    """alice sends bob to her other line: the call comes there, with its Replaces."""
    replaces = "consult%3Bto-tag%3Da%3Bfrom-tag%3Db"
    hers.send("REFER", Refer_To=f"<{at.alice.uri}?Replaces={replaces}>")
    refer = hidden(at.bob.hear("REFER"))
    target, _, headers = bare(refer.first("Refer-To")).partition("?")
    assert headers == f"Replaces={replaces}"
    at.bob.answer(refer, "202 Accepted")
    at.alice.hear("202 REFER")
    joining = Dialog.calling(at.bob, target, "joining", Replaces="consult;to-tag=a;from-tag=b")
    invite = at.alice.hear("INVITE")
    assert at.is_hers(invite.target)
    assert invite.first("Replaces") == "consult;to-tag=a;from-tag=b"
    at.alice.answer(invite, "200 OK")
    hidden(joining.answered())
    at.alice.hear("ACK")
    joining.send("BYE")
    bye = at.alice.hear("BYE")
    assert at.is_hers(bye.target)
    at.alice.answer(bye, "200 OK")
    hidden(at.bob.hear("200 BYE"))


def _is_given_up(at: Chain) -> None:
    """alice calls carol and gives up."""
    call = Dialog.calling(at.alice, f"sip:carol@{DOMAIN}", "given-up")
    invite = hidden(at.carol.hear("INVITE"))
    at.carol.answer(invite, "180 Ringing")
    at.alice.hear("180 INVITE")
    call.cancel()
    at.carol.answer(hidden(at.carol.hear("CANCEL")), "200 OK")
    at.alice.hear("200 CANCEL")
    at.carol.answer(invite, "487 Request Terminated")
    _came_back(at.alice.hear("487 INVITE"))
    assert hidden(at.carol.hear("ACK")).target == at.carol.uri


def _is_redirected(at: Chain) -> None:
    """carol has moved to bob, and alice follows."""
    Dialog.calling(at.alice, f"sip:carol@{DOMAIN}", "moved")
    invite = hidden(at.carol.hear("INVITE"))
    moved = at.carol.answering(invite, "302 Moved Temporarily")
    moved.put("Contact", f"<{at.bob.uri}>")
    at.carol.send(moved)
    answer = at.alice.hear("302 INVITE")
    _came_back(answer)
    assert bare(answer.first("Contact")) == at.bob.uri
    call = Dialog.calling(at.alice, at.bob.uri, "followed")
    invite = hidden(at.bob.hear("INVITE"))
    assert invite.target == at.bob.uri
    at.bob.answer(invite, "200 OK")
    call.answered()
    at.bob.hear("ACK")
    call.send("BYE")
    at.bob.answer(hidden(at.bob.hear("BYE")), "200 OK")
    at.alice.hear("200 BYE")


def _registers(at: Chain, profile: str) -> None:
    """alice registers at carol's, an ordinary registrar that says again what it was told; she refreshes,
    and is called by it."""
    told: list[str] = []
    for _ in range(2):
        request = at.alice.request("REGISTER", f"sip:{DOMAIN}", "register", 1 + len(told))
        at.alice.send(request)
        heard = at.carol.hear("REGISTER")
        if profile != "topoh":  # which leaves registrations alone
            hidden(heard)
        told.append(bare(heard.first("Contact")))
        answer = at.carol.answering(heard, "200 OK")
        answer.put("Contact", f"{heard.first('Contact')};expires=60")
        at.carol.send(answer)
        assert at.is_hers(bare(at.alice.hear("200 REGISTER").first("Contact")))
    assert told[0] == told[1]
    call = Dialog.calling(at.carol, told[0], "called")
    invite = at.alice.hear("INVITE")
    # Profile topoh leaves registrations alone, so that carol calls a host inside as any stranger may.
    assert MARK.sub("", invite.target) == at.alice.uri
    assert profile == "topoh" or at.is_hers(invite.target)
    at.alice.answer(invite, "200 OK")
    assert ALICE not in call.answered().first("Contact")
    at.alice.hear("ACK")
    call.send("BYE")
    at.alice.answer(at.alice.hear("BYE"), "200 OK")
    at.carol.hear("200 BYE")


def _ends_well(at: Chain) -> None:
    """No gateway has refused anything."""
    for gateway in at.gateways:
        outcomes = gateway.outcomes()
        assert not [name for name in outcomes if "refused" in name or "error" in name], outcomes
        assert gateway.end() == 0
