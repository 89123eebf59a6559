"""Mode topos: what is kept and for how long, what happens where it is not, and changes of mode."""

import logging
import re
from typing import Any

import pytest

from inline_topo.assemble import Leg
from inline_topo.gateway import Action
from inline_topo.masking.codecs.records import Seal, pack, unpack
from inline_topo.masking.effects import Exchange, Record
from inline_topo.stores.memory import MemoryStore
from tests.masking.network import PEER, PROXY, RING, THIRD, datagram
from tests.masking.test_topos_dialogs import (
    BOB,
    BOBS,
    PEER_CONTACT,
    PEERS,
    call_in,
    call_out,
    invite,
)
from tests.masking.topos_network import (
    ROUTES,
    Broken,
    Node,
    answer,
    contact,
    lines,
    record_routes,
    request,
    sent,
)

OTHER = RING.generate()


def lives(store: MemoryStore, now: float = 0.0) -> dict[bytes, list[float]]:
    """The lives that are left, in seconds, by the kind of record."""
    found: dict[bytes, list[float]] = {}
    for record in store.records(now):
        found.setdefault(record.key[:1], []).append(record.left)
    return {kind: sorted(left) for kind, left in found.items()}


# What is kept


def test_a_call_that_nobody_answers_is_short_lived() -> None:
    store = MemoryStore()
    node = Node(store)
    left = node.leave(invite())
    assert lives(store) == {b"b": [180], b"c": [180], b"d": [180]}
    node.enter(answer("180 Ringing", left), now=100.0)  # it rings on, and is kept on
    assert lives(store, 100) == {b"b": [180], b"c": [180], b"d": [180]}
    node.enter(request("PRACK", contact(left), from_tag="2", to_tag="1"), now=100.0)
    assert lives(store, 100)[b"c"] == [180]
    assert lives(store, 280) == {}


def test_a_call_that_is_answered_lives_long() -> None:
    store = MemoryStore()
    node = Node(store, topos__dialog_expire=1000, topos__branch_expire=10)
    left = node.leave(invite())
    node.enter(answer("200 OK", left, PEER_CONTACT), now=5.0)
    assert lives(store, 5)[b"c"] == [1000]
    assert lives(store, 5)[b"d"] == [5, 1000]


@pytest.mark.parametrize("restarted", [False, True])
def test_traffic_prolongs_a_dialog(restarted: bool) -> None:
    store = MemoryStore()
    node = Node(store, topos__dialog_expire=1000)
    left = call_out(node)
    if restarted:
        node = Node(store, topos__dialog_expire=1000)
    info = request("INFO", contact(left), from_tag="2", to_tag="1")
    node.enter(info, now=600.0)
    assert lives(store, 600)[b"c"] == [1000]
    assert max(lives(store, 600)[b"d"]) == 1000
    asked = len(node.exchanges)
    node.enter(info, now=700.0)  # kept long enough
    assert len(node.exchanges) == asked


def test_which_messages_prolong_a_dialog() -> None:
    """What comes from outside names the Contact, and what leaves with one too; nothing else does."""
    store = MemoryStore()
    node = Node(store, topos__dialog_expire=1000)
    left = call_out(node)
    for method in ("INFO", "MESSAGE", "OPTIONS"):
        info = node.leave(sent(method, PEERS, to_tag="2", cseq=2), now=900.0)
        node.enter(answer("200 OK", info), now=900.0)
        assert lives(store, 900)[b"c"] == [100]
    for method, left_over in (("BYE", 90), ("OPTIONS", 1000)):
        node.leave(sent(method, PEERS, BOB, to_tag="2", cseq=3), now=910.0)
        assert lives(store, 910)[b"c"] == [left_over]
    for number, method in enumerate(("OPTIONS", "INFO", "MESSAGE"), 1):
        now = 910.0 + 900 * number
        node.enter(request(method, contact(left), from_tag="2", to_tag="1"), now=now)
        assert lives(store, now)[b"c"] == [1000]
    asked = request("BYE", contact(left), from_tag="2", to_tag="1")
    gone = Node(store).judge(datagram(asked, PEER, PROXY), 1e6)
    assert gone.notes == ("unknown_id",)
    assert node.enter(asked, now=1e6).startswith(b"BYE " + BOBS)  # what is in memory goes on


