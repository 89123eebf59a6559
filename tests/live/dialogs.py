"""Phones that say each message by themselves, so that a test sees what reached whom."""

import time
from collections.abc import Sequence

from attacks.message import Message, bare
from lab.site import Site
from tests.live.running import PATIENCE

DOMAIN = "server.com"
PROXY = (Site.INSIDE, 5060)


SDP = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class Phone:
    """A phone at `place` in a host; it says that it is at `says`, by default there. What it sends goes to
    the proxy, or to `via`."""

    def __init__(
        self, site: Site, host: str, user: str, place: tuple[str, int], says: str = ""
    ) -> None:
        self.host = host
        self.user = user
        self.says = says or f"{place[0]}:{place[1]}"
        self.via = PROXY
        self.heard: list[Message] = []
        self._socket = site.udp(host, *place)
        self._known: set[bytes] = set()
        self.sent = 0
        """How many requests; a phone that moves goes on counting."""

    @property
    def uri(self) -> str:
        """Its Contact."""
        return f"sip:{self.user}@{self.says}"

    def send(self, message: Message) -> None:
        self._socket.sendto(message.wire(), self.via)

    def request(self, method: str, uri: str, call_id: str, cseq: int) -> Message:
        """A request with the fields that all have."""
        self.sent += 1
        message = Message(f"{method} {uri} SIP/2.0", [])
        branch = f"z9hG4bK{self.user}{call_id}{method}{cseq}{self.sent}"
        message.put("Via", f"SIP/2.0/UDP {self.says};branch={branch};rport")
        message.put("From", f"<sip:{self.user}@{DOMAIN}>;tag={self.user}{call_id}")
        message.put("To", f"<sip:{self.user}@{DOMAIN}>")
        message.put("Call-ID", call_id)
        message.put("CSeq", f"{cseq} {method}")
        message.put("Contact", f"<{self.uri}>")
        message.put("Max-Forwards", "70")
        return message

    def hear(self, what: str, call_id: str = "") -> Message:
        """The next message whose start line begins so, or the next answer to such a method ("200 BYE");
        what is sent again is heard once. AssertionError without one."""
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65535)
            except TimeoutError:
                break
            message = Message.parse(data)
            said = message.method if message.is_request else f"{message.status} {message.method}"
            is_other = call_id and message.first("Call-ID") != call_id
            if data in self._known or said != what or is_other:
                continue
            self._known.add(data)
            self.heard.append(message)
            return message
        raise AssertionError(f"{self.user}: no {what}; heard {[m.start for m in self.heard]}")

    def first(self) -> Message:
        """The next message, whatever it is."""
        self._socket.settimeout(PATIENCE)
        self.heard.append(Message.parse(self._socket.recv(65535)))
        return self.heard[-1]

    def again(self, what: str) -> Message:
        """What was heard before and is sent again, or comes with other bytes."""
        self._known.clear()
        return self.hear(what)

    def answering(self, request: Message, status: str, body: str = "") -> Message:
        """An answer, with a tag in To where there is none and with its Contact."""
        answer = Message(f"SIP/2.0 {status}", [])
        for name in ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq"):
            answer.put(name, *request.values(name))
        if ";tag=" not in answer.first("To"):
            answer.put("To", f"{answer.first('To')};tag={self.user}")
        answer.put("Contact", f"<{self.uri}>")
        _describe(answer, body)
        return answer

    def answer(self, request: Message, status: str, body: str = "") -> Message:
        """Send an answer; what was sent."""
        answer = self.answering(request, status, body)
        self.send(answer)
        return answer

    def register(self, expires: int = 600, *, uri: str = "", path: str = "") -> Message:
        """Register its Contact, or another `uri`, with a Path; the 200."""
        self.sent += 1
        message = self.request("REGISTER", f"sip:{DOMAIN}", f"reg-{self.user}", self.sent)
        message.put("Contact", f"<{uri or self.uri}>")
        if path:
            message.put("Supported", "path")
            message.put("Path", path)
        message.put("Expires", str(expires))
        self.send(message)
        return self.hear("200 REGISTER")


def bindings(answer: Message) -> list[str]:
    """The URIs that a registrar lists."""
    return [bare(value) for value in answer.values("Contact")]


class Dialog:
    """One side of a dialog: where its requests go."""

    def __init__(self, phone: Phone, mine: str, theirs: str, call_id: str) -> None:
        self.phone = phone
        self.call_id = call_id
        self.target = ""
        self.routes: Sequence[str] = ()
        self._ends = mine, theirs
        self._invite = Message("", [])
        self.cseq = 100

    @classmethod
    def calling(cls, phone: Phone, uri: str, call_id: str, body: str = "", **more: str) -> "Dialog":
        """It calls; `answered` takes the answer."""
        request = phone.request("INVITE", uri, call_id, 100)
        request.put("To", f"<{uri}>")
        for name, value in more.items():
            request.put(name.replace("_", "-"), value)
        _describe(request, body)
        phone.send(request)
        made = cls(phone, request.first("From"), request.first("To"), call_id)
        made._invite = request
        return made

    def cancel(self) -> None:
        """Give up the call that was begun."""
        request = self._invite.copy()
        request.start = f"CANCEL {request.target} SIP/2.0"
        request.put("CSeq", f"{self.cseq} CANCEL")
        self.phone.send(request)

    def answered(self) -> Message:
        """Take the 200 and acknowledge it."""
        answer = self.phone.hear("200 INVITE", self.call_id)
        self._ends = answer.first("From"), answer.first("To")
        self.target = bare(answer.first("Contact"))
        if not self.routes:
            self.routes = answer.values("Record-Route")[::-1]
        self.send("ACK")
        return answer

    @classmethod
    def called(cls, phone: Phone, request: Message, answer: Message) -> "Dialog":
        """It answered a request so."""
        made = cls(phone, answer.first("To"), request.first("From"), request.first("Call-ID"))
        made.routes = request.values("Record-Route")
        made.target = bare(request.first("Contact"))
        return made

    def send(self, method: str, body: str = "", **more: str) -> None:
        """Send a request into the dialog."""
        self.cseq += method != "ACK"
        request = self.phone.request(method, self.target, self.call_id, self.cseq)
        request.put("From", self._ends[0])
        request.put("To", self._ends[1])
        if self.routes:
            request.put("Route", *self.routes)
        for name, value in more.items():
            request.put(name.replace("_", "-"), value)
        _describe(request, body)
        self.phone.send(request)


def _describe(message: Message, body: str) -> None:
    if body:
        message.put("Content-Type", "application/sdp")
        message.body = body
