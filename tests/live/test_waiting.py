"""Packets that wait for a store, on the real kernel: who is held up, and what becomes of them."""

import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from lab.ours import PYTHON
from lab.site import Site
from tests.live.load import RATE, Load
from tests.live.messages import HIDDEN, invite, numbered
from tests.live.running import CONFIG, Running
from tests.live.test_status import metrics, status
from tests.live.test_supervisor import deaths

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]

ROUTER = "203.0.113.1"
ASKING = Path(__file__).with_name("asking.py")


class Asking(Running):
    """The gateway with a store of its own, and a socket on either side."""

    def __init__(
        self,
        site: Site,
        *options: str,
        latency: float = 0.0,
        patience: float = 10.0,
        config: str = "",
        base: str = CONFIG,
    ) -> None:
        self.program = (*PYTHON, str(ASKING), str(latency), str(patience))
        for number in (1, 2):
            os.mkfifo(site.folder / f"gate{number}")
        super().__init__(site, base + config, *options)

    def open_ends(self) -> tuple[socket.socket, socket.socket]:
        return self.site.udp("inside", Site.INSIDE), self.site.udp("outside", Site.OUTSIDE)

    def answer(self, number: int, answer: str = "ok") -> None:
        """What the store says to this message; waits until it is asked."""
        (self.net.folder / f"gate{number}").write_text(answer)

    def await_held(self, count: int) -> None:
        self.await_status(lambda state: state["queues"][0]["held"] == count)


@pytest.fixture
def asking(site: Site) -> Asking:
    return Asking(site)


def gated(number: int) -> bytes:
    """An INVITE that waits for a gate."""
    gate = b"\r\nX-Gate: gate%d\r\nMax-Forwards" % number
    return invite(number).replace(b"\r\nMax-Forwards", gate)


def compact(number: int, call: int) -> bytes:
    """Another one of the same Call-ID, in compact form, which need not wait for anything."""
    return invite(number).replace(b"Call-ID: call-%d" % number, b"i:call-%d" % call)


def test_only_those_of_its_call_wait_with_a_packet_and_they_keep_their_order(
    asking: Asking,
) -> None:
    inside, outside = asking.open_ends()
    for message in (gated(1), compact(2, 1), compact(3, 1), invite(4)):
        inside.sendto(message, (Site.OUTSIDE, 5060))
    assert numbered(outside.recv(65535)) == 4
    asking.await_held(3)
    assert metrics(asking.site)["inline_topo_held[0]"] == 3
    asking.answer(1)
    arrived = [outside.recv(65535) for _ in range(3)]
    assert [b"X-Gate" in message for message in arrived] == [True, False, False]
    assert [message.partition(b"tag=a")[2][:1] for message in arrived] == [b"1", b"2", b"3"]
    assert not any(HIDDEN.encode() in message for message in arrived)
    asking.await_held(0)
    told = metrics(asking.site)
    assert re.search(r"^store +1 done, \d+\.\d+ seconds$", status(asking.site).stdout, re.MULTILINE)
    assert told["inline_topo_effects_total[done,store]"] == 1
    assert told["inline_topo_effect_seconds_total[store]"] > 0
    assert told["inline_topo_packets_total[egress,masked]"] == 4


@pytest.mark.parametrize("policy", ["drop", "accept"])
def test_who_waits_too_long_is_dropped_whatever_on_error_says(site: Site, policy: str) -> None:
    asking = Asking(site, config=f'[queue]\non_error = "{policy}"\n', patience=1.0)
    inside, outside = asking.open_ends()
    for message in (gated(1), compact(2, 1)):
        inside.sendto(message, (Site.OUTSIDE, 5060))
    assert b"tag=a2" in outside.recv(65535)
    state = asking.status()
    assert state["effects"]["store"]["late"] == 1
    assert state["outcomes"]["egress"] == {"refused_store": 1, "masked": 1}
    assert 'event=store_late queue=0 reason="no answer in time"' in asking.log()
    assert "event=refused_store" in asking.log()


def test_a_store_that_fails_and_one_that_answers(asking: Asking) -> None:
    inside, outside = asking.open_ends()
    for number, answer in ((1, "fail"), (2, "ok")):
        inside.sendto(gated(number), (Site.OUTSIDE, 5060))
        asking.answer(number, answer)
    assert numbered(outside.recv(65535)) == 2
    effects = asking.status()["effects"]["store"]
    assert (effects["failed"], effects["done"]) == (1, 1)
    assert 'reason="it says so"' in asking.log()