def test_a_subscription_lives_as_long_as_it_says() -> None:
    store = MemoryStore()
    node = Node(store)
    left = node.leave(sent("SUBSCRIBE", PEERS, *record_routes(), BOB, b"Expires: 86400"))
    node.enter(answer("200 OK", left, PEER_CONTACT, b"Expires: 40000"))
    assert lives(store)[b"c"] == [40000]
    again = sent("SUBSCRIBE", PEERS, BOB, b"Expires: 60", to_tag="2", cseq=2, branch="3")
    node.leave(again, now=39000.0)
    assert lives(store, 39000)[b"c"] == [10800]


def test_a_callee_inside() -> None:
    store = MemoryStore()
    node = Node(store)
    entered = node.enter(request("INVITE", b"sip:bob@example.com", from_tag="9"))
    routes = record_routes(ROUTES[::-1])
    node.leave(answer("180 Ringing", entered, *routes, BOB, tag="8"))
    assert lives(store) == {b"c": [180], b"d": [180]}
    node.leave(answer("200 OK", entered, *routes, BOB, tag="8"))
    assert lives(store) == {b"c": [10800], b"d": [10800]}


def test_what_is_kept_shows_nothing() -> None:
    store = MemoryStore()
    call_out(Node(store))
    kept = b"".join(record.key + record.value for record in store.records(0))
    for clear in (b"10.0.0.", b"bob", b"sip", b"abc", b"192.0.2"):
        assert clear not in kept


# What is written


def test_methods_without_a_contact() -> None:
    node = Node()
    left = call_out(node)
    bye = node.leave(sent("BYE", PEERS, BOB, to_tag="2", cseq=2))
    assert lines(bye, "Contact") == []
    entered = node.enter(request("BYE", contact(left), from_tag="2", to_tag="1"))
    ok = node.leave(answer("200 OK", entered, BOB))
    assert lines(ok, "Contact") == []
    keeps = Node(topos__methods_nocontact=["CANCEL"])
    call_out(keeps)
    assert b"tpsh-" in contact(keeps.leave(sent("BYE", PEERS, BOB, to_tag="2", cseq=2)))


def test_contact_mode_1_keeps_the_user() -> None:
    node = Node(topos__contact_mode=1, topos__cparam_name="x")
    left = node.leave(invite())
    assert re.fullmatch(rb"sip:bob@192\.0\.2\.10;x=btpsh-[0-9a-f]{24}", contact(left))
    for uri in (
        contact(left),
        contact(left) + b";ob",
        b"sip:bob@192.0.2.10:5060;X=" + contact(left).partition(b"=")[2],
    ):
        entered = node.enter(request("BYE", uri, from_tag="2", to_tag="1"))
        assert entered.startswith(b"BYE %s SIP/2.0" % BOBS)
        assert lines(entered, "Route") == ROUTES


def test_contact_host() -> None:
    left = Node(topos__contact_host="edge.example.com:5070").leave(invite())
    assert contact(left).endswith(b"@edge.example.com:5070")


CONTACT_HOST: dict[str, Any] = {
    "topos__contact_host": "edge.example.org:5070",
    "audit": "enforce",
    "protected": ["example.org"],
}


@pytest.mark.parametrize("mode", ["topos", "topoh"])
def test_contact_host_in_a_dialog_that_outlives_a_change_of_mode(mode: str) -> None:
    """Ids are still written into dialogs that have them, and are no leak."""
    store = MemoryStore()
    out, (into, _) = call_out(Node(store, **CONTACT_HOST)), call_in(Node(store, **CONTACT_HOST))
    node = Node(store, mode=mode, **CONTACT_HOST)
    for left, remote, local in ((out, "2", "1"), (into, "9", "8")):
        again = request("INVITE", contact(left), from_tag=remote, to_tag=local, cseq=2)
        entered = node.enter(again)
        assert entered.startswith(b"INVITE %s SIP/2.0" % BOBS)
        assert lines(entered, "Route") == ROUTES
        ok = node.leave(answer("200 OK", entered, BOB))
        assert contact(ok)[6:] == contact(left)[6:]  # but for its letter
    again = node.leave(sent("INVITE", PEERS, BOB, to_tag="2", cseq=2))
    assert contact(again) == contact(out)
    assert contact(again).endswith(b"@edge.example.org:5070")


