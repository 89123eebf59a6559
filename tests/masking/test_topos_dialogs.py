"""Mode topos: whole dialogs, from the inside and to it, through a proxy that records routes."""

import re
from typing import Any

import pytest

from inline_topo.stores.memory import MemoryStore
from tests.masking.network import PEER, PROXY, THIRD, datagram
from tests.masking.topos_network import (
    ROUTES,
    Node,
    answer,
    contact,
    lines,
    record_routes,
    request,
    sent,
)

PEERS = b"sip:peer@198.51.100.20"
BOB = b"Contact: <sip:bob@10.0.0.5:5062;ob>"
BOBS = b"sip:bob@10.0.0.5:5062;ob"
PEER_CONTACT = b"Contact: <sip:peer@198.51.100.20:5070>"


def invite(**more: Any) -> bytes:
    return sent("INVITE", PEERS, *record_routes(), BOB, **more)


def call_out(node: Node, *, tag: str = "2") -> bytes:
    """A call that is answered; the INVITE as it left."""
    left = node.leave(invite())
    node.enter(answer("200 OK", left, PEER_CONTACT, tag=tag))
    return left


def call_in(node: Node) -> tuple[bytes, bytes]:
    """A call to bob: the 200 as it left, and the INVITE as the inside had it."""
    entered = node.enter(request("INVITE", b"sip:bob@example.com", PEER_CONTACT, from_tag="9"))
    routes = record_routes([*reversed(ROUTES), b"<sip:198.51.100.7;lr>"])
    return node.leave(answer("200 OK", entered, *routes, BOB, tag="8")), entered


def test_a_request_leaves_with_one_via_no_record_route_and_an_id() -> None:
    left = Node().leave(invite())
    assert lines(left, "Via") == [b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKp1"]
    assert lines(left, "Record-Route") == []
    assert re.fullmatch(rb"<sip:btpsh-[0-9a-f]{24}@192\.0\.2\.10>", lines(left, "Contact")[0])
    assert b"10.0.0." not in left
    assert len(left) < len(invite())


def test_a_response_gets_back_what_its_request_lost() -> None:
    node = Node()
    left = node.leave(invite())
    ringing = node.enter(answer("180 Ringing", left, PEER_CONTACT))
    assert lines(ringing, "Via") == lines(invite(), "Via")
    assert lines(ringing, "Record-Route") == ROUTES
    assert lines(ringing, "Contact") == [PEER_CONTACT.partition(b" ")[2]]
    trying = node.enter(answer("100 Trying", left))
    assert lines(trying, "Via") == lines(invite(), "Via")
    assert lines(trying, "Record-Route") == []
    busy = node.enter(answer("486 Busy", left))
    assert lines(busy, "Via") == lines(invite(), "Via")
    assert lines(busy, "Record-Route") == []


def test_record_routes_of_proxies_outside_stand_above_ours() -> None:
    node = Node()
    left = node.leave(invite())
    theirs = b"<sip:198.51.100.7;lr>"
    entered = node.enter(answer("200 OK", left, b"Record-Route: " + theirs, PEER_CONTACT))
    assert lines(entered, "Record-Route") == [theirs, *ROUTES]


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "NOTIFY", "REFER", "PRACK"])
def test_the_peer_calls_back_within_the_dialog(method: str) -> None:
    node = Node()
    uri = contact(call_out(node))
    entered = node.enter(request(method, uri, from_tag="2", to_tag="1"))
    assert entered.startswith(b"%s %s SIP/2.0\r\n" % (method.encode(), BOBS))
    assert lines(entered, "Route") == ROUTES


def test_the_caller_outside_calls_back_within_the_dialog() -> None:
    """Record-Routes below the last own one came with the request: they stay (RFC 3261 section 16.7)."""
    node = Node()
    left, _ = call_in(node)
    assert re.fullmatch(rb"<sip:atpsh-[0-9a-f]{24}@192\.0\.2\.10>", lines(left, "Contact")[0])
    assert lines(left, "Record-Route") == [b"<sip:198.51.100.7;lr>"]
    for method in ("ACK", "BYE", "INVITE"):
        entered = node.enter(request(method, contact(left), from_tag="9", to_tag="8"))
        assert entered.startswith(b"%s %s SIP/2.0\r\n" % (method.encode(), BOBS))
        assert lines(entered, "Route") == ROUTES