def test_a_full_room_takes_nobody_and_holds_nobody_up(site: Site) -> None:
    asking = Asking(site, config="[queue]\nmax_len = 16\n")
    inside, outside = asking.open_ends()
    for message in (*map(gated, range(1, 10)), compact(10, 1), invite(11)):
        inside.sendto(message, (Site.OUTSIDE, 5060))
    assert numbered(outside.recv(65535)) == 11
    state = asking.status()
    assert state["effects"]["store"]["crowded"] == 1
    assert state["outcomes"]["egress"]["refused_store"] == 1
    assert state["outcomes"]["none"] == {"too_many_wait": 1}


def test_a_dry_run_holds_nothing_back_and_counts_all_the_same(site: Site) -> None:
    asking = Asking(site, "--dry-run")
    inside, outside = asking.open_ends()
    for message in (gated(1), compact(2, 1)):
        inside.sendto(message, (Site.OUTSIDE, 5060))
        assert outside.recv(65535) == message
    asking.answer(1)
    asking.await_status(lambda state: state["outcomes"].get("egress") == {"masked": 2})


def test_behind_a_translating_router_a_new_flow_outlasts_the_wait(site: Site) -> None:
    """Its connection is not confirmed before the first verdict, and no other packet may suffer."""
    both = f'"{Site.INSIDE}", "{Site.INSIDE6}"'
    nat = f'shape = "nat"\npublic = "{ROUTER}"\n' + CONFIG.replace(both, f'"{Site.INSIDE}"')
    masquerade = ("-t", "nat", "-A", "POSTROUTING", "-o", "out0", "-j", "MASQUERADE")
    site.run("gw", "iptables", *masquerade)
    asking = Asking(site, base=nat)
    inside, outside = asking.open_ends()
    for message in (gated(1), compact(2, 1), invite(4)):
        inside.sendto(message, (Site.OUTSIDE, 5060))
    arrived = [outside.recvfrom(65535)]
    asking.await_held(2)
    asking.answer(1)
    arrived += [outside.recvfrom(65535) for _ in range(2)]
    assert [message.partition(b"tag=a")[2][:1] for message, _ in arrived] == [b"4", b"1", b"2"]
    assert {source for _, source in arrived} == {(ROUTER, 5060)}


def test_a_killed_workers_packets_that_wait_are_judged_by_the_next(asking: Asking) -> None:
    inside, outside = asking.open_ends()
    worker = asking.grown_worker()
    for message in (gated(1), compact(2, 1)):
        inside.sendto(message, (Site.OUTSIDE, 5060))
    asking.await_held(2)
    os.kill(worker, signal.SIGKILL)
    asking.await_status(deaths(1))
    inside.sendto(invite(3), (Site.OUTSIDE, 5060))  # by its number the next knows what was left
    assert numbered(outside.recv(65535)) == 3
    asking.answer(1)
    assert [b"X-Gate" in outside.recv(65535) for _ in range(2)] == [True, False]
    assert asking.status()["queues"][0]["waiting"] == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_who_waits_gets_an_answer_before_the_worker_ends(asking: Asking, sign: int) -> None:
    inside, outside = asking.open_ends()
    before = asking.worker()
    inside.sendto(gated(1), (Site.OUTSIDE, 5060))
    asking.await_held(1)
    asking.process.send_signal(sign)
    asking.answer(1)
    assert HIDDEN.encode() not in outside.recv(65535)
    if sign == signal.SIGTERM:
        assert asking.process.wait(10) == 0
    else:
        state = asking.await_status(lambda state: state["queues"][0]["pid"] != before)
        assert state["queues"][0]["deaths"] == 0
    assert (asking.site.folder / "closed").exists()


def test_who_has_no_answer_when_the_worker_ends_is_refused(asking: Asking) -> None:
    inside, outside = asking.open_ends()
    for message in (gated(1), compact(2, 1)):
        inside.sendto(message, (Site.OUTSIDE, 5060))
    asking.await_held(2)
    assert asking.end() == 0
    assert b"tag=a2" in outside.recv(65535)
    assert "event=refused_store" in asking.log()
    assert "killed" not in asking.log()


def test_no_packet_is_lost_in_deaths_and_reloads_while_every_packet_waits(site: Site) -> None:
    asking = Asking(site, latency=0.02)
    with Load(site) as load:
        for count in (1, 2):
            os.kill(asking.grown_worker(), signal.SIGKILL)
            asking.await_status(deaths(count))
        before = asking.worker()
        asking.process.send_signal(signal.SIGHUP)
        asking.await_status(lambda state: state["queues"][0]["pid"] != before)
        load.await_more(RATE // 5)
    assert load.sent > 2 * RATE
    assert (load.lost, load.clear) == (0, 0)
    state: dict[str, Any] = asking.status()
    assert (state["queues"][0]["held"], state["queues"][0]["waiting"]) == (0, 0)
    assert asking.end() == 0
