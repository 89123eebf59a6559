"""The client of rtpengine against a server that loses, repeats and mixes up what it is told.

What the real one says to each command was taken from rtpengine 10.5.3.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inline_topo.edges.relay import rtpengine
from inline_topo.edges.relay.rtpengine import Ends, Exchanges, Relay
from inline_topo.masking.effects import EffectFailed
from inline_topo.masking.media import MediaAnswer, MediaDelete, MediaOffer

SDP = b"v=0\r\no=\xe9lan 1 1 IN IP4 10.0.0.1\r\ns=\xc3\xa9 \xff\r\nc=IN IP4 10.0.0.1\r\n"
GIVEN = SDP.replace(b"10.0.0.1", b"192.0.2.1")
OFFER = MediaOffer(b"call\xfc", b"host z9hG4bK1", b"i-a", b"", SDP, True)
ANSWER = MediaAnswer(b"call", b"", b"i-a", b"o-b", SDP)
END = MediaDelete(b"call", b"", b"i-a", b"o-b")

Handler = Callable[[bytes, dict[str, Any]], list[bytes]]


class Server:
    """Answers each datagram with what `handler` makes of its cookie and dictionary."""

    def __init__(self, handler: Handler, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.got: list[tuple[bytes, dict[str, Any]]] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.address = self.socket.getsockname()
        self._handler = handler
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            text, sender = self.socket.recvfrom(65535)
            if not text:
                return
            cookie, _, rest = text.partition(b" ")
            command = json.loads(rest)
            self.got.append((cookie, command))
            for reply in self._handler(cookie, command):
                self.socket.sendto(reply, sender)

    def relay(self, timeout: float = 5.0, **more: Any) -> Relay:
        return Relay(self.address, timeout, **more)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.address)
        self._thread.join()
        self.socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def start(handler: Handler, *address: tuple[str, int]) -> Server:
        servers.append(Server(handler, *address))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def said(cookie: bytes, **reply: Any) -> bytes:
    return cookie + b" " + json.dumps(reply).encode()


def obliging(cookie: bytes, command: dict[str, Any]) -> list[bytes]:
    """Puts its address into what it is offered."""
    return [said(cookie, sdp=command["sdp"].replace("10.0.0.1", "192.0.2.1"), result="ok")]


def perform(relay: Relay, *effects: Any) -> list[Any]:
    exchanges = Exchanges(relay)
    try:
        return list(exchanges.perform(effects))
    finally:
        exchanges.close()


Serve = Callable[..., Server]


def test_an_offer_any_bytes_come_back_as_they_were(serve: Serve) -> None:
    server = serve(obliging)
    assert perform(server.relay(), OFFER) == [GIVEN]
    [(_, command)] = server.got
    assert command.pop("sdp").encode("latin-1") == SDP
    assert command == {
        "command": "offer",
        "call-id": "call\xfc",
        "via-branch": "host z9hG4bK1",
        "from-tag": "i-a",
        "replace": ["origin", "session-connection"],
        "ICE": "remove",
    }


def test_interfaces_and_flags_as_configured(serve: Serve) -> None:
    server = serve(obliging)
    relay = server.relay(interfaces=("in", "out"), flags=("symmetric",))
    entering = MediaOffer(b"call", b"", b"o-b", b"i-a", SDP, False)
    assert perform(relay, OFFER, entering, ANSWER) == [GIVEN] * 3
    commands = [command for _, command in server.got]
    assert [command.get("direction") for command in commands] == [
        ["in", "out"],
        ["out", "in"],
        None,
    ]
    assert all(command["flags"] == ["symmetric"] for command in commands)
    assert (commands[1]["from-tag"], commands[1]["to-tag"]) == ("o-b", "i-a")


def test_a_lost_answer_is_asked_for_again_by_its_cookie(serve: Serve) -> None:
    seen: list[bytes] = []

    def loses_the_first(cookie: bytes, command: dict[str, Any]) -> list[bytes]:
        seen.append(cookie)
        return obliging(cookie, command) if seen.count(cookie) > 1 else []

    assert perform(serve(loses_the_first).relay(timeout=2.0), OFFER, ANSWER) == [GIVEN] * 2
    assert len(set(seen)) == 2


def test_answers_in_any_order_and_those_of_others(serve: Serve) -> None:
    waiting: list[bytes] = []

    def mixes_up(cookie: bytes, command: dict[str, Any]) -> list[bytes]:
        waiting.insert(0, said(cookie, sdp=command["call-id"], result="ok"))
        if len(waiting) < 3:
            return [b"not-yours " + waiting[0].partition(b" ")[2], b"", b"noise"]
        return [*waiting, *waiting]

    effects = [MediaOffer(call, b"", b"i-a", b"", SDP, True) for call in (b"1", b"2", b"3")]
    assert perform(serve(mixes_up).relay(), *effects) == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b'{"result":"error","error-reason":"Failed to parse SDP"}', "Failed to parse SDP"),
        (b'{"result":"ok"}', "no description"),
        (b'{"result":"load limit","message":"x"}', "no description"),
        (b'{"result":"ok","sdp":"\\u20ac"}', "other characters"),
        (b"d6:result2:oke", "no dictionary"),
        (b"[]", "no dictionary"),
        (b"\xff\xfe", "no dictionary"),
        (b"", "no dictionary"),
    ],
)
def test_what_is_no_description_has_failed_with_a_reason(
    serve: Serve, reply: bytes, reason: str
) -> None:
    server = serve(lambda cookie, command: [cookie + b" " + reply])
    [result] = perform(server.relay(), OFFER)
    assert isinstance(result, EffectFailed)
    assert result.outcome == "relay"
    assert reason in str(result)


def test_a_call_that_it_does_not_know(serve: Serve) -> None:
    unknown = {"result": "error", "error-reason": "Unknown call-id"}
    server = serve(lambda cookie, command: [said(cookie, **unknown)])
    answer, offer = perform(server.relay(), ANSWER, OFFER)
    assert answer is None
    assert isinstance(offer, EffectFailed)


def test_silence_ends_in_time_and_the_next_one_is_asked_anew(serve: Serve) -> None:
    is_mute = True

    def may_be_mute(cookie: bytes, command: dict[str, Any]) -> list[bytes]:
        return [] if is_mute else obliging(cookie, command)

    exchanges = Exchanges(serve(may_be_mute).relay(timeout=0.5))
    [result] = exchanges.perform([OFFER])
    assert isinstance(result, EffectFailed)
    assert "no answer in time" in str(result)
    is_mute = False
    assert exchanges.perform([OFFER]) == [GIVEN]
    exchanges.close()


def nobody() -> tuple[str, int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address: tuple[str, int] = taken.getsockname()
    return address


def test_nobody_there_is_known_at_once_and_somebody_later_too(serve: Serve) -> None:
    address = nobody()
    exchanges = Exchanges(Relay(address, 30.0))
    results = exchanges.perform([OFFER, ANSWER])
    assert ["nobody listens there" in str(result) for result in results] == [True, True]
    serve(obliging, address)
    assert exchanges.perform([OFFER]) == [GIVEN]
    exchanges.close()


def test_an_end_is_told_and_not_waited_for(serve: Serve) -> None:
    heard = threading.Event()

    def hears(cookie: bytes, command: dict[str, Any]) -> list[bytes]:
        if command["call-id"] == "last":
            heard.set()
        return [said(cookie, result="ok")]

    server = serve(hears)
    ends = Ends(server.relay())
    assert ends.is_immediate
    assert ends.perform([END]) == [None]
    assert ends.perform([MediaDelete(b"last", b"host b", b"i-a", b"")]) == [None]
    assert heard.wait(5)
    ends.close()
    commands = [command for _, command in server.got]
    both = [("i-a", "o-b"), ("o-b", "i-a")]  # rtpengine ends what hangs on the second
    assert commands == [
        *(
            {
                "command": "delete",
                "call-id": "call",
                "from-tag": one,
                "to-tag": other,
                "delete delay": 1,
            }
            for one, other in both
        ),
        {
            "command": "delete",
            "call-id": "last",
            "via-branch": "host b",
            "from-tag": "i-a",
            "delete delay": 1,
        },
    ]


def test_an_end_that_nobody_hears_has_failed_and_raises_nothing() -> None:
    ends = Ends(Relay(nobody(), 1.0))
    results = [ends.perform([END])[0] for _ in range(3)]  # that nobody is there comes back later
    assert any(isinstance(result, EffectFailed) for result in results)
    ends.close()


def test_the_check_at_a_start(serve: Serve) -> None:
    pong = serve(lambda cookie, command: [said(cookie, result="pong")])
    other = serve(lambda cookie, command: [said(cookie, result="ok")])
    assert rtpengine.check(pong.relay()) == []
    assert "no rtpengine" in rtpengine.check(other.relay())[0]
    assert "nobody listens there" in rtpengine.check(Relay(nobody(), 1.0))[0]
    assert "[::1]:9: " in rtpengine.check(Relay(("::1", 9), 1.0))[0]
