"""Mode topos with each store: hundreds of calls, and dialogs that outlive what happens to it."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import Any

import pytest

from inline_topo.masking.codecs.keyring import KeyRing
from lab.live import Lab
from lab.ours import INLINE_TOPO
from lab.site import Site
from tests.live.running import Running
from tests.live.stores import Redis, topos
from tests.live.test_pair import held_by_bob
from tests.live.traffic import (
    ALICE,
    COUNT,
    RATE,
    Calls,
    RouterLab,
    answered,
    dump,
    hung_up,
    invites,
    payloads,
    showing,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.alone,
    pytest.mark.full,
    pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump", "redis-server"),
]

CALLS = max(500, COUNT)
LONG = 8 * CALLS
"""A call's milliseconds: it is there before the trouble, and after it."""

OUTLASTING = max(8000, LONG)
"""The same where something is killed. A gateway is away for two seconds, and what was lost is sent again
at ever longer intervals (RFC 3261 section 13.3.1.4): sipp gives up a call whose BYE overtakes an ACK."""

A_WHILE = 0.4 * CALLS / RATE
"""Seconds for which calls have begun when the trouble comes, and before it comes again."""

NIGHTLY = pytest.mark.nightly


def store_of(site: Site, kind: str) -> str:
    """The URL of a new store of this kind."""
    if kind == "redis":
        return Redis(site, "gw").url
    return f"sqlite:///{site.folder}/dialogs.db" if kind == "sqlite" else "memory:"


def hides(site: Site, calls: int = CALLS) -> None:
    """What left, of so many calls, shows no phone, and no Via or Record-Route of the inside."""
    for hidden in (ALICE, "Record-Route"):
        assert showing(site.folder / "out0.pcap", Site.OUTSIDE, hidden, of=calls) == []


def kept(site: Site) -> dict[str, Any]:
    """What `dialogs --json` says."""
    command = ("ip", "netns", "exec", site.name_of("gw"), "env", "-C", str(site.folder))
    done = subprocess.run(
        [*command, *INLINE_TOPO, "dialogs", "--json", "-c", "gw.toml"],
        check=True, capture_output=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", [pytest.param("memory", marks=NIGHTLY), "sqlite", "redis"])
def test_hundreds_of_calls(site: Site, kind: str) -> None:
    lab = RouterLab(site, config=topos(store_of(site, kind)))
    with dump(site, "gw", "out0"):
        lab.calls.start()
        lab.calls.done()
    state = lab.gateway.status()
    assert state["queues"][0]["lost"] == 0
    assert not [name for name in state["outcomes"]["egress"] if name.startswith("refused")]
    hides(site, COUNT)
    if kind != "memory":
        found = kept(site)
        assert found["records"]["contact"]["records"] >= COUNT
        assert found["records"]["unreadable"]["records"] == 0
        assert {ALICE in contact["uri"] for contact in found["contacts"]} == {True}


def goes_on(site: Site, trouble: float) -> None:
    """Every call that was established when the trouble began was hung up, and had its answer."""
    established = answered(site.folder / "in0.pcap", trouble)
    assert len(established) > RATE
    assert established - hung_up(site.folder / "in0.pcap") == set()


def start(lab: RouterLab, by: str, pause: int = OUTLASTING) -> None:
    """Calls that last: alice hangs up, or bob does, who says something in between too."""
    alice, bob = held_by_bob(pause // 2) if by == "bob" else (None, None)
    lab.calls.start(pause=pause, caller=alice, callee=bob, count=CALLS)


def kill(lab: RouterLab, *, worker: bool = False) -> None:
    """kill -9 of the gateway."""
    if worker:
        os.kill(lab.gateway.grown_worker(), signal.SIGKILL)
        return
    lab.gateway.kill()


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("sqlite", "alice"),
        ("redis", "bob"),
        pytest.param("sqlite", "bob", marks=NIGHTLY),
        pytest.param("redis", "alice", marks=NIGHTLY),
    ],
)
def test_dialogs_outlive_a_gateway_that_is_killed(site: Site, kind: str, by: str) -> None:
    lab = RouterLab(site, config=topos(store_of(site, kind)))
    with dump(site, "gw", "out0"), dump(site, "gw", "in0"):
        start(lab, by)
        time.sleep(A_WHILE)
        first = time.time()
        kill(lab, worker=True)
        time.sleep(A_WHILE / 2)
        second = time.time()
        kill(lab)
        lab.gateway.start()
        assert lab.calls.lost() == 0
    goes_on(site, first)
    goes_on(site, second)
    hides(site)