def test_forks_have_one_id_and_find_the_same_way_back() -> None:
    """Several early dialogs of one INVITE (RFC 3261 section 12.1)."""
    node = Node()
    left = node.leave(invite())
    for tag in ("2", "3"):
        assert lines(node.enter(answer("183 x", left, PEER_CONTACT, tag=tag)), "To")[0].endswith(
            tag.encode()
        )
    for tag in ("2", "3"):
        entered = node.enter(request("PRACK", contact(left), from_tag=tag, to_tag="1"))
        assert entered.startswith(b"PRACK " + BOBS)
        assert lines(entered, "Route") == ROUTES
    update = node.leave(sent("UPDATE", PEERS, BOB, to_tag="3", cseq=2))
    assert contact(update) == contact(left)


def test_branches_of_a_fork_that_left_by_two_ways_come_back_by_two() -> None:
    node = Node()
    ways = [ROUTES, [b"<sip:192.0.2.10:5080;lr>", b"<sip:10.0.0.1;lr>"]]
    left = [
        node.leave(sent("INVITE", PEERS, *record_routes(way), BOB, branch=str(n)))
        for n, way in enumerate(ways)
    ]
    assert contact(left[0]) != contact(left[1])
    for one, way in zip(left, ways, strict=True):
        entered = node.enter(request("BYE", contact(one), from_tag="2", to_tag="1"))
        assert lines(entered, "Route") == way


@pytest.mark.parametrize("extra", [[], record_routes(ROUTES[:1])])
def test_a_contact_keeps_its_id_as_long_as_it_stays(extra: list[bytes]) -> None:
    """RFC 3261 section 12.2: the route set is the first request's, whatever a re-INVITE carries."""
    node = Node()
    left = call_out(node)
    again = node.leave(sent("INVITE", PEERS, *extra, BOB, to_tag="2", cseq=2, branch="7"))
    assert contact(again) == contact(left)
    ok = node.enter(answer("200 OK", again, PEER_CONTACT))
    assert lines(ok, "Record-Route") == [line.partition(b" ")[2] for line in extra]


@pytest.mark.parametrize("extra", [[], record_routes(ROUTES[:1])])
def test_the_answer_to_a_re_invite_keeps_the_id(extra: list[bytes]) -> None:
    store = MemoryStore()
    node = Node(store)
    left, _ = call_in(node)
    for where in (node, Node(store)):  # also behind a restart
        again = request("INVITE", contact(left), PEER_CONTACT, from_tag="9", to_tag="8", cseq=2)
        entered = where.enter(again)
        ok = where.leave(answer("200 OK", entered, *extra, BOB))
        assert contact(ok) == contact(left)
        assert b"10.0.0." not in ok


def test_target_refresh() -> None:
    """RFC 3261 section 12.2: another Contact, the same Routes."""
    node = Node()
    left = call_out(node)
    moved = BOB.replace(b"10.0.0.5", b"10.0.0.9")
    refreshed = node.leave(sent("INVITE", PEERS, moved, to_tag="2", cseq=2, branch="7"))
    assert contact(refreshed) != contact(left)
    entered = node.enter(request("BYE", contact(refreshed), from_tag="2", to_tag="1"))
    assert entered.startswith(b"BYE sip:bob@10.0.0.9:5062;ob SIP/2.0\r\n")
    assert lines(entered, "Route") == ROUTES
    old = node.enter(request("BYE", contact(left), from_tag="2", to_tag="1"))
    assert old.startswith(b"BYE " + BOBS)


def test_cancel_has_a_transaction_of_its_own() -> None:
    """RFC 3261 section 9.1: the same branch, one Via. Its response must not get the INVITE's."""
    node = Node()
    left = node.leave(invite())
    cancel = request("CANCEL", PEERS, vias=lines(left, "Via"))
    assert node.leave(cancel) == cancel
    ok = answer("200 OK", cancel)
    assert node.enter(ok) == ok
    assert lines(node.enter(answer("487 x", left)), "Via") == lines(invite(), "Via")


def test_acks() -> None:
    """That of a failure is the proxy's own, that of a 2xx comes from further inside."""
    node = Node()
    left = node.leave(invite())
    failed = request("ACK", PEERS, vias=lines(left, "Via"), to_tag="2")
    assert node.leave(failed) == failed
    asked = len(node.exchanges)
    acked = node.leave(sent("ACK", PEERS, branch="5", to_tag="2"))
    assert len(lines(acked, "Via")) == 1
    assert len(node.exchanges) == asked  # no response will come


