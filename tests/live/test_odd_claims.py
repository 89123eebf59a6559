"""What Kamailio takes for a message and we perhaps do not: whatever would reach a host inside is refused.

Each message of an outsider's goes to a real Kamailio as the gateway would let it in, here without one in
between, and as it was written. What is refused must be all that reaches the victim.
"""

import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from inline_topo.gateway import Action
from lab.live import Lab
from lab.site import Site
from tests.masking.network import datagram, gateway, judge, payload_of

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "ss", "kamailio")]

PROXY, VICTIM, OUTSIDER = Site.INSIDE, "10.0.37.77", Site.OUTSIDE
PROXY_CONFIG = Path(__file__).parents[2] / "scripts/lab/proxy.cfg"
SETTLED = 1.0
"""Seconds in which nothing more comes."""

RESPONSE = f"""SIP/2.0 200 OK
Via: SIP/2.0/UDP {PROXY};branch=z9hG4bKany
Via: SIP/2.0/UDP {VICTIM};branch=z9hG4bKb
From: <sip:a@x.example>;tag=1
To: <sip:b@y.example>;tag=2
Call-ID: c
CSeq: 1 INVITE
X-N: Nnumber-
Content-Length: 0

""".replace("\n", "\r\n").encode()
REQUEST = f"""OPTIONS sip:x@{VICTIM} SIP/2.0
Via: SIP/2.0/UDP {OUTSIDER};branch=z9hG4bKrnumber
Route: <sip:{PROXY};lr>
From: <sip:a@x.example>;tag=1
To: <sip:b@y.example>;tag=2
Call-ID: cnumber
CSeq: 1 OPTIONS
Max-Forwards: 70
X-N: Nnumber-
Content-Length: 0

""".replace("\n", "\r\n").encode()