def test_dialogs_outlive_a_redis_that_is_killed_and_one_that_hangs(site: Site) -> None:
    redis = Redis(site, "gw")
    lab = RouterLab(site, config=topos(redis.url))
    with dump(site, "gw", "out0"), dump(site, "gw", "in0"):
        start(lab, "alice")
        time.sleep(A_WHILE)
        killed = time.time()
        redis.kill()
        time.sleep(1)
        redis.start()
        time.sleep(A_WHILE / 2)
        hung = time.time()
        redis.hang()
        time.sleep(1)
        redis.go_on()
        assert lab.calls.lost() == 0
    goes_on(site, killed)
    goes_on(site, hung)
    hides(site)
    log = lab.gateway.log()
    assert 'event="store failed"' in log
    assert 'event="store works again"' in log
    assert log.count('event="store failed"') < 20


@pytest.mark.parametrize("by", ["alice", pytest.param("bob", marks=NIGHTLY)])
def test_both_are_killed_at_once(site: Site, by: str) -> None:
    redis = Redis(site, "gw")
    lab = RouterLab(site, config=topos(redis.url))
    with dump(site, "gw", "in0"):
        start(lab, by)
        time.sleep(A_WHILE)
        killed = time.time()
        redis.kill()
        kill(lab)
        lab.gateway.start()  # it starts without its store, and says so
        assert "does not answer yet" in lab.gateway.log()
        redis.start()
        assert lab.calls.lost() == 0
    goes_on(site, killed)


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        ("topoh", "sqlite"),
        ("topos", "redis"),
        pytest.param("topoh", "redis", marks=NIGHTLY),
        pytest.param("topos", "sqlite", marks=NIGHTLY),
    ],
)
def test_a_change_of_mode_and_back_strands_no_dialog(site: Site, first: str, kind: str) -> None:
    """Every call has begun in one mode, is held in the other, and is hung up in the first again."""
    stripping = topos(store_of(site, kind))
    masking = stripping.replace('mode = "topos"', 'mode = "topoh"')
    begin, other = (masking, stripping) if first == "topoh" else (stripping, masking)
    lab = RouterLab(site, config=begin)
    with dump(site, "gw", "out0"), dump(site, "gw", "in0"):
        start(lab, "bob", LONG)
        changes = []
        for config in (other, begin):
            time.sleep(A_WHILE)
            lab.gateway.config.write_text(config)
            changes.append(time.time())
            lab.gateway.process.send_signal(signal.SIGHUP)
        lab.calls.done()
    for change in changes:
        goes_on(site, change)
    assert showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE, of=CALLS) == []
    sent = payloads(site.folder / "out0.pcap", Site.INSIDE)
    left = [text for text in invites(site.folder / "out0.pcap") if text in sent]
    stripped = [text for text in left if b"tpsh-" in text]
    assert CALLS / 4 < len(stripped) < len(left) - CALLS / 4