@pytest.mark.parametrize(
    ("written", "stays"),
    [
        (b'"B" <%s>;expires=60;q=0.5;+sip.instance="<urn:uuid:1>"', True),
        (b"%s;expires=60", False),
        (b"sips:bob@10.0.0.5", True),
    ],
)
def test_what_stands_around_a_contact_stays(written: bytes, stays: bool) -> None:
    value = written % b"sip:bob@10.0.0.5" if b"%s" in written else b"<%s>" % written
    left = lines(Node().leave(sent("INVITE", PEERS, b"Contact: " + value)), "Contact")[0]
    plain = re.sub(rb"btpsh-[0-9a-f]{24}@192\.0\.2\.10", b"bob@10.0.0.5", left)
    assert plain == (value if stays else b"<sip:bob@10.0.0.5>;expires=60")


def test_a_contact_of_any_binding_stays() -> None:
    assert lines(Node().leave(sent("INVITE", PEERS, b"Contact: *")), "Contact") == [b"*"]


def test_what_is_not_there_is_asked_for_once_in_ten_seconds() -> None:
    node = Node()
    bye = request("BYE", b"sip:btpsh-%s@192.0.2.10" % (b"0" * 24), from_tag="2", to_tag="1")
    asked = []
    for now in (0.0, 9.0, 11.0):
        node.judge(datagram(bye, PEER, PROXY), now)
        asked.append([key for exchange in node.exchanges for key in exchange.load])
        node.exchanges.clear()
    assert asked[0] == asked[2] != []
    assert asked[1] == []


def test_clients_may_add_to_an_id() -> None:
    node = Node()
    uri = contact(call_out(node))
    for changed in (uri + b";ob", uri + b":5060;transport=udp", b"<".strip(b"<") + uri.lower()):
        entered = node.enter(request("BYE", changed, from_tag="2", to_tag="1"))
        assert entered.startswith(b"BYE %s SIP/2.0" % BOBS)


def test_mask_callid_maps_in_the_headers_of_a_bare_contact_too() -> None:
    node = Node(topoh__mask_callid=True)
    message = sent("INVITE", PEERS, b"Contact: sip:bob@10.0.0.5?Replaces=abc%4010.0.0.5")
    left = node.leave(message.replace(b"Call-ID: abc", b"Call-ID: abc@10.0.0.5"))
    assert b"10.0.0." not in left
    entered = node.enter(answer("180 x", left))
    assert lines(entered, "Via") == lines(message, "Via")
    assert lines(entered, "Call-ID") == [b"abc@10.0.0.5"]
    uri = lines(left, "Contact")[0].partition(b"<")[2].partition(b"?")[0]
    bye = request("BYE", uri, from_tag="2", to_tag="1")
    bye = bye.replace(b"Call-ID: abc", b"Call-ID: " + lines(left, "Call-ID")[0])
    assert node.enter(bye).startswith(b"BYE sip:bob@10.0.0.5 SIP/2.0")


def test_shape_nat() -> None:
    """The topmost Via is masked too: its transaction is found by the clear one."""
    nat: dict[str, Any] = {
        "shape": "nat",
        "public": "203.0.113.5",
        "inside": ["10.0.0.0/8"],
        "own": ["203.0.113.5"],
    }
    node = Node(**nat)
    message = request(
        "INVITE", PEERS, BOB,
        vias=[b"SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKi;rport", b"SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKu"],
    )  # fmt: skip
    verdict = node.judge(datagram(message, "10.0.0.1", PEER))
    left = verdict.packet[28:]
    assert b"10.0.0." not in left
    assert re.search(rb"Contact: <sip:btpsh-[0-9a-f]{24}@203\.0\.113\.5>", left)
    ok = answer("200 OK", left, PEER_CONTACT)
    entered = node.judge(datagram(ok, PEER, "203.0.113.5")).packet[28:]
    assert lines(entered, "Via") == lines(message, "Via")
    bye = request("BYE", contact(left), from_tag="2", to_tag="1")
    entered = node.judge(datagram(bye, PEER, "203.0.113.5")).packet[28:]
    assert entered.startswith(b"BYE %s SIP/2.0" % BOBS)


# What goes wrong


def test_where_the_store_fails_a_message_is_dropped() -> None:
    for message in (invite(), sent("ACK", PEERS, BOB, to_tag="2")):
        verdict = Node(Broken()).judge(datagram(message, PROXY, PEER))
        assert (verdict.action, verdict.outcome) == (Action.DROP, "refused_store")
    bye = request("BYE", b"sip:btpsh-" + b"0a" * 12 + b"@192.0.2.10", to_tag="1")
    verdict = Node(Broken()).judge(datagram(bye, PEER, PROXY))
    assert (verdict.action, verdict.outcome) == (Action.DROP, "refused_store")


