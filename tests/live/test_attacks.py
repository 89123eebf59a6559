"""What outsiders try through a real Kamailio: tokens sent back in answers, and strays of no transaction.

Kamailio stands inside, at its defaults: it relays responses of no transaction by their Vias (RFC 3261
section 16.7), and reads the last of two branches. Alice's phone is behind it, A and B are outside.
"""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from attacks import holes
from attacks.message import Message, bare
from attacks.proxy import answer_to
from attacks.search import Secrets
from lab.live import Lab
from lab.site import Site
from tests.live.running import Running

HOLE = holes.Hole(
    "matrix", "default/aes-siv/topoh/router", "answered 200 / Record-Route below / own"
)
"""While this is open, so is what is tried here."""
pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("ip", "ss", "iptables", "kamailio"),
    *([pytest.mark.xfail(reason="tests/attacks/open_holes.toml")] if HOLE in holes.read() else []),
]

PROXY = Site.INSIDE
ALICE, A, B = ("10.0.37.201", 5062), (Site.OUTSIDE, 5060), ("203.0.113.10", 5070)
PROXY_CONFIG = Path(__file__).parents[2] / "scripts/lab/proxy.cfg"
TRUE, WRONG = "sip:kx7secret@10.0.37.201:5062", "sip:kx7secret@10.0.37.202:5062"
"""What B guesses alice's Contact to be."""
SECRETS = Secrets([ALICE[0], "kx7secret"])
PATIENCE = 5.0
"""Seconds for a message that must come."""

GATEWAY = f"""\
profile = "{{profile}}"
audit = 0
inside = ["{PROXY}", "10.0.0.0/8"]
own = ["{PROXY}"]
{{more}}[topoh]
mask_key_file = "mask.key"
[media]
relay = "{{relay}}"
"""
STORE = 'mode = "topos"\ntopos.store = "memory:"\n'
RELAY = "rtpengine"
"""What profile strict wants; no call here has SDP, so nobody is asked."""


class Phones(NamedTuple):
    """The sockets of alice and the attackers, and what B got of alice's call."""

    alice: socket.socket
    a: socket.socket
    b: socket.socket
    seen: Message


def receive(phone: socket.socket, what: str) -> Message:
    """The next message whose start line or CSeq has `what` in it; AssertionError without one."""
    deadline = time.monotonic() + PATIENCE
    while (left := deadline - time.monotonic()) > 0:
        phone.settimeout(left)
        try:
            message = Message.parse(phone.recv(65535))
        except TimeoutError:
            break
        if what in f"{message.start} {message.first('Call-ID')}" and message.status != 100:
            return message
    raise AssertionError(f"no {what}")


def request(method: str, place: tuple[str, int], call_id: str, contact: str) -> Message:
    """A request from `place` that the proxy sends to B."""
    message = Message(f"{method} sip:b@{PROXY} SIP/2.0", [])
    message.put("Via", f"SIP/2.0/UDP {place[0]}:{place[1]};branch=z9hG4bKphone{call_id}")
    message.put("From", f"<sip:x@example.net>;tag={call_id}")
    message.put("To", "<sip:b@example.net>")
    message.put("Call-ID", call_id)
    message.put("CSeq", f"1 {method}")
    message.put("Max-Forwards", "70")
    message.put("Contact", f"<{contact}>")
    return message


@pytest.fixture(params=["default topoh", "strict topoh", "default topos"])
def phones(site: Site, request: pytest.FixtureRequest) -> Iterator[Phones]:
    """The site at work, with a call of alice's that has reached B."""
    profile, mode = request.param.split()
    site.run("inside", "ip", "addr", "add", f"{ALICE[0]}/32", "dev", "lo")
    site.run("outside", "ip", "addr", "add", f"{B[0]}/32", "dev", "eth0")
    site.run("gw", "ip", "route", "add", f"{B[0]}/32", "dev", "out0")
    lab = Lab(site, topoh=False, config=PROXY_CONFIG)
    lab.proxy("inside", f"{PROXY}:5060", hide=False, defines={"BOB": f'"sip:b@{B[0]}:{B[1]}"'})
    more = STORE if mode == "topos" else ""
    relay = RELAY if profile == "strict" else "none"
    gateway = Running(site, GATEWAY.format(profile=profile, more=more, relay=relay))
    alice, a, b = site.udp("inside", *ALICE), site.udp("outside", *A), site.udp("outside", *B)
    alice.sendto(_invite(ALICE, "alicescall", "sip:kx7secret@10.0.37.201:5062"), (PROXY, 5060))
    yield Phones(alice, a, b, receive(b, "INVITE"))
    outcomes = gateway.outcomes()
    assert not outcomes.get("error", 0) + outcomes.get("refused_error", 0)
    assert gateway.end() == 0


def _invite(place: tuple[str, int], call_id: str, contact: str) -> bytes:
    return request("INVITE", place, call_id, contact).wire()