def test_subscriptions() -> None:
    """RFC 6665: the first NOTIFY may come before the 200, and forms the dialog."""
    node = Node()
    left = node.leave(sent("SUBSCRIBE", PEERS, *record_routes(), BOB))
    notify = node.enter(request("NOTIFY", contact(left), PEER_CONTACT, from_tag="2", to_tag="1"))
    assert notify.startswith(b"NOTIFY " + BOBS)
    assert lines(notify, "Route") == ROUTES
    ok = node.leave(answer("200 OK", notify, BOB))
    assert contact(ok)[6:] == contact(left)[6:]  # but for its letter
    again = node.leave(sent("SUBSCRIBE", PEERS, BOB, to_tag="2", cseq=2, branch="3"))
    assert contact(again) == contact(left)


def test_a_notifier_inside() -> None:
    node = Node()
    entered = node.enter(request("SUBSCRIBE", b"sip:bob@example.com", PEER_CONTACT, from_tag="9"))
    routes = record_routes(ROUTES[::-1])
    ok = node.leave(answer("200 OK", entered, *routes, BOB, tag="8"))
    notify = node.leave(sent("NOTIFY", PEERS, BOB, from_tag="8", to_tag="9"))
    assert contact(notify)[6:] == contact(ok)[6:]
    refresh = node.enter(request("SUBSCRIBE", contact(notify), from_tag="9", to_tag="8", cseq=2))
    assert refresh.startswith(b"SUBSCRIBE " + BOBS)
    assert lines(refresh, "Route") == ROUTES


def test_a_transfer_names_a_contact_by_its_id() -> None:
    """Whoever is told to call it finds the phone, but not by the Routes of another's dialog."""
    node = Node()
    uri = contact(call_out(node))
    refer = request("REFER", b"sip:x@example.com", b"Refer-To: <%s?Replaces=abc>" % uri)
    assert lines(node.enter(refer), "Refer-To") == [b"<%s?Replaces=abc>" % BOBS]
    called = request("INVITE", uri, from_tag="5").replace(b"Call-ID: abc", b"Call-ID: xyz")
    entered = node.enter(called, peer=THIRD)
    assert entered.startswith(b"INVITE %s SIP/2.0" % BOBS)
    assert lines(entered, "Route") == []


def test_redirections_and_registrations_outlive_every_record() -> None:
    node = Node()
    entered = node.enter(request("INVITE", b"sip:bob@example.com"))
    moved = node.leave(answer("302 Moved", entered, BOB))
    register = node.leave(sent("REGISTER", b"sip:carrier.example", BOB))
    for left in (moved, register):
        assert b"10.0.0." not in left
        assert b"tpsh-" not in left
        target = Node().enter(request("INVITE", contact(left)))  # with an empty store
        assert target.startswith(b"INVITE %s SIP/2.0" % BOBS)
    ok = node.enter(answer("200 OK", register, *lines_of(register, "Contact")))
    assert lines(ok, "Contact") == [BOB.partition(b" ")[2]]
    assert len(lines(ok, "Via")) == 3


def lines_of(message: bytes, name: str) -> list[bytes]:
    return [b"%s: %s" % (name.encode(), value) for value in lines(message, name)]


@pytest.mark.parametrize("method", ["MESSAGE", "OPTIONS", "PUBLISH"])
def test_requests_outside_of_dialogs(method: str) -> None:
    node = Node()
    left = node.leave(sent(method, PEERS, *record_routes(), BOB))
    assert b"10.0.0." not in left
    assert lines(node.enter(answer("200 OK", left)), "Via") == lines(invite(), "Via")


def test_a_retransmission_is_the_same_on_every_node() -> None:
    store = MemoryStore()
    nodes = [Node(store), Node(store), Node()]
    assert len({node.leave(invite()) for node in nodes for _ in range(2)}) == 1
    left, entered = call_in(nodes[0])
    routes = record_routes([*reversed(ROUTES), b"<sip:198.51.100.7;lr>"])
    ok = answer("200 OK", entered, *routes, BOB, tag="8")
    assert {node.leave(ok) for node in nodes} == {left}
    bye = request("BYE", contact(left), from_tag="9", to_tag="8")
    assert len({node.enter(bye) for node in nodes for _ in range(2)}) == 1


def test_a_retransmission_asks_nothing_of_the_store() -> None:
    node = Node()
    call_out(node)
    asked = len(node.exchanges)
    call_out(node)
    assert len(node.exchanges) == asked