@pytest.mark.parametrize("on_error", ["drop", "accept"])
@pytest.mark.parametrize("on_store_error", ["drop", "mask"])
def test_on_error_lets_nothing_out_in_clear_where_the_store_fails(
    on_error: str, on_store_error: str
) -> None:
    settings: dict[str, Any] = {
        "queue__on_error": on_error, "topos__on_store_error": on_store_error,
    }  # fmt: skip
    verdict = Node(Broken(), **settings).judge(datagram(invite(), PROXY, PEER))
    if on_store_error == "drop":
        assert (verdict.action, verdict.outcome) == (Action.DROP, "refused_store")
    else:
        assert (verdict.action, verdict.outcome) == (Action.REPLACE, "masked")
        assert b"10.0.0." not in verdict.packet


def test_where_the_store_fails_a_message_may_be_masked_by_tokens() -> None:
    store = MemoryStore()
    node = Node(Broken(), topos__on_store_error="mask")
    left = node.leave(invite())
    assert left == Node(mode="topoh").leave(invite())
    assert b"10.0.0." not in left
    entered = Node(store).enter(answer("200 OK", left, PEER_CONTACT))
    assert lines(entered, "Via") == lines(invite(), "Via")
    assert lines(entered, "Record-Route") == ROUTES
    node.store = store  # it is there again
    assert b"tpsh-" in contact(node.leave(invite()))


@pytest.mark.parametrize("vias", [1, 3])
def test_a_call_that_is_masked_by_tokens_is_completed_without_a_store(vias: int) -> None:
    """A B2BUA sends one Via: its response has nothing to ask a store for that is away."""
    node = Node(Broken(), topos__on_store_error="mask")
    message = sent("INVITE", PEERS, BOB) if vias == 3 else request("INVITE", PEERS, BOB)
    left = node.leave(message)
    assert b"10.0.0." not in left
    for status in ("100 Trying", "180 Ringing", "200 OK"):
        entered = node.enter(answer(status, left, PEER_CONTACT))
        assert lines(entered, "Via") == lines(message, "Via")
    node.leave(request("ACK", PEERS, branch="2", to_tag="2"))
    bye = node.enter(request("BYE", contact(left), from_tag="2", to_tag="1"))
    assert bye.startswith(b"BYE %s SIP/2.0" % BOBS)


def test_what_is_masked_by_tokens_forgets_nothing_that_is_kept() -> None:
    """The message is sent again when the store is away, and was stripped the first time."""
    store = MemoryStore()
    node = Node(store, topos__on_store_error="mask", topos__branch_expire=10)
    message = request("INVITE", PEERS, *record_routes(), BOB)
    left = node.leave(message)
    node.store = Broken()
    node.leave(message, now=8.0)  # it would be prolonged
    node.store = store
    entered = node.enter(answer("200 OK", left, PEER_CONTACT), now=9.0)
    assert lines(entered, "Record-Route") == ROUTES


def test_where_a_dialog_cannot_be_prolonged_it_goes_on() -> None:
    node = Node(topos__dialog_expire=1000)
    uri = contact(call_out(node))
    node.store = Broken()
    bye = node.enter(request("BYE", uri, from_tag="2", to_tag="1"), now=900.0)
    assert bye.startswith(b"BYE %s SIP/2.0" % BOBS)


def test_a_clock_that_jumps() -> None:
    """What a gateway remembers it keeps anew; behind a jump others find it too."""
    store = MemoryStore()
    node = Node(store)
    info = request("INFO", contact(call_out(node)), from_tag="2", to_tag="1")
    for now in (-1e6, 1e6, 0.0):
        for where in (node, Node(store)):
            entered = where.enter(info, now=now)
            assert entered.startswith(b"INFO %s SIP/2.0" % BOBS)
            assert lines(entered, "Route") == ROUTES


def changed(store: MemoryStore, kind: bytes) -> None:
    for record in list(store.records(0)):
        if record.key[:1] == kind:
            value = record.value[:-1] + bytes((record.value[-1] ^ 1,))
            store.perform([Exchange(0, save=(Record(record.key, value, 1000),))])


def moved(store: MemoryStore, kind: bytes) -> None:
    """Each record of this kind has the value of another kind."""
    values = {record.key[:1]: record.value for record in store.records(0)}
    other = values[b"d" if kind != b"d" else b"c"]
    for record in list(store.records(0)):
        if record.key[:1] == kind:
            store.perform([Exchange(0, save=(Record(record.key, other, 1000),))])