def test_nothing_opens_for_outsiders_and_alices_own_answer_does(phones: Phones) -> None:
    alices = phones.seen
    assert not SECRETS.shown(alices.wire())
    top, *lower = alices.values("Via")
    token = bare(alices.first("Contact"))
    attempts = {
        "stray": [f"SIP/2.0/UDP {PROXY};branch=z9hG4bKanything"],
        "stray, alice's branch twice": [f"{top};branch=z9hG4bKother"],
    }
    _call(phones, attempts)
    for name, [first] in attempts.items():
        stray = _response(
            name, [first, f"SIP/2.0/UDP {A[0]}:{A[1]};branch=z9hG4bKa", *lower], token
        )
        phones.b.sendto(stray.wire(), (PROXY, 5060))
        got = receive(phones.a, "stray")
        assert not SECRETS.shown(got.wire()), name
        while got.first("Call-ID") != stray.first("Call-ID"):  # sent again
            got = receive(phones.a, "stray")
    _answer(phones, alices)


def _call(phones: Phones, attempts: dict[str, list[str]]) -> None:
    """A calls B, who answers with alice's tokens; the branch of that call serves the second attempt."""
    phones.a.sendto(_invite(A, "attackerscall", f"sip:a@{A[0]}"), (PROXY, 5060))
    theirs = receive(phones.b, "attackerscall")
    live = re.findall(r"branch=([^;]+)", theirs.first("Via"))[0]
    top = phones.seen.first("Via")
    attempts["two branches, alice's first"] = [f"{top};branch={live}"]
    answer = answer_to(theirs, "180 Ringing", "b")
    answer.add("Via", *phones.seen.values("Via")[1:])
    answer.add("Record-Route", f"<{bare(phones.seen.first('Contact'))};lr>")
    answer.put("Contact", f"<sip:b@{B[0]}:{B[1]}>")
    phones.b.sendto(answer.wire(), (PROXY, 5060))
    got = receive(phones.a, "180")
    if phones.seen.values("Record-Route"):  # mode topos takes them out
        assert len(got.values("Record-Route")) == 2
    assert not SECRETS.shown(got.wire())
    _guess(phones, theirs, "182 Queued", TRUE)
    _guess(phones, theirs, "183 Guessed", WRONG)


def _guess(phones: Phones, theirs: Message, status: str, guess: str) -> None:
    """B guesses at alice's Contact below the proxy's own entry: A can tell neither from it."""
    answer = answer_to(theirs, status, "b")
    answer.add("Record-Route", f"<{guess};lr>")
    answer.put("Contact", f"<{guess}>")
    phones.b.sendto(answer.wire(), (PROXY, 5060))
    got = receive(phones.a, status.partition(" ")[0])
    token = bare(phones.seen.first("Contact"))
    said = [*got.values("Record-Route"), got.first("Contact")]
    assert len(said) == (
        3 if phones.seen.values("Record-Route") else 1
    )  # mode topos takes them out
    assert not [value for value in said if token.partition(":")[2].partition("@")[0] in value]
    # His own words come back as he wrote them, whether they are right or not.
    assert not SECRETS.shown(got.wire().replace(f"<{guess};lr>".encode(), b""))


def _response(name: str, vias: list[str], token: str) -> Message:
    message = Message("SIP/2.0 183 stray", [])
    message.put("Via", *vias)
    message.put("Record-Route", f"<sip:{PROXY};lr>", f"<{token};lr>")
    message.put("From", "<sip:x@example.net>;tag=attackerscall")
    message.put("To", "<sip:b@example.net>;tag=b")
    message.put("Call-ID", f"stray-{len(name)}")
    message.put("CSeq", "1 INVITE")
    message.put("Contact", f"<sip:b@{B[0]}:{B[1]}>")
    return message


def _answer(phones: Phones, alices: Message) -> None:
    """B answers alice, as honest phones do; then it hangs up on her by the tokens that it has got."""
    answer = answer_to(alices, "200 OK", "honest")
    answer.put("Contact", f"<sip:b@{B[0]}:{B[1]}>")
    phones.b.sendto(answer.wire(), (PROXY, 5060))
    got = receive(phones.alice, "200")
    assert [via.partition(";")[0] for via in got.values("Via")] == [
        f"SIP/2.0/UDP {ALICE[0]}:{ALICE[1]}"
    ]
    bye = request("BYE", B, "alicescall", f"sip:b@{B[0]}:{B[1]}")
    bye.retarget(bare(alices.first("Contact")))
    routes = alices.values("Record-Route")
    if routes:
        bye.put("Route", *routes)
    bye.put("From", answer.first("To"))
    bye.put("To", alices.first("From"))
    phones.b.sendto(bye.wire(), (PROXY, 5060))
    assert receive(phones.alice, "BYE").target == "sip:kx7secret@10.0.37.201:5062"