JUNK = (
    *(b"nocolon\r\n", b": x\r\n", b"a b: c\r\n", b"\x00\r\n", b"a\x00b: c\r\n", b"\xff: x\r\n", b"@\r\n"),
    *(b"a(b): c\r\n", b"\r: x\r\n", b"X-A\r\n : y\r\n", b"\x0b\r\n", b"via\r\n", b'"a": c\r\n', b"\t\r\n"),
)  # fmt: skip
STARTS = (
    *(b"sip/2.0 200 OK", b"SIP/2.0  200 OK", b"SIP/2.0\t200 OK", b"SIP/2.0 200", b"SIP/2.0 200 "),
    *(
        b"SIP/2.0 999 OK",
        b"SIP/2.0 099 OK",
        b"SIP/2.0 200\tOK",
        b"SIP/2.0 200 OK\x00",
        b"SIP/2.1 200 OK",
    ),
    *(
        b"SIP/2.0 100 x",
        b"SIP/2.0 200 \xff\xfe",
        b"SIP/2.0 200 OK\r",
        b"HTTP/1.1 200 OK",
        b"SIP/2.0 20 OK",
    ),
)
LEADS = (
    b"",
    b"\r\n",
    b"\n\n",
    b"\r",
    b" ",
    b"\t",
    b"\x00",
    b"\r\n\x00",
    b"\n \n",
    b"\xef\xbb\xbf",
    b"\x7f",
)
ENDS = (b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\r")
NAMES = (b"v", b"VIA", b"Via ", b"Via\t", b"Via\r\n ", b" Via", b"Via\x00", b"Via \r", b"V\t ")
TOPS = (
    *(
        b';x="a',
        b';x="a, b"',
        b" (c",
        b" (c)",
        b'"',
        b";x=<",
        b";x=>",
        b";,",
        b" ,",
        b"\r\n ,",
        b",,",
    ),
    *(b"\x00", b";x=[", b":5060", b"?", b"\r", b"\r\n\t", b";received=" + VICTIM.encode()),
)
HOSTS = (
    *("10.0.37.077", "010.0.37.77", "10..37.77", "10.0.37.77.", "10.9549", "0xa00254d", "167781709"),
    *("10.0.37.77:5060", "10.0.37.77 :5060", "10.0.37.77: 5060", "[::ffff:10.0.37.77]", "10%2e0.37.77"),
    *("::ffff:10.0.37.77", "[10.0.37.77]", "10.0.37.77\t", "\t10.0.37.77", "\r\n 10.0.37.77", "10.0.37.77:"),
    *("10.0.37.77\x00", "10.0.37.77 (c)", "266.0.37.77", "1034.0.37.77", "0000010.0.37.77", "10.0.37.333"),
    *("10.256.37.77", "10.0.37.100000077", ".0.37.77", "10.0.37.77.1", "+10.0.37.77", "010.00.037.077"),
)  # fmt: skip
PARAMETERS = (
    "received=",
    "maddr=",
    "received = ",
    "MADDR=",
    "rport=5060;received=",
    "maddr\r\n = ",
)
METHODS = (
    b"options",
    b"OPT\x0bIONS",
    b"\x7fOPTIONS",
    b"O<PTIONS",
    b"O:PTIONS",
    b"OPTIONS\t",
    b"OPTIONS  ",
)


def responses() -> Iterator[bytes]:
    """The response, written in odd ways."""
    host = VICTIM.encode()
    second = b"\r\nVia: SIP/2.0/UDP " + host
    for junk in JUNK:
        for before in (b"Via:", b"From:", b"CSeq:", b"X-N:", b"Content-Length:"):
            yield RESPONSE.replace(before, junk + before, 1)
        yield RESPONSE.replace(second, b"\r\n" + junk.rstrip() + second, 1)
    for lead in LEADS:
        for start in STARTS:
            yield lead + RESPONSE.replace(b"SIP/2.0 200 OK", start, 1)
    for end in ENDS:
        yield RESPONSE.replace(b"\r\n", end)
        yield RESPONSE.replace(b"\r\n", end, 1)
        yield RESPONSE.replace(b"Kany\r\n", b"Kany" + end, 1)
        yield RESPONSE.replace(b"\r\nFrom", end + b"From", 1)
    for name in NAMES:
        yield RESPONSE.replace(b"Via:", name + b":")
        yield RESPONSE.replace(second, second.replace(b"Via", name))
    for top in TOPS:
        yield RESPONSE.replace(b"Kany", b"Kany" + top, 1)
        for separator in (b", ", b",", b"\r\n , ", b";, ", b",,"):
            yield RESPONSE.replace(b"Kany\r\nVia: ", b"Kany" + top + separator, 1)
    for spelled in HOSTS:
        for protocol in (
            "SIP/2.0/UDP",
            "SIP / 2.0 / UDP",
            "sip/2.0/udp",
            "SIP/2.0/UDP\t",
            "SIP/2.0/X",
        ):
            yield RESPONSE.replace(b"SIP/2.0/UDP " + host, f"{protocol} {spelled}".encode())
        for parameter in PARAMETERS:
            named = f"SIP/2.0/UDP 198.51.100.21;{parameter}{spelled}"
            yield RESPONSE.replace(b"SIP/2.0/UDP " + host, named.encode())
    yield RESPONSE.replace(b"From", b"X: y\r\n" * 1100 + b"From", 1)
    yield RESPONSE.replace(b"From", b"Via: SIP/2.0/UDP 198.51.100.21\r\n" * 300 + b"From", 1)
    for field in (b"From", b"To", b"Call-ID", b"CSeq", b"Content-Length"):
        yield re.sub(rb"(?m)^" + field + rb":.*\r\n", b"", RESPONSE)
        yield re.sub(rb"(?m)^" + field + rb":.*\r\n", field + b': "<>,;\r\n', RESPONSE)


def requests() -> Iterator[bytes]:
    """The request, written in odd ways."""
    host, route = VICTIM.encode(), f"<sip:{PROXY};lr>".encode()
    for junk in JUNK:
        for before in (b"Via:", b"Route:", b"From:", b"X-N:", b"Content-Length:"):
            yield REQUEST.replace(before, junk + before, 1)
    for lead in LEADS:
        for method in METHODS:
            yield lead + REQUEST.replace(b"OPTIONS", method, 1)
        yield lead + REQUEST
    for end in ENDS:
        yield REQUEST.replace(b"\r\n", end)
        yield REQUEST.replace(b"\r\n", end, 1)
        yield REQUEST.replace(b"\r\nFrom", end + b"From", 1)
        yield REQUEST.replace(b"\r\nRoute", end + b"Route", 1)
        routed = REQUEST.replace(host, b"198.51.100.21", 1).replace(
            route, route + b", <sip:%b;lr>" % host
        )
        yield routed.replace(b"\r\nRoute", end + b"Route", 1)
    for name in (b"ROUTE", b"Route ", b"Route\t", b"Route\r\n ", b" Route", b"Route\x00"):
        yield REQUEST.replace(b"Route:", name + b":")
    for spelled in HOSTS:
        other = REQUEST.replace(host, b"198.51.100.21", 1)
        yield REQUEST.replace(host, spelled.encode(), 1)
        yield REQUEST.replace(host, b"198.51.100.21;maddr=" + spelled.encode(), 1)
        yield other.replace(route, route + f", <sip:{spelled};lr>".encode())
        yield other.replace(route, route + f"\r\nroute : sip:{spelled};lr".encode())
    for version in (b"sip/2.0", b"SIP/2.0 ", b"SIP/2.1", b"HTTP/1.1", b"SIP/2.0\t"):
        yield REQUEST.replace(b" SIP/2.0\r\nVia", b" " + version + b"\r\nVia", 1)
    yield REQUEST.replace(b"From", b"X: y\r\n" * 1100 + b"From", 1)


class Sockets(NamedTuple):
    """The outsider's and the victim's."""

    outsider: socket.socket
    victim: socket.socket

    def reached(self, messages: list[bytes]) -> set[int]:
        """Which of the messages come to the victim, by their places in the list."""
        numbers: set[int] = set()
        for number, message in enumerate(messages):
            self.outsider.sendto(message.replace(b"number", b"%d" % number), (PROXY, 5060))
            numbers |= self._come(0.003)
        while more := self._come(SETTLED):
            numbers |= more
        return numbers

    def _come(self, patience: float) -> set[int]:
        numbers: set[int] = set()
        deadline = time.monotonic() + patience
        while select.select([self.victim], [], [], max(0.0, deadline - time.monotonic()))[0]:
            found = re.search(rb"N(\d+)-", self.victim.recv(65535))
            if found:
                numbers.add(int(found[1]))
        return numbers


@pytest.fixture
def sockets(site: Site) -> Sockets:
    site.run("inside", "ip", "addr", "add", f"{VICTIM}/32", "dev", "lo")
    site.run("inside", "ip", "route", "del", "default")  # nothing is looked up, and waited for
    site.run("inside", "ip", "route", "add", f"{OUTSIDER}/32", "via", "192.168.178.1")
    lab = Lab(site, topoh=False, config=PROXY_CONFIG)
    lab.proxy("inside", f"{PROXY}:5060", hide=False, defines={"BOB": f'"sip:b@{OUTSIDER}"'})
    return Sockets(site.udp("outside", OUTSIDER), site.udp("inside", VICTIM))


@pytest.mark.parametrize(
    ("written", "profile"),
    [
        (responses, "default"),
        pytest.param(responses, "strict", marks=pytest.mark.full),
        (requests, "strict"),
    ],
)
def test_what_would_reach_the_inside_is_refused(
    written: Callable[[], Iterator[bytes]], profile: str, sockets: Sockets
) -> None:
    network = gateway(profile=profile, audit=0, inside=[PROXY, "10.0.0.0/8"], own=[PROXY])
    messages = list(written())
    assert len(messages) > 200
    passed: list[bytes] = []
    refused: list[bytes] = []
    for message in messages:
        verdict = judge(network, datagram(message, OUTSIDER, PROXY))
        if verdict.action is Action.DROP:
            refused.append(message)
        else:
            passed.append(payload_of(verdict.packet))
    reached = sockets.reached(passed)
    assert [passed[number] for number in sorted(reached)] == []
    assert len(sockets.reached(refused)) > len(refused) // 4  # else nothing is shown