@pytest.mark.parametrize("spoil", [changed, moved])
def test_a_spoilt_record_is_told_from_a_good_one(
    spoil: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    left = call_out(Node(store))
    for kind, message in (
        (b"b", answer("200 OK", left)),
        (b"c", request("BYE", contact(left), from_tag="2", to_tag="1")),
    ):
        spoil(store, kind)
        with caplog.at_level(logging.WARNING):
            verdict = Node(store).judge(datagram(message, PEER, PROXY))
        assert (verdict.action, verdict.outcome) == (Action.DROP, "refused_store")
        assert "was changed, or made with another key" in caplog.text
    spoil(store, b"d")
    again = sent("INVITE", PEERS, BOB, to_tag="2", cseq=2)
    assert Node(store).judge(datagram(again, PROXY, PEER)).outcome == "refused_store"


def test_spoilt_records_are_said_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    left = call_out(Node(store))
    changed(store, b"c")
    bye = request("BYE", contact(left), from_tag="2", to_tag="1")
    node = Node(store)
    for tenths in range(250):
        verdict = node.judge(datagram(bye, PEER, PROXY), tenths / 10)
        assert (verdict.action, verdict.outcome) == (Action.DROP, "refused_store")
    node.judge(datagram(bye, PEER, PROXY), 3.0)  # the clock was set back
    said = [vars(record)["fields"] for record in caplog.records]
    assert [fields["messages"] for fields in said] == [1, 100, 100, 50]
    assert {fields["record"].encode() for fields in said} == {
        contact(left).partition(b"-")[2].partition(b"@")[0]
    }


def test_a_gateway_with_another_key_finds_nothing() -> None:
    """Its keys are others': what is not its own it leaves."""
    store = MemoryStore()
    left = call_out(Node(store))
    bye = request("BYE", contact(left), from_tag="2", to_tag="1")
    verdict = Node(store, ring=OTHER).judge(datagram(bye, PEER, PROXY))
    assert verdict.outcome == "refused_store"  # the id names a record, which does not open
    ok = answer("200 OK", left)
    assert Node(store, ring=OTHER).enter(ok) == ok


def test_a_rotated_ring_goes_on() -> None:
    store = MemoryStore()
    left = call_out(Node(store))
    rotated = Node(store, ring=RING.rotate())
    assert rotated.leave(invite()) == left
    bye = rotated.enter(request("BYE", contact(left), from_tag="2", to_tag="1"))
    assert bye.startswith(b"BYE %s SIP/2.0" % BOBS)


def test_records_are_sealed_to_their_keys() -> None:
    seal = Seal.of_ring(RING)
    one, two = seal.key(b"c", b"a", b"bc"), seal.key(b"c", b"ab", b"c")
    assert one != two
    assert len(one) == 13
    value = seal.seal(one, b"content")
    assert seal.open(one, value) == b"content"
    assert seal.open(two, value) is None
    assert seal.open(one, b"") is None
    assert Seal.of_ring(OTHER).open(one, value) is None
    assert Seal.of_ring(RING, fast=False).seal(one, b"content") == value
    assert Seal.of_word(b"w").key(b"c", b"a") != Seal.of_word(b"v").key(b"c", b"a")
    assert unpack(pack([b"", b"a\0", b"b" * 70000])) == [b"", b"a\0", b"b" * 70000]


# Policy, and changes of mode


def test_a_skipped_message_leaves_clear_and_what_comes_back_is_left() -> None:
    node = Node(rule=[{"destination": [THIRD], "action": "skip"}])
    assert node.leave(invite(), peer=THIRD) == invite()
    ok = answer("200 OK", invite(), PEER_CONTACT)
    assert node.enter(ok, peer=THIRD) == ok
    assert node.exchanges == []


def test_a_skipped_message_within_a_dialog_keeps_its_id() -> None:
    """Else it would take the peer's way back from it (kamailio #2437)."""
    node = Node(rule=[{"method": ["UPDATE"], "action": "skip"}])
    left = call_out(node)
    update = sent("UPDATE", PEERS, BOB, to_tag="2", cseq=2)
    skipped = node.leave(update)
    assert contact(skipped) == contact(left)
    assert lines(skipped, "Via") == lines(update, "Via")


@pytest.mark.parametrize("settings", [{"mode": "topoh"}, {"drain": True}])
def test_a_dialog_outlives_a_change_of_mode(settings: dict[str, Any]) -> None:
    store = MemoryStore()
    out, (into, _) = call_out(Node(store)), call_in(Node(store))
    node = Node(store, **settings)
    for left, remote, local in ((out, "2", "1"), (into, "9", "8")):
        bye = node.enter(request("BYE", contact(left), from_tag=remote, to_tag=local))
        assert bye.startswith(b"BYE %s SIP/2.0" % BOBS)
        assert lines(bye, "Route") == ROUTES
    again = node.leave(sent("INVITE", PEERS, BOB, to_tag="2", cseq=2))
    assert contact(again) == contact(out)
    entered = node.enter(answer("180 Ringing", out, PEER_CONTACT))  # it was on its way
    assert lines(entered, "Via") == lines(invite(), "Via")


def test_tokens_of_mode_topoh_open_in_mode_topos() -> None:
    before, node = Node(mode="topoh"), Node()
    left = before.leave(invite())
    entered = node.enter(answer("200 OK", left, PEER_CONTACT))
    assert lines(entered, "Via") == lines(invite(), "Via")
    assert lines(entered, "Record-Route") == ROUTES
    routes = [b"Route: " + route for route in lines(left, "Record-Route")]
    bye = node.enter(request("BYE", contact(left), *routes, from_tag="2", to_tag="1"))
    assert bye.startswith(b"BYE %s SIP/2.0" % BOBS)
    assert lines(bye, "Route") == ROUTES
    # A re-INVITE gives the peer an id; its Routes are those that it knows.
    again = node.leave(sent("INVITE", PEERS, *record_routes(), BOB, to_tag="2", cseq=2))
    assert b"tpsh-" in contact(again)
    bye = node.enter(request("BYE", contact(again), *routes, from_tag="2", to_tag="1"))
    assert lines(bye, "Route") == ROUTES


def test_mode_topoh_with_a_store_masks_new_calls_by_tokens() -> None:
    node = Node(mode="topoh")
    left = node.leave(invite())
    assert b"tpsh-" not in left
    assert len(lines(left, "Record-Route")) == 2
    assert node.exchanges == []
    ok = node.enter(answer("200 OK", left, PEER_CONTACT))
    assert lines(ok, "Via") == lines(invite(), "Via")
    assert node.exchanges == []


def test_the_inside_leg_on_a_capture_from_outside() -> None:
    """Of a live gateway, with its store: nobody has kept the way back of each message."""
    store = MemoryStore()
    node = Node(store)
    left = node.leave(invite())
    ok = answer("200 OK", left, PEER_CONTACT)
    bye = request("BYE", contact(left), from_tag="2", to_tag="1")
    entered = [node.enter(ok), node.enter(bye)]
    leg = Node(store, leg=Leg.INSIDE)
    opened = leg.judge(datagram(left, PROXY, PEER)).packet[28:]
    assert sorted(opened.split(b"\r\n")) == sorted(invite().split(b"\r\n"))
    assert lines(opened, "Via") == lines(invite(), "Via")
    assert lines(opened, "Record-Route") == ROUTES
    assert [leg.enter(ok), leg.enter(bye)] == entered
    assert max(max(left) for left in lives(store).values()) == 10800  # not for good


def test_the_other_carriers_are_masked_by_tokens() -> None:
    node = Node()
    referred = sent("REFER", PEERS, BOB, b"Refer-To: <sip:carol@10.0.0.8>", to_tag="2")
    left = node.leave(referred)
    assert b"10.0.0." not in left
    value = lines(left, "Refer-To")[0]
    entered = Node().enter(request("INVITE", value.strip(b"<>")))
    assert entered.startswith(b"INVITE sip:carol@10.0.0.8 SIP/2.0")


@pytest.mark.parametrize("first", [b"Via:", b"Via: ,", b"v: \r\n ,"])
@pytest.mark.parametrize(
    "vias",
    [
        b"Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKa, SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKb",
        b"Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKb",
    ],
)
def test_a_via_line_without_a_value_before_the_topmost(first: bytes, vias: bytes) -> None:
    node = Node()
    rest = (
        b"From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: 1\r\n"
        b"CSeq: 1 OPTIONS\r\n\r\n"
    )
    left = node.leave(
        b"OPTIONS sip:b@198.51.100.20 SIP/2.0\r\n" + first + b"\r\n" + vias + b"\r\n" + rest
    )
    assert b"10.0.0.5" not in left
    answer = b"SIP/2.0 200 OK\r\n" + left.partition(b"\r\n")[2]
    assert b"SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKb" in node.enter(answer)
