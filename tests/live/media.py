"""Two phones with audio, and an rtpengine between them."""

import json
import os
import re
import signal
import struct
import time
from dataclasses import dataclass, field

from lab.site import Site
from tests.live.running import PATIENCE

NG_PORT = 2223
RTP_PORT = 4000
PACKETS = 20
_INTERVAL = 0.005  # seconds between two packets


class RtpEngine:
    """An rtpengine in a host, without its kernel module. `interfaces` as its option has them: one
    without a name, or some with."""

    def __init__(self, site: Site, host: str, *interfaces: str) -> None:
        self._site = site
        options = [f"--interface={interface}" for interface in interfaces]
        self.process = site.start(
            host, "rtpengine.log", "rtpengine", "--foreground", "--log-stderr", "--table=-1",
            f"--listen-ng=127.0.0.1:{NG_PORT}", "--port-min=30000", "--port-max=30999",
            "--num-threads=2", f"--pidfile={site.folder / 'rtpengine.pid'}", *options,
        )  # fmt: skip
        site.await_port(host, NG_PORT)
        self._control = site.open_socket(host)
        self._control.connect(("127.0.0.1", NG_PORT))

    def calls(self) -> list[str]:
        """The Call-IDs of the calls that it has, by its own word."""
        cookie = os.urandom(4).hex().encode()
        self._control.send(cookie + b' {"command":"list"}')
        answer = self._control.recv(65535)
        assert answer.startswith(cookie)
        calls: list[str] = json.loads(answer[len(cookie) :])["calls"]
        return calls

    def await_none(self) -> None:
        """Wait until it has no call; the gateway does not wait for that."""
        deadline = time.monotonic() + PATIENCE
        while self.calls():
            assert time.monotonic() < deadline, self.calls()
            time.sleep(0.01)

    def pause(self) -> None:
        """It answers nobody, until it `goes_on`."""
        os.kill(self._pid(), signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._pid(), signal.SIGCONT)

    def _pid(self) -> int:
        return int((self._site.folder / "rtpengine.pid").read_text())


@dataclass
class Sip:
    """A message, and where it came from."""

    data: bytes
    source: tuple[str, int]

    @property
    def start(self) -> str:
        return self.data.split(b"\r\n")[0].decode()

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    def lines(self, *names: str) -> list[str]:
        head = self.data.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        return [line for line in head if line.partition(":")[0] in names]

    def value(self, name: str) -> str:
        return self.lines(name)[0].partition(": ")[2]

    @property
    def media(self) -> tuple[str, int]:
        """Where its description wants the audio."""
        text = self.body.decode()
        [place] = set(re.findall(r"^c=IN IP4 (\S+)\r$", text, re.MULTILINE))
        [port] = re.findall(r"^m=audio (\d+) ", text, re.MULTILINE)
        return place, int(port)