def test_one_gateway_finds_what_another_kept() -> None:
    store = MemoryStore()
    left = call_out(Node(store))
    entered = Node(store).enter(answer("200 OK", left, PEER_CONTACT))
    assert lines(entered, "Via") == lines(invite(), "Via")
    assert lines(entered, "Record-Route") == ROUTES
    bye = Node(store).enter(request("BYE", contact(left), from_tag="2", to_tag="1"))
    assert lines(bye, "Route") == ROUTES
    again = Node(store).leave(sent("INVITE", PEERS, BOB, to_tag="2", cseq=2))
    assert contact(again) == contact(left)


CONTACT_HOST = {"topos__contact_host": "edge.example.org", "audit": "enforce"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        CONTACT_HOST,
        {**CONTACT_HOST, "protected": ["example.org"]},
        {**CONTACT_HOST, "topos__contact_host": "10.9.9.9:5070"},
    ],
)
@pytest.mark.parametrize("later", ["topos", "topoh"])
@pytest.mark.parametrize("records", [True, False])
def test_a_spiral(records: bool, later: str, settings: dict[str, Any]) -> None:
    """Out to a proxy of theirs, in from it, out to the peer: each pass knows its own part; also where
    the mode is another when it ends."""
    node = Node(**settings)
    theirs = [b"<sip:203.0.113.30;lr>"] if records else []
    first = node.leave(invite(), peer=THIRD)
    vias = [b"SIP/2.0/UDP 203.0.113.30;branch=z9hG4bKx", *lines(first, "Via")]
    fields = [*record_routes(theirs), b"Contact: <%s>" % contact(first)]
    back = node.enter(request("INVITE", PEERS, *fields, vias=vias), peer=THIRD)
    vias = [b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKq", *lines(back, "Via")]
    fields = [*record_routes([ROUTES[0], *theirs]), *lines_of(back, "Contact")]
    second = node.leave(request("INVITE", PEERS, *fields, vias=vias))
    assert len(lines(second, "Via")) == 1
    assert contact(second) != contact(first)
    # The 200 goes the same way back.
    inner = node.enter(answer("200 OK", second, PEER_CONTACT))
    assert lines(inner, "Via") == vias
    out = inner.replace(b"Via: %s\r\n" % vias[0], b"")
    left = node.leave(out, peer=THIRD)
    assert lines(left, "Record-Route") == theirs
    last = node.enter(left.replace(b"Via: %s\r\n" % vias[1], b""), peer=THIRD)
    assert lines(last, "Via") == lines(invite(), "Via")
    assert lines(last, "Record-Route") == [*theirs, *ROUTES]
    # The peer hangs up.
    node = Node(node.store, **{**settings, "mode": later})
    bye = node.enter(request("BYE", contact(second), from_tag="2", to_tag="1"))
    if records:  # their proxy comes next, and then us again
        aside = contact(first).partition(b"@")[0] + b"@out-again.invalid"
        assert bye.startswith(b"BYE %s SIP/2.0" % aside)  # nobody's own (RFC 3261 section 16.4)
        assert lines(bye, "Route") == [ROUTES[0], *theirs]
        on = node.leave(bye.replace(b"Route: %s\r\n" % ROUTES[0], b""), peer=THIRD)
        assert on.startswith(b"BYE %s SIP/2.0" % contact(first))
        bye = node.enter(request("BYE", contact(first), from_tag="2", to_tag="1"), peer=THIRD)
        assert lines(bye, "Route") == ROUTES
    else:
        assert lines(bye, "Route") == [ROUTES[0], *ROUTES]
    assert bye.startswith(b"BYE %s SIP/2.0" % BOBS)


def test_an_unknown_id_is_left() -> None:
    """The peer's own, or one that has expired."""
    bye = request("BYE", b"sip:btpsh-" + b"0a" * 12 + b"@192.0.2.10", from_tag="2", to_tag="1")
    node = Node()
    assert node.enter(bye) == bye
    assert node.judge(datagram(bye, PEER, PROXY)).notes == ("unknown_id",)


def test_own_contacts_stay_where_nothing_is_lost_with_them() -> None:
    node = Node()
    own = request(
        "OPTIONS", PEERS, b"Contact: <sip:192.0.2.10>", vias=[b"SIP/2.0/UDP " + PROXY.encode()]
    )
    assert node.leave(own) == own
    assert node.exchanges == []


def test_lower_vias_in_one_line_come_back_so() -> None:
    node = Node()
    joined = invite().replace(b"\r\nVia: SIP/2.0/UDP 10.0.0.1", b" ,SIP/2.0/UDP 10.0.0.1")
    left = node.leave(joined)
    assert lines(left, "Via") == [b"SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKp1"]
    assert lines(node.enter(answer("180 x", left)), "Via") == lines(joined, "Via")


def test_lines_are_ended_as_the_message_ends_them() -> None:
    node = Node()
    left = node.leave(invite())
    entered = node.enter(answer("180 x", left).replace(b"\r\n", b"\n"))
    assert b"\r" not in entered
    assert entered.count(b"\nVia: ") == 3


def test_the_callee_updates_an_early_dialog() -> None:
    """RFC 3311: either side may, before the call is answered."""
    node = Node()
    left = node.leave(invite())
    node.enter(answer("183 x", left, PEER_CONTACT))
    update = node.enter(request("UPDATE", contact(left), PEER_CONTACT, from_tag="2", to_tag="1"))
    assert update.startswith(b"UPDATE %s SIP/2.0\r\n" % BOBS)
    assert lines(update, "Route") == ROUTES
    ok = node.leave(answer("200 OK", update, BOB))
    assert contact(ok)[6:] == contact(left)[6:]  # but for its letter
    answered = node.enter(answer("200 OK", left, PEER_CONTACT))
    assert lines(answered, "Via") == lines(invite(), "Via")
    bye = node.enter(request("BYE", contact(left), from_tag="2", to_tag="1", cseq=2))
    assert bye.startswith(b"BYE " + BOBS)
    assert lines(bye, "Route") == ROUTES


def ringing_in(node: Node) -> bytes:
    """A call to bob: the 180 as it left."""
    entered = node.enter(request("INVITE", b"sip:bob@example.com", PEER_CONTACT, from_tag="9"))
    return node.leave(answer("180 Ringing", entered, *record_routes(ROUTES[::-1]), BOB, tag="8"))


@pytest.mark.parametrize("method", ["UPDATE", "BYE", "PRACK"])
def test_the_caller_outside_speaks_before_the_answer(method: str) -> None:
    """A BYE may end an early dialog, too (RFC 3261 section 15)."""
    store = MemoryStore()
    ringing = ringing_in(Node(store))
    for node in (Node(store), Node(store)):  # also behind a restart
        early = request(method, contact(ringing), from_tag="9", to_tag="8", cseq=2, branch="2")
        entered = node.enter(early)
        assert entered.startswith(b"%s %s SIP/2.0\r\n" % (method.encode(), BOBS))
        assert lines(entered, "Route") == ROUTES
        ok = node.leave(answer("200 OK", entered, BOB))
        if method == "UPDATE":
            assert contact(ok) == contact(ringing)
        else:
            assert lines(ok, "Contact") == []  # methods_nocontact


def test_the_answer_has_the_id_of_the_ringing() -> None:
    node = Node()
    ringing = ringing_in(node)
    left, _ = call_in(node)
    assert contact(left) == contact(ringing)


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("failure", ["487 Request Terminated", "488 Not Acceptable Here"])
def test_a_re_invite_from_outside_that_fails(side: str, failure: str) -> None:
    """Its CANCEL and its ACK have its Request-URI, its Routes and its branch (RFC 3261 sections 9.1 and
    17.1.1.3), so the inside must get the same of all three."""
    node = Node()
    tags: dict[str, Any] = {"from_tag": "2", "to_tag": "1"}
    uri = contact(call_out(node))
    if side == "a":
        tags, uri = {"from_tag": "9", "to_tag": "8"}, contact(call_in(node)[0])
    again = node.enter(request("INVITE", uri, PEER_CONTACT, branch="r", cseq=5, **tags))
    for method in ("CANCEL", "ACK") if failure.startswith("487") else ("ACK",):
        entered = node.enter(request(method, uri, branch="r", cseq=5, **tags))
        assert entered.split(b" ")[1] == again.split(b" ")[1] == BOBS
        assert lines(entered, "Route") == lines(again, "Route") == ROUTES
        assert lines(entered, "Via") == lines(again, "Via")
        if method == "CANCEL":
            ok = answer("200 OK", entered)
            assert node.leave(ok) == ok
            failed = answer(failure, again)
            assert node.leave(failed) == failed
    bye = node.enter(request("BYE", uri, cseq=6, **tags))  # the dialog goes on (section 14.1)
    assert bye.startswith(b"BYE " + BOBS)
    assert lines(bye, "Route") == ROUTES


def test_a_referrer_inside_outside_of_dialogs() -> None:
    """RFC 3515: a REFER forms a dialog, and the NOTIFY may come before its 202."""
    node = Node()
    left = node.leave(sent("REFER", PEERS, *record_routes(), BOB, b"Refer-To: <sip:z@example.com>"))
    assert b"10.0.0." not in left
    for cseq in (1, 2):
        notify = request("NOTIFY", contact(left), PEER_CONTACT, from_tag="2", to_tag="1", cseq=cseq)
        entered = node.enter(notify)
        assert entered.startswith(b"NOTIFY " + BOBS)
        assert lines(entered, "Route") == ROUTES
        assert contact(node.leave(answer("200 OK", entered, BOB)))[6:] == contact(left)[6:]
        accepted = node.enter(answer("202 Accepted", left, PEER_CONTACT))
        assert lines(accepted, "Via") == lines(invite(), "Via")
        assert lines(accepted, "Record-Route") == ROUTES


def test_who_is_referred_inside_outside_of_dialogs() -> None:
    node = Node()
    refer = request("REFER", b"sip:bob@example.com", PEER_CONTACT, b"Refer-To: <sip:z@example.com>",
                    from_tag="9")  # fmt: skip
    entered = node.enter(refer)
    accepted = node.leave(
        answer("202 Accepted", entered, *record_routes(ROUTES[::-1]), BOB, tag="8")
    )
    notify = node.leave(sent("NOTIFY", PEERS, BOB, from_tag="8", to_tag="9"))
    assert contact(notify)[6:] == contact(accepted)[6:]
    assert b"10.0.0." not in accepted + notify
    assert lines(node.enter(answer("200 OK", notify)), "Via") == lines(invite(), "Via")
    subscribe = request("SUBSCRIBE", contact(notify), from_tag="9", to_tag="8", cseq=2)
    assert node.enter(subscribe).startswith(b"SUBSCRIBE " + BOBS)  # RFC 6665 section 4.4.1


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE"])
def test_the_answer_to_a_request_outside_of_dialogs_has_a_contact(method: str) -> None:
    """It is an id like any other, for a short time: no dialog follows."""
    node = Node()
    entered = node.enter(request(method, b"sip:bob@example.com", PEER_CONTACT, from_tag="9"))
    ok = node.leave(answer("200 OK", entered, BOB, tag="8"))
    assert re.fullmatch(rb"sip:atpsh-[0-9a-f]{24}@192\.0\.2\.10", contact(ok))
    assert {record.lifetime for one in node.exchanges for record in one.save} == {180}
    later = request("INVITE", contact(ok), from_tag="5").replace(b"Call-ID: abc", b"Call-ID: xyz")
    called = node.enter(later)
    assert called.startswith(b"INVITE %s SIP/2.0\r\n" % BOBS)
    assert lines(called, "Route") == []


@pytest.mark.parametrize("host", ["", "sbc.example.net", "203.0.113.77:5070", "[2001:db8::7]:5070"])
@pytest.mark.parametrize("mode", [0, 1])
def test_a_call_with_the_id_elsewhere_in_the_contact(mode: int, host: str) -> None:
    """Both ways round: the peer gets what was configured, and what it says comes back whole."""
    node = Node(topos__contact_mode=mode, topos__contact_host=host)
    place = (host or PROXY).encode()

    def is_as_configured(message: bytes, letter: bytes) -> bool:
        word = letter + b"tpsh-[0-9a-f]{24}"
        shape = b"sip:bob@%b;tps=%b" if mode else b"sip:%b@%b"
        parts = (re.escape(place), word) if mode else (word, re.escape(place))
        return re.fullmatch(shape % parts, contact(message)) is not None

    left, (answered, _) = call_out(node), call_in(node)
    for message, letter, own, peers in ((left, b"b", "1", "2"), (answered, b"a", "8", "9")):
        assert is_as_configured(message, letter)
        assert b"10.0.0." not in message
        tags: dict[str, Any] = {"from_tag": peers, "to_tag": own}
        for cseq, method in enumerate(("ACK", "INVITE", "UPDATE", "BYE"), 2):
            asked = request(method, contact(message), PEER_CONTACT, cseq=cseq, **tags)
            entered = node.enter(asked)
            assert entered.startswith(b"%s %s SIP/2.0\r\n" % (method.encode(), BOBS))
            assert lines(entered, "Route") == ROUTES
            if method in ("INVITE", "UPDATE"):
                assert is_as_configured(node.leave(answer("200 OK", entered, BOB)), b"a")
        again = sent("INVITE", PEERS, BOB, from_tag=own, to_tag=peers, cseq=9, branch="9")
        assert is_as_configured(node.leave(again), b"b")
