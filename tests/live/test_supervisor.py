"""Workers that die, hang or are replaced: what is lost, and what passes in clear."""

import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inline_topo.edges.live.worker import TICK
from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.keyring import KeyRing
from lab.ours import INLINE_TOPO
from lab.site import Site
from tests.live.load import RATE, Load
from tests.live.messages import HIDDEN, invite, numbered, ok_to
from tests.live.ordinary import NOBODY, as_nobody, prepare
from tests.live.running import CONFIG, PATIENCE, Running
from tests.live.test_status import metrics

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables")]


def deaths(count: int) -> Any:
    return lambda state: state["state"] == "ok" and state["queues"][0]["deaths"] == count


@pytest.mark.parametrize(
    ("times", "rate"),
    [(2, RATE), pytest.param(20, 3 * RATE, marks=[pytest.mark.nightly, pytest.mark.alone])],
)
def test_no_packet_is_lost_when_workers_are_killed(gateway: Running, times: int, rate: int) -> None:
    with Load(gateway.site, rate) as load:
        for count in range(1, times + 1):
            os.kill(gateway.grown_worker(), signal.SIGKILL)
            gateway.await_status(deaths(count))
            load.await_more(rate // 5)
    assert load.sent > times * rate
    assert (load.lost, load.clear) == (0, 0)
    assert gateway.status()["queues"][0]["waiting"] == 0
    assert gateway.end() == 0


def test_a_hung_worker_is_killed(gateway: Running) -> None:
    worker = gateway.worker()
    os.kill(worker, signal.SIGSTOP)
    state = gateway.await_status(deaths(1))
    assert state["queues"][0]["pid"] != worker
    assert "hangs and is killed" in gateway.log()


def test_a_reload_takes_the_new_key_and_loses_nothing(gateway: Running) -> None:
    ring = gateway.site.folder / "mask.key"
    before = gateway.worker()
    with Load(gateway.site) as load:
        load.await_more(RATE // 2)
        KeyRing.load(ring).rotate().save(ring)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.await_status(lambda state: state["queues"][0]["pid"] != before)
        load.await_more(RATE // 2)
    assert load.sent > RATE
    assert (load.lost, load.clear) == (0, 0)
    assert gateway.status()["queues"][0]["deaths"] == 0


def key_ids(running: Running, message: bytes) -> set[int | None]:
    """The keys that sealed the tokens of a message."""
    codec = AesSiv(KeyRing.load(running.net.folder / "mask.key"))
    return {revealed.key for revealed in codec.reveal(message)}


def test_after_a_reload_tokens_have_the_new_key_and_those_of_before_open(gateway: Running) -> None:
    site = gateway.site
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    file = site.folder / "mask.key"
    old = KeyRing.load(file)
    new = old.rotate()
    assert new.active != old.active
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    before = outside.recv(65535)
    new.save(file)
    worker = gateway.worker()
    gateway.process.send_signal(signal.SIGHUP)
    gateway.await_status(lambda state: state["queues"][0]["pid"] != worker)
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    after = outside.recv(65535)
    assert (key_ids(gateway, before), key_ids(gateway, after)) == ({old.active}, {new.active})
    for masked in (before, after):
        outside.sendto(ok_to(masked), (Site.INSIDE, 5060))
        assert inside.recv(65535) == ok_to(invite())
    assert gateway.status()["opens_refused"] == {}


def break_it(ring: Path) -> None:
    ring.write_text(ring.read_text().replace("active = ", "active = 9"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (break_it, "no such key on the ring"),
        (Path.unlink, "No such file or directory"),
        (lambda ring: ring.chmod(0o644), "open to other users"),
    ],
    ids=["broken", "missing", "world-readable"],
)
def test_a_bad_key_ring_is_refused_and_the_old_one_stays(
    gateway: Running, spoil: Callable[[Path], object], reason: str
) -> None:
    site = gateway.site
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    masked = outside.recv(65535)
    worker = gateway.worker()
    spoil(site.folder / "mask.key")
    gateway.process.send_signal(signal.SIGHUP)
    site.await_text("gateway.log", "reload refused")
    [line] = [line for line in gateway.log().splitlines() if "reload refused" in line]
    assert "mask.key" in line
    assert reason in line
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    assert outside.recv(65535) == masked
    outside.sendto(ok_to(masked), (Site.INSIDE, 5060))
    assert inside.recv(65535) == ok_to(invite())
    assert gateway.worker() == worker


def received(sock: socket.socket, count: int) -> list[int]:
    """The numbers of the next INVITEs that come masked, until none comes any more."""
    numbers: list[int] = []
    while len(numbers) < count:
        try:
            message = sock.recv(65535)
        except TimeoutError:
            break
        assert HIDDEN.encode() not in message
        numbers.append(numbered(message))
    return numbers


def test_one_of_two_workers_is_killed_and_the_other_goes_on(site: Site) -> None:
    peers = [f"203.0.113.{number}" for number in range(20, 40)]
    for peer in peers:
        site.run("outside", "ip", "addr", "add", f"{peer}/24", "dev", "eth0")
    gateway = Running(site, f'{CONFIG}[queue]\nnumbers = "0:1"\n')
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", "0.0.0.0")
    victim, other = (queue["pid"] for queue in gateway.status()["queues"])
    os.kill(victim, signal.SIGSTOP)
    for number, peer in enumerate(peers):  # a hash of the addresses says which queue
        inside.sendto(invite(number), (peer, 5060))
    outside.settimeout(1)
    by_the_other = received(outside, len(peers))
    assert 0 < len(by_the_other) < len(peers)
    os.kill(victim, signal.SIGKILL)
    for number in by_the_other:
        inside.sendto(invite(100 + number), (peers[number], 5060))
    outside.settimeout(5)
    rest = received(outside, len(peers))
    again = {100 + number for number in by_the_other}
    assert set(by_the_other) | set(rest) == {*range(len(peers)), *again}
    state = gateway.await_status(lambda state: state["state"] == "ok")
    first, second = state["queues"]
    assert (first["deaths"], second["deaths"]) == (1, 0)
    assert first["pid"] != victim
    assert second["pid"] == other
    assert second["packets"] == 2 * len(by_the_other)


def test_a_bad_configuration_is_refused_and_the_old_one_stays(gateway: Running) -> None:
    before = gateway.worker()
    gateway.config.write_text(CONFIG.replace("inside", "insid"))
    gateway.process.send_signal(signal.SIGHUP)
    gateway.site.await_text("gateway.log", "reload refused")
    assert "insid: unknown key" in gateway.log()
    gateway.config.write_text(CONFIG)
    assert gateway.worker() == before


def test_workers_end_with_their_supervisor_and_another_can_start(gateway: Running) -> None:
    site = gateway.site
    with Load(site) as load:
        load.await_more(RATE // 2)
        gateway.kill()
        gateway.start()
        load.await_more(RATE // 2)
    assert load.clear == 0
    assert load.arrived[-1] == load.sent
    assert gateway.end() == 0


def await_pending(process: int, sign: signal.Signals) -> None:
    """Wait until a signal waits for a process that is stopped."""
    deadline = time.monotonic() + PATIENCE
    pending = 0
    while not pending >> (sign - 1) & 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        [mask] = re.findall(r"^ShdPnd:\s*(\w+)$", Path(f"/proc/{process}/status").read_text(), re.M)
        pending = int(mask, 16)


def test_ends_only_when_what_waits_is_judged(gateway: Running) -> None:
    site = gateway.site
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    worker = gateway.worker()
    os.kill(worker, signal.SIGSTOP)
    for number in range(30):
        inside.sendto(invite(number), (Site.OUTSIDE, 5060))
    gateway.process.send_signal(signal.SIGTERM)
    await_pending(worker, signal.SIGTERM)
    os.kill(worker, signal.SIGCONT)
    assert gateway.process.wait(10) == 0
    assert len([outside.recv(65535) for _ in range(30)]) == 30


@pytest.mark.parametrize("prepared", [True, False], ids=["as the unit", "without its chgrp"])
def test_runs_as_an_ordinary_user_whose_workers_have_one_capability(prepared: bool) -> None:
    with tempfile.TemporaryDirectory() as name, Site(Path(name)) as site:
        site.build()
        site.folder.chmod(0o755)
        ring = site.folder / "mask.key"
        KeyRing.generate().save(ring)
        os.chown(ring, NOBODY, NOBODY)
        if prepared:
            prepare(site)
        before = as_nobody(site.folder / "spare")
        running = Running(site, CONFIG, before=before)
        [warning] = [line for line in running.log().splitlines() if "warning" in line]
        assert "SIP over TCP passes in clear" in warning
        judges_as_nobody(site, running)
        [queue] = running.status()["queues"]
        kernels = {key: queue.get(key) for key in ("waiting", "dropped_queue_full")}
        told = [name for name in metrics(site) if name.startswith("inline_topo_queue_")]
        second = site.start("gw", "second.log", *before, *INLINE_TOPO, "run", "-c", "gw.toml")
        assert second.wait(20) == 2
        refusal = (site.folder / "second.log").read_text()
        if prepared:
            assert kernels == {"waiting": 0, "dropped_queue_full": 0}
            assert told == ["inline_topo_queue_full_total[0]", "inline_topo_queue_waiting[0]"]
            assert "queue 0: taken (netlink port " in refusal
        else:
            assert kernels == {"waiting": None, "dropped_queue_full": None}
            assert told == []
            assert "queue 0: cannot be bound; another program may hold it" in refusal


def judges_as_nobody(site: Site, running: Running) -> None:
    inside, outside = site.udp("inside", Site.INSIDE), site.udp("outside", Site.OUTSIDE)
    status = Path(f"/proc/{running.worker()}/status").read_text()
    assert f"\nUid:\t{NOBODY}" in status
    capabilities = dict(re.findall(r"^Cap(Inh|Prm|Eff|Amb):\t(\w+)$", status, re.MULTILINE))
    assert capabilities == dict.fromkeys(("Inh", "Prm", "Eff", "Amb"), "0000000000001000")
    inside.sendto(invite(), (Site.OUTSIDE, 5060))
    assert HIDDEN.encode() not in outside.recv(65535)


class Manager:
    """A notification socket, as systemd has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def await_line(self, line: str, seconds: float) -> bool:
        """Whether it is told this within some seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                if line in self._socket.recv(4096).decode().split("\n"):
                    return True
            except TimeoutError:
                break
        return False

    def close(self) -> None:
        self._socket.close()


def test_the_watchdog_hears_of_it_only_while_workers_turn(site: Site) -> None:
    manager = Manager(site.folder / "notify")
    try:
        running = Running(
            site, CONFIG, before=("env", f"NOTIFY_SOCKET={manager.path}", "WATCHDOG_USEC=900000")
        )
        assert manager.await_line("READY=1", 5)
        assert manager.await_line("WATCHDOG=1", 2)
        worker = running.worker()
        os.kill(worker, signal.SIGSTOP)
        running.await_status(lambda state: state["state"] == "degraded")
        while manager.await_line("WATCHDOG=1", 2 * TICK):
            pass  # those of before
        assert not manager.await_line("WATCHDOG=1", 1)
        os.kill(worker, signal.SIGCONT)
        assert manager.await_line("WATCHDOG=1", 2)
        running.process.send_signal(signal.SIGTERM)
        assert manager.await_line("STOPPING=1", 5)
    finally:
        manager.close()