@dataclass
class Phone:
    """A party of one call. It sends its requests to `target`, and its answers to where they came from."""

    site: Site
    host: str
    address: str
    user: str
    target: tuple[str, int] = ("", 5060)
    call_id: str = ""
    peer_tag: str = ""
    port: int = 5060
    heard: list[Sip] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sip = self.site.udp(self.host, self.address, self.port)
        self.rtp = self.site.udp(self.host, self.address, RTP_PORT)
        self.cseq = 0
        self.uri = f"sip:{self.target[0]}"
        self.routes: list[str] = []

    def sdp(self, mode: str = "sendrecv", version: int = 1) -> bytes:
        return (
            f"v=0\r\no={self.user} 77 {version} IN IP4 {self.address}\r\ns=-\r\n"
            f"c=IN IP4 {self.address}\r\nt=0 0\r\nm=audio {RTP_PORT} RTP/AVP 0\r\n"
            f"a=rtpmap:0 PCMU/8000\r\na={mode}\r\n"
            f"a=candidate:1 1 UDP 2130706431 {self.address} {RTP_PORT} typ host\r\n"
        ).encode()

    def request(self, method: str, body: bytes = b"", branch: str = "", *extra: str) -> bytes:
        """Send a request. ACK and CANCEL have the CSeq of what they belong to."""
        if method not in ("ACK", "CANCEL"):
            self.cseq += 1
        to = f"<sip:peer@example.com>{f';tag={self.peer_tag}' if self.peer_tag else ''}"
        branch = branch or f"{self.user}{method}{self.cseq}"
        lines = [
            f"{method} {self.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK{branch}",
            *self.routes,
            f"From: <sip:{self.user}@example.com>;tag={self.user}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:{self.user}@{self.address}:{self.port}>",
            "Max-Forwards: 70",
            *extra,
        ]
        return self._send(lines, body, self.target)

    def answer(self, request: Sip, status: str, body: bytes = b"", tag: str = "") -> bytes:
        """Answer a request."""
        to = request.value("To")
        if ";tag=" not in to and not status.startswith("100"):
            to += f";tag={tag or self.user}"
        lines = [
            f"SIP/2.0 {status}",
            *request.lines("Via", "Record-Route", "From", "Call-ID", "CSeq"),
            f"To: {to}",
            f"Contact: <sip:{self.user}@{self.address}:{self.port}>",
        ]
        return self._send(lines, body, request.source)

    def hear(self, start: str) -> Sip:
        """The next message, which must begin so. A provisional answer of a proxy is passed over."""
        while True:
            message = Sip(*self.sip.recvfrom(65535))
            if not message.start.startswith("SIP/2.0 100 "):
                break
        assert message.start.startswith(start), message.data
        length = int(message.value("Content-Length"))
        assert length == len(message.body)
        self.heard.append(message)
        return message

    def join(self, message: Sip) -> None:
        """Go on in the dialog that this message makes (one of `lines` as the caller has them)."""
        other = "From" if not message.start.startswith("SIP/2.0") else "To"
        self.peer_tag = message.value(other).partition(";tag=")[2]
        self.call_id = message.value("Call-ID")
        [self.uri] = re.findall("<(.*)>", message.value("Contact"))
        routes = [line.partition(": ")[2] for line in message.lines("Record-Route")]
        self.routes = [f"Route: {route}" for route in routes]
        self.target = message.source

    def speak(self, to: tuple[str, int]) -> None:
        """Send PACKETS packets of RTP, as a phone does: at an even pace."""
        for number in range(PACKETS):
            self.rtp.sendto(self._rtp(number), to)
            time.sleep(_INTERVAL)

    def listen(self, other: "Phone") -> set[str]:
        """Wait for all that the other said, in any order; the addresses that it came from."""
        got = [self.rtp.recvfrom(2048) for _ in range(PACKETS)]
        assert sorted(data for data, _ in got) == sorted(map(other._rtp, range(PACKETS)))
        return {source[0] for _, source in got}

    def hears_nothing(self) -> bool:
        self.rtp.settimeout(0.3)
        try:
            self.rtp.recv(2048)
        except TimeoutError:
            return True
        finally:
            self.rtp.settimeout(PATIENCE)
        return False

    def _rtp(self, number: int) -> bytes:
        """RFC 3550 section 5.1: PCMU, one word of who speaks in it."""
        head = struct.pack("!BBHII", 0x80, 0, 1000 + number, 160 * number, len(self.user))
        return head + self.user.encode().ljust(160, b"\xff")

    def _send(self, lines: list[str], body: bytes, target: tuple[str, int]) -> bytes:
        if body and not any(line.startswith("Content-Type") for line in lines):
            lines.append("Content-Type: application/sdp")
        data = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
        self.sip.sendto(data, target)
        return data


def only_sip(site: Site) -> None:
    """The router forwards SIP alone: audio that goes between the parties is lost."""
    for rule in (("-A", "-p", "udp", "--dport", "5060", "-j", "ACCEPT"), ("-P", "DROP")):
        site.run("gw", "iptables", rule[0], "FORWARD", *rule[1:])