@pytest.mark.parametrize(
    "dies",
    [pytest.param("", marks=NIGHTLY), "one", pytest.param("other", marks=NIGHTLY)],
)
def test_two_gateways_share_one_redis(site: Site, dies: str) -> None:
    """Calls leave through one and come back through the other, which has never seen them; either may
    be killed, and has then forgotten them."""
    site.second_router()
    redis = Redis(site, "inside", Site.INSIDE)
    config = topos(redis.url)
    lab = RouterLab(site, config=config)
    other = Running(site, config, host="gw2", name="gateway2")
    alice, bob = held_by_bob(OUTLASTING // 2 if dies else 100)
    with dump(site, "gw", "out0"):
        lab.calls.start(caller=alice, callee=bob, count=CALLS)
        if dies:
            time.sleep(A_WHILE)
            victim = lab.gateway if dies == "one" else other
            before = victim.grown_worker()
            os.kill(before, signal.SIGKILL)
            victim.await_status(lambda state: state["queues"][0]["pid"] not in (0, before))
        lab.calls.done()
    assert list(lab.gateway.status()["outcomes"]) == ["egress"]
    assert list(other.status()["outcomes"]) == ["ingress"]
    hides(site)


def refused(state: dict[str, Any]) -> int:
    """Messages that did not leave because of the store."""
    count = state["outcomes"].get("egress", {}).get("refused_store", 0)
    assert isinstance(count, int)
    return count


def test_no_store_no_call_and_nothing_in_clear(site: Site) -> None:
    """What leaves is dropped while the store is away, and goes when it is back."""
    redis = Redis(site, "gw")
    lab = RouterLab(site, config=topos(redis.url))
    with dump(site, "gw", "out0"):
        redis.kill()
        lab.calls.start(count=50)
        lab.gateway.await_status(lambda state: refused(state) >= 50)
        redis.start()
        lab.calls.done()
    hides(site, 50)


@pytest.mark.parametrize("vias", [1, 2])
def test_masked_by_tokens_while_the_store_is_away(site: Site, vias: int) -> None:
    """`on_store_error = "mask"`: calls are completed without a store, and stripped with it. With one
    Via they come from alice herself, who does without the proxy."""
    redis = Redis(site, "gw")
    lab = RouterLab(site, config=topos(redis.url, 'on_store_error = "mask"'))
    many = lab.calls
    if vias == 1:
        plain = Lab(site, topoh=False)
        many = Calls(plain, ("inside", ALICE), ("outside", Site.OUTSIDE), Site.OUTSIDE)
    with dump(site, "gw", "out0"):
        redis.kill()
        many.start(count=50, call_id="without-%u")
        many.done()
        redis.start()
        time.sleep(1)  # the longest pause of the store after a failure
        many.start(count=50, call_id="with-%u")
        many.done()
    left = invites(site.folder / "out0.pcap")
    without = [text for text in left if b"Call-ID: without-" in text]
    assert [len(without) >= 50, len(left) - len(without) >= 50] == [True, True]
    assert {text for text in left if b"tpsh-" in text} == set(left) - set(without)
    assert {text.count(b"\nVia: ") for text in without} == {vias}
    for header in showing(site.folder / "out0.pcap", Site.OUTSIDE, ALICE, of=100):
        fields = [line for line in header.split(b"\r\n") if ALICE.encode() in line]
        assert [field[:4] for field in fields] == [b"Via:"]  # that of a sender without a proxy
        assert vias == 1
    state = lab.gateway.status()
    assert not [name for name in lab.gateway.outcomes() if name.startswith("refused")]
    assert state["queues"][0]["lost"] == 0


def test_a_store_of_another_version_is_refused_at_the_start(site: Site) -> None:
    with closing(sqlite3.connect(site.folder / "dialogs.db")) as file:
        file.execute("PRAGMA application_id = 0x49544F50")
        file.execute("PRAGMA user_version = 7")
    (site.folder / "dialogs.db").chmod(0o600)
    (site.folder / "gw.toml").write_text(topos(store_of(site, "sqlite")))
    KeyRing.generate().save(site.folder / "mask.key")
    command = ("ip", "netns", "exec", site.name_of("gw"), "env", "-C", str(site.folder))
    site.run("gw", *command[4:], *INLINE_TOPO, "rules", "apply", "-c", "gw.toml")
    done = subprocess.run(
        [*command, *INLINE_TOPO, "run", "-c", "gw.toml"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 78
    assert "its schema is version 7, this program's is 2" in done.stderr.splitlines()[-1]
