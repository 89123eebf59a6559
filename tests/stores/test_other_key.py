"""Gateways with different key rings on one store: each has its own records, and leaves the others'."""

import pytest

from inline_topo.gateway import Action
from tests.masking.network import PEER, PROXY, RING, datagram
from tests.masking.test_topos_dialogs import BOBS, PEER_CONTACT, invite
from tests.masking.topos_network import ROUTES, Node, answer, contact, lines, request
from tests.stores.conftest import Bench


def test_two_key_rings_on_one_store(shared: Bench, caplog: pytest.LogCaptureFixture) -> None:
    one, other = Node(shared.store), Node(shared.second(), ring=RING.generate())
    calls = [node.leave(invite(), now=shared.now) for node in (one, other)]
    assert contact(calls[0]) != contact(calls[1])
    for node, left, others in ((one, calls[0], calls[1]), (other, calls[1], calls[0])):
        node.enter(answer("200 OK", left, PEER_CONTACT), now=shared.now)
        strange = request("INVITE", contact(others), from_tag="2", to_tag="1", cseq=2)
        for seconds in range(12):
            verdict = node.judge(datagram(strange, PEER, PROXY), shared.now + seconds)
            assert (verdict.action, verdict.outcome) == (Action.DROP, "refused_store")
        bye = node.enter(request("BYE", contact(left), from_tag="2", to_tag="1"), now=shared.now)
        assert bye.startswith(b"BYE %s SIP/2.0" % BOBS)
        assert lines(bye, "Route") == ROUTES
    said = [(record.getMessage(), vars(record)["fields"]["messages"]) for record in caplog.records]
    assert said == [
        ("a record of the dialog store was changed, or made with another key", count)
        for count in (1, 10, 1, 10)
    ]


def test_a_restart_with_the_wrong_key_and_back(shared: Bench) -> None:
    left = Node(shared.store).leave(invite(), now=shared.now)
    wrong = Node(shared.second(), ring=RING.generate())
    ok = answer("200 OK", left, PEER_CONTACT)
    # A response names its record by the key ring: there is none.
    assert wrong.enter(ok, now=shared.now) == ok
    again = Node(shared.second()).enter(ok, now=shared.now)
    assert lines(again, "Via") == lines(invite(), "Via")
