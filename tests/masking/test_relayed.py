"""What a media relay is asked of the messages of a call, and what becomes of its answers.

Which messages carry an offer and which an answer: RFC 3261 section 13.2.1, RFC 3262 section 5, RFC 3311
section 5, RFC 6337 section 2. The relay here is a table: description in, description out.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.gateway import Ask, Verdict
from inline_topo.masking.effects import EffectFailed
from inline_topo.masking.media import MediaAnswer, MediaDelete, MediaOffer
from inline_topo.masking.relayed import MOST_UNANSWERED, UNANSWERED
from tests.masking.network import PEER, PROXY, RING, THIRD, datagram, payload_of

PHONE, RELAY = "10.0.0.5", "192.0.2.99"
CALL = "call@10.0.0.5"
FAILED = EffectFailed("relay", "no answer in time")


def sdp(address: str, port: int = 4000, mode: str = "sendrecv") -> bytes:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na={mode}\r\n"
    ).encode()


class Net:
    """A gateway with a relay. `asked` is what that one heard of, in order; `says` its next words, where
    they are not a description of its own."""

    def __init__(self, **settings: Any) -> None:
        values: dict[str, Any] = {
            "inside": [PROXY, "10.0.0.0/8"],
            "own": [PROXY, RELAY, "example.com"],
            "topoh.mask_callid": True,
            "media.relay": "rtpengine",
        }
        values |= {key.replace("__", "."): value for key, value in settings.items()}
        config = load(None, env={}, overrides=values, key_ring_given=True)
        self.gateway = assemble.gateway(config, ring=RING, relayed=True)
        self.asked: list[Any] = []
        self.says: list[Any] = []
        self.now = 0.0
        self._port = 30000

    def leave(self, message: bytes, peer: str = PEER) -> Verdict:
        return self._pass(datagram(message, PROXY, peer))

    def enter(self, message: bytes, peer: str = PEER) -> Verdict:
        return self._pass(datagram(message, peer, PROXY))

    def _pass(self, packet: bytes) -> Verdict:
        answer = self.gateway.handle(packet, self.now)
        while isinstance(answer, Ask):
            self.asked.append(answer.effect)
            answer = answer.resume(self._perform(answer.effect))
        return answer

    def _perform(self, effect: Any) -> Any:
        if self.says:
            return self.says.pop(0)
        self._port += 2
        return None if isinstance(effect, MediaDelete) else sdp(RELAY, self._port)

    def kinds(self) -> list[str]:
        return [type(effect).__name__ for effect in self.asked]


def message(
    start: str, body: bytes = b"", *, cseq: str, tags: Sequence[str] = ("a", ""), branch: str = "1",
    via: str = PROXY, call: str = CALL, kind: str = "application/sdp", more: Sequence[str] = (),
) -> bytes:  # fmt: skip
    lines = [
        start if start.startswith("SIP/2.0") else f"{start} sip:x@example.com SIP/2.0",
        f"Via: SIP/2.0/UDP {via};branch=z9hG4bK{branch}",
        f"From: <sip:a@example.com>;tag={tags[0]}",
        f"To: <sip:b@example.com>{f';tag={tags[1]}' if tags[1] else ''}",
        f"Call-ID: {call}",
        f"CSeq: {cseq}",
        *more,
        *([f"Content-Type: {kind}"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def masked(net: Net, call: str = CALL) -> str:
    """What the outside knows the call by."""
    verdict = net.leave(message("OPTIONS", cseq="9 OPTIONS", call=call))
    return payload_of(verdict.packet).split(b"Call-ID: ")[1].split(b"\r\n")[0].decode()


INVITE = message("INVITE", sdp(PHONE), cseq="1 INVITE")
RINGING = "SIP/2.0 180 Ringing"
PROGRESS = "SIP/2.0 183 Session Progress"
OK = "SIP/2.0 200 OK"


def test_an_offer_leaves_and_its_answer_enters() -> None:
    net = Net()
    call = masked(net)
    assert call != CALL
    left = payload_of(net.leave(INVITE).packet)
    assert left.endswith(b"\r\n\r\n" + sdp(RELAY, 30002))
    assert b"Content-Length: %d\r\n" % len(sdp(RELAY, 30002)) in left
    entered = net.enter(message(OK, sdp(PEER), cseq="1 INVITE", tags="ab", call=call))
    assert payload_of(entered.packet).endswith(sdp(RELAY, 30004))
    branch = f"{PROXY} z9hG4bK1".encode()
    assert net.asked == [
        MediaOffer(CALL.encode(), branch, b"i-a", b"", sdp(PHONE), True),
        MediaAnswer(CALL.encode(), branch, b"i-a", b"o-b", sdp(PEER)),
    ]


def test_an_offer_enters_and_its_answer_leaves() -> None:
    net = Net()
    net.enter(message("INVITE", sdp(PEER), cseq="1 INVITE", call="x", via=PEER))
    net.leave(message(OK, sdp(PHONE), cseq="1 INVITE", tags="ab", call="x", via=PEER))
    branch = f"{PEER} z9hG4bK1".encode()
    assert net.asked == [
        MediaOffer(b"x", branch, b"o-a", b"", sdp(PEER), False),
        MediaAnswer(b"x", branch, b"o-a", b"i-b", sdp(PHONE)),
    ]


def test_without_an_offer_in_the_invite_the_200_has_it_and_the_ack_the_answer() -> None:
    net = Net()
    call = masked(net)
    net.leave(message("INVITE", cseq="1 INVITE"))
    net.enter(message(RINGING, cseq="1 INVITE", tags="ab", call=call))
    net.enter(message(OK, sdp(PEER), cseq="1 INVITE", tags="ab", call=call))
    net.leave(message("ACK", sdp(PHONE), cseq="1 ACK", tags="ab"))
    offer, answer = net.asked
    assert (type(offer), offer.offerer, offer.answerer) == (MediaOffer, b"o-b", b"i-a")
    assert (type(answer), answer.offerer, answer.answerer) == (MediaAnswer, b"o-b", b"i-a")


def test_an_offer_in_a_reliable_183_is_answered_in_the_prack() -> None:
    net = Net()
    call = masked(net)
    net.leave(message("INVITE", cseq="1 INVITE"))
    net.enter(message(PROGRESS, sdp(PEER), cseq="1 INVITE", tags="ab", call=call))
    net.leave(message("PRACK", sdp(PHONE), cseq="2 PRACK", tags="ab"))
    assert net.kinds() == ["MediaOffer", "MediaAnswer"]


def test_offers_in_prack_and_update_are_answered_in_their_200s() -> None:
    net = Net()
    call = masked(net)
    net.leave(INVITE)
    net.enter(message(PROGRESS, sdp(PEER), cseq="1 INVITE", tags="ab", call=call))
    for number, method in ((2, "PRACK"), (3, "UPDATE")):
        cseq = f"{number} {method}"
        net.leave(message(method, sdp(PHONE, 4000 + number), cseq=cseq, tags="ab"))
        net.enter(message(OK, sdp(PEER, 4000 + number), cseq=cseq, tags="ab", call=call))
    assert net.kinds() == ["MediaOffer", "MediaAnswer"] * 3
    assert {effect.offerer for effect in net.asked} == {b"i-a"}


def test_a_response_to_an_invite_that_others_saw_is_an_answer_or_else_an_offer() -> None:
    net = Net()
    call = masked(net)
    net.says = [None]  # it knows of no such call
    net.enter(message(OK, sdp(PEER), cseq="1 INVITE", tags="ab", call=call))
    assert net.kinds() == ["MediaAnswer", "MediaOffer"]
    assert (net.asked[1].offerer, net.asked[1].answerer) == (b"o-b", b"i-a")


@pytest.mark.parametrize("sender", ["inside", "outside"])
def test_what_has_no_part_in_the_exchange_is_not_asked_about(sender: str) -> None:
    net = Net()
    send = net.leave if sender == "inside" else net.enter
    place = PHONE if sender == "inside" else PEER
    for start, cseq in (
        ("OPTIONS", "1 OPTIONS"),
        ("MESSAGE", "1 MESSAGE"),
        (OK, "1 OPTIONS"),
        ("SIP/2.0 100 Trying", "1 INVITE"),
        ("SIP/2.0 488 Not Acceptable Here", "1 INVITE"),
        ("BYE", "2 BYE"),
    ):
        send(message(start, sdp(place), cseq=cseq, tags="ab"))
    assert net.asked == []


def test_a_proxied_call_is_two_pairs_of_parties_one_behind_the_other() -> None:
    """PEER calls THIRD through the proxy: in, out, and back."""
    net = Net(topoh__mask_callid=False)
    net.enter(message("INVITE", sdp(PEER), cseq="1 INVITE", via=PEER, branch="peer"))
    net.leave(message("INVITE", sdp(RELAY), cseq="1 INVITE", branch="proxy"), THIRD)
    net.enter(message(OK, sdp(THIRD), cseq="1 INVITE", tags="ab", branch="proxy"), THIRD)
    net.leave(message(OK, sdp(RELAY), cseq="1 INVITE", tags="ab", via=PEER, branch="peer"))
    pairs = [(effect.offerer, effect.answerer) for effect in net.asked]
    assert pairs == [(b"o-a", b""), (b"i-a", b""), (b"i-a", b"o-b"), (b"o-a", b"i-b")]
    assert net.kinds() == ["MediaOffer", "MediaOffer", "MediaAnswer", "MediaAnswer"]
    assert net.asked[0].branch == net.asked[3].branch != net.asked[1].branch == net.asked[2].branch


def test_a_call_that_a_server_sends_back_keeps_its_passes_apart() -> None:
    net = Net(topoh__mask_callid=False)
    net.enter(message("INVITE", sdp(PEER), cseq="1 INVITE", via=PEER, branch="1"))
    given = sdp(RELAY, 1)
    net.leave(message("INVITE", sdp(RELAY, 2), cseq="1 INVITE", branch="2"), THIRD)
    net.enter(message("INVITE", given, cseq="1 INVITE", via=THIRD, branch="3"), THIRD)
    net.leave(message("INVITE", sdp(RELAY, 3), cseq="1 INVITE", branch="4"), "203.0.113.77")
    net.enter(message(OK, sdp(THIRD), cseq="1 INVITE", tags="ab", branch="4"), "203.0.113.77")
    net.leave(message(OK, sdp(RELAY), cseq="1 INVITE", tags="ab", via=THIRD, branch="3"), THIRD)
    net.enter(message(OK, sdp(THIRD), cseq="1 INVITE", tags="ab", branch="2"), THIRD)
    net.leave(message(OK, sdp(RELAY), cseq="1 INVITE", tags="ab", via=PEER, branch="1"))
    offerers = [effect.offerer for effect in net.asked]
    assert len(set(offerers[:4])) == 4
    assert offerers[4:] == offerers[3::-1]
    net.enter(message(OK, cseq="2 BYE", tags="ab", branch="5"), "203.0.113.77")
    assert net.asked[-1].offerer == offerers[3]


def test_forks_share_their_offer_and_are_told_apart_by_branch() -> None:
    net = Net()
    net.leave(message("INVITE", sdp(PHONE), cseq="1 INVITE", branch="1"), PEER)
    net.leave(message("INVITE", sdp(PHONE), cseq="1 INVITE", branch="2"), THIRD)
    one, two = net.asked
    assert one.offerer == two.offerer == b"i-a"
    assert one.branch != two.branch


def test_a_repeated_message_is_not_asked_about_and_goes_out_the_same() -> None:
    net = Net()
    call = masked(net)
    answer = message(OK, sdp(PEER), cseq="1 INVITE", tags="ab", call=call)
    first = [net.leave(INVITE).packet, net.enter(answer).packet]
    net.now = 31.9
    assert [net.leave(INVITE).packet, net.enter(answer).packet] == first
    assert len(net.asked) == 2
    net.now = 32.1
    assert net.leave(INVITE).packet != first[0]
    assert len(net.asked) == 3


def test_the_200_after_a_183_is_asked_about_again() -> None:
    net = Net()
    call = masked(net)
    net.leave(INVITE)
    for start in (PROGRESS, OK):
        net.enter(message(start, sdp(PEER), cseq="1 INVITE", tags="ab", call=call))
    assert net.kinds() == ["MediaOffer", "MediaAnswer", "MediaAnswer"]


@pytest.mark.parametrize("status", ["200 OK", "481 Call Does Not Exist", "408 Request Timeout"])
def test_the_answer_to_a_bye_ends_the_media_of_the_two(status: str) -> None:
    net = Net()
    call = masked(net)
    net.enter(message(f"SIP/2.0 {status}", cseq="2 BYE", tags="ab", call=call))
    net.leave(message(f"SIP/2.0 {status}", cseq="3 BYE", tags="ba", call=CALL, via=PEER))
    assert net.asked == [
        MediaDelete(CALL.encode(), b"", b"i-a", b"o-b"),
        MediaDelete(CALL.encode(), b"", b"o-b", b"i-a"),
    ]


def test_a_bye_that_must_prove_who_it_is_ends_nothing() -> None:
    net = Net()
    call = masked(net)
    net.leave(message("BYE", cseq="2 BYE", tags="ab"))
    for status in ("100 Trying", "401 Unauthorized", "407 Proxy Authentication Required"):
        net.enter(message(f"SIP/2.0 {status}", cseq="2 BYE", tags="ab", call=call))
    assert net.asked == []


def test_an_invite_that_fails_ends_its_branch() -> None:
    net = Net()
    call = masked(net)
    net.leave(INVITE)
    busy = message("SIP/2.0 486 Busy Here", cseq="1 INVITE", tags="ab", call=call)
    assert net.enter(busy).outcome == "unmasked"
    assert net.asked[1] == MediaDelete(CALL.encode(), f"{PROXY} z9hG4bK1".encode(), b"i-a", b"")


def test_a_re_invite_that_fails_ends_nothing_nor_does_one_of_before() -> None:
    net = Net()
    call = masked(net)
    net.leave(INVITE)
    net.leave(message("INVITE", sdp(PHONE), cseq="2 INVITE", tags="ab", branch="2"))
    for number in (1, 2):
        net.enter(
            message("SIP/2.0 488 No", cseq=f"{number} INVITE", tags="ab", branch="2", call=call)
        )
    assert net.kinds() == ["MediaOffer", "MediaOffer"]


@pytest.mark.parametrize("on_error", ["drop", "accept"])
@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_without_an_answer_a_message_is_dropped(direction: str, on_error: str) -> None:
    net = Net(queue__on_error=on_error)
    net.says = [FAILED]
    verdict = net.leave(INVITE) if direction == "egress" else net.enter(INVITE)
    assert (verdict.action.value, verdict.outcome) == ("drop", "refused_relay")
    assert payload_of(net.leave(INVITE).packet).endswith(sdp(RELAY, 30002))  # sent again


def test_on_error_accept_it_goes_on_with_what_it_has() -> None:
    net = Net(media__on_error="accept")
    net.says = [FAILED]
    verdict = net.leave(INVITE)
    assert verdict.outcome == "masked"
    assert verdict.notes == ("media",)
    assert f"c=IN IP4 {PHONE}".encode() in payload_of(verdict.packet)


def test_an_answer_to_an_offer_that_the_relay_has_forgotten_has_failed() -> None:
    net = Net()
    call = masked(net)
    net.leave(INVITE)
    net.says = [None]
    verdict = net.enter(message(OK, sdp(PEER), cseq="1 INVITE", tags="ab", call=call))
    assert verdict.outcome == "refused_relay"
    assert net.kinds() == ["MediaOffer", "MediaAnswer"]


def test_what_else_the_relays_description_tells_is_hidden_too() -> None:
    net = Net()
    net.says = [sdp(RELAY).replace(b"o=- ", b"o=root@10.0.0.5 ").replace(b"s=-", b"s=at 10.0.0.9")]
    verdict = net.leave(INVITE)
    assert b"10.0.0." not in payload_of(verdict.packet)
    assert verdict.notes == ()


MULTIPART = (
    b"--x\r\nContent-Type: message/sip\r\n\r\n" + message("INVITE", sdp(PHONE, 7), cseq="7 INVITE")
    + b"\r\n--x\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(sdp(PHONE))
    + sdp(PHONE) + b"\r\n--x--\r\n"
)  # fmt: skip


@pytest.mark.parametrize("hides", [True, False])
def test_in_a_multipart_body_its_part_gives_way_and_nothing_that_is_quoted(hides: bool) -> None:
    net = Net(hide__bodies=hides, hide__sdp=hides)
    kind = "multipart/mixed;boundary=x"
    verdict = net.leave(message("INVITE", MULTIPART, cseq="1 INVITE", kind=kind))
    [offer] = net.asked
    assert offer.session == sdp(PHONE)
    left = payload_of(verdict.packet)
    given = sdp(RELAY, 30002)
    assert b"Content-Length: %d\r\n\r\n" % len(given) + given + b"\r\n--x--" in left
    assert b"m=audio 7 " in left
    head, _, body = left.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head


@pytest.mark.parametrize("shape", ["router", "nat"])
def test_answers_find_their_branch_where_the_topmost_via_is_masked_too(shape: str) -> None:
    more = {"shape": "nat", "public": PROXY, "inside": ["10.0.0.0/8"]} if shape == "nat" else {}
    net = Net(**more)
    inside = PHONE if shape == "nat" else PROXY
    invite = message("INVITE", sdp(PHONE), cseq="1 INVITE", via=inside)
    left = payload_of(net._pass(datagram(invite, inside, PEER)).packet)
    assert (f"{PHONE};branch=z9hG4bK1".encode() in left) is False
    head = left.partition(b"\r\n\r\n")[0].decode()
    lines = [x for x in head.split("\r\n") if x.startswith(("Via", "From", "Call-ID", "CSeq"))]
    answer = "\r\n".join(
        [OK, *lines, "To: <sip:b@example.com>;tag=b", "Content-Type: application/sdp",
         f"Content-Length: {len(sdp(PEER))}", "", ""]
    ).encode() + sdp(PEER)  # fmt: skip
    net._pass(datagram(answer, PEER, PROXY if shape == "router" else PHONE))
    assert net.asked[0].branch == net.asked[1].branch == f"{inside} z9hG4bK1".encode()


def test_a_rule_that_leaves_a_peer_clear_leaves_its_media_too() -> None:
    rule = {"destination": [THIRD], "action": "skip"}
    net = Net(rule=[rule])
    assert f"c=IN IP4 {PHONE}".encode() in payload_of(net.leave(INVITE, THIRD).packet)
    net.enter(message(OK, sdp(THIRD), cseq="1 INVITE", tags="ab"), THIRD)
    assert net.asked == []
    net.leave(INVITE)
    assert net.kinds() == ["MediaOffer"]


def test_mode_topos_asks_relay_and_store() -> None:
    net = Net(mode="topos", topos__store="memory:")
    net.says = [sdp(RELAY), {}, {}, {}]
    verdict = net.leave(INVITE)
    assert net.kinds()[0] == "MediaOffer"
    assert payload_of(verdict.packet).endswith(sdp(RELAY))


def test_a_drain_goes_on_asking() -> None:
    net = Net()
    values: dict[str, Any] = {"inside": [PROXY, "10.0.0.0/8"], "media.relay": "rtpengine"}
    config = load(None, env={}, overrides=values, key_ring_given=True)
    net.gateway = assemble.gateway(config, ring=RING, drain=True, relayed=True)
    assert payload_of(net.leave(INVITE).packet).endswith(sdp(RELAY, 30002))
    answer = message(OK, sdp(PEER), cseq="1 INVITE", tags="ab")
    assert payload_of(net.enter(answer).packet).endswith(sdp(RELAY, 30004))


def test_only_a_live_gateway_asks() -> None:
    overrides: dict[str, Any] = {"inside": [PROXY], "media.relay": "rtpengine"}
    config = load(None, env={}, overrides=overrides, key_ring_given=True)
    verdict = assemble.gateway(config, ring=RING).handle(datagram(INVITE, PROXY, PEER), 0.0)
    assert isinstance(verdict, Verdict)


def test_the_audit_takes_media_for_a_leak_only_where_a_relay_should_have_it() -> None:
    leaks: dict[tuple[str, bool], bool] = {}
    for relay in ("none", "rtpengine"):
        for relayed in (True, False):
            overrides: dict[str, Any] = {
                "inside": [PROXY, "10.0.0.0/8"], "audit": 1, "media.relay": relay,
                "media.on_error": "accept",
            }  # fmt: skip
            config = load(None, env={}, overrides=overrides, key_ring_given=True)
            gateway = assemble.gateway(config, ring=RING, relayed=relayed)
            answer = gateway.handle(datagram(INVITE, PROXY, PEER), 0.0)
            verdict = answer.resume(FAILED) if isinstance(answer, Ask) else answer
            assert isinstance(verdict, Verdict)
            assert verdict.shown
            leaks[relay, relayed] = any(f.cause == "leak" for f in verdict.shown)
    assert [pair for pair, leak in leaks.items() if leak] == [("rtpengine", True)]


def unanswered(net: Net, count: int) -> None:
    """So many INVITEs from outside, which nobody inside answers."""
    for number in range(count):
        net.enter(
            message(
                "INVITE",
                sdp(PEER),
                cseq="1 INVITE",
                tags=("x", ""),
                via=PEER,
                call=f"call-{number}",
            )
        )


def test_an_offer_that_no_response_follows_is_ended_when_its_transaction_has_failed() -> None:
    net = Net()
    unanswered(net, 1)
    net.now = UNANSWERED - 0.1
    net.enter(message("OPTIONS", cseq="1 OPTIONS", via=PEER, call="other"))
    assert net.kinds() == ["MediaOffer"]
    net.now = UNANSWERED
    for _ in range(2):
        verdict = net.enter(message("OPTIONS", cseq="1 OPTIONS", via=PEER, call="other"))
        assert verdict.outcome == "unchanged"  # it carries the end of another call's media
    branch = f"{PEER} z9hG4bK1".encode()
    assert net.asked[1:] == [MediaDelete(b"call-0", branch, b"o-x", b"")]


@pytest.mark.parametrize("status", ["100 Trying", "180 Ringing", "200 OK"])
def test_an_offer_that_a_response_followed_is_not_ended(status: str) -> None:
    net = Net()
    unanswered(net, 1)
    net.leave(
        message(f"SIP/2.0 {status}", cseq="1 INVITE", tags=("x", "y"), via=PEER, call="call-0")
    )
    net.now = 10 * UNANSWERED
    net.enter(message("OPTIONS", cseq="1 OPTIONS", via=PEER, call="other"))
    assert net.kinds() == ["MediaOffer"]


def test_a_repeated_invite_of_an_answered_call_is_not_ended_either() -> None:
    net = Net()
    unanswered(net, 1)
    net.leave(message(RINGING, cseq="1 INVITE", tags=("x", "y"), via=PEER, call="call-0"))
    net.now = 1.0
    unanswered(net, 1)
    net.now = 10 * UNANSWERED
    net.enter(message("OPTIONS", cseq="1 OPTIONS", via=PEER, call="other"))
    assert net.kinds() == ["MediaOffer"]


def test_no_more_than_so_many_offers_wait_for_a_response() -> None:
    net = Net()
    unanswered(net, MOST_UNANSWERED + 10)
    ended = [effect.call_id for effect in net.asked if isinstance(effect, MediaDelete)]
    assert ended == [b"call-%d" % number for number in range(9)]


def test_what_is_refused_asks_nothing_and_ends_nothing() -> None:
    claims = ["Via: SIP/2.0/UDP 10.0.0.77;branch=z9hG4bKx"]
    for net in (Net(), Net(hide__claims="refuse")):
        call = masked(net)
        net.leave(INVITE)
        net.asked.clear()
        for start, cseq in ((OK, "1 INVITE"), ("SIP/2.0 486 Busy", "1 INVITE"), (OK, "2 BYE")):
            body = sdp(PEER) if cseq == "1 INVITE" else b""
            stray = message(start, body, cseq=cseq, tags="ab", call=call, more=claims)
            assert net.enter(stray).outcome == "refused_claim"
        assert net.asked == []
    route = ["Route: <sip:10.0.0.77;lr>"]
    request = message("INVITE", sdp(PEER), cseq="1 INVITE", call="x", via=PEER, more=route)
    assert net.enter(request).outcome == "refused_claim"
    assert net.asked == []
