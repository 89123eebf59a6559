"""The commands and the start-up check against a real kernel."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from inline_topo.config import Config, load
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.rules import preflight
from inline_topo.rules.plan import plan
from lab.ours import INLINE_TOPO
from tests.conftest import Ran
from tests.live.ordinary import NOBODY, as_nobody
from tests.netns.applied import apply
from tests.netns.nfqueue import Listener
from tests.netns.topology import Row, row

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "nft")]

WITHOUT_INTERFACES = 'inside = ["10.9.1.0/24"]\n[topoh]\nmask_key_file = "k"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gw.toml"
    path.write_text(WITHOUT_INTERFACES)
    return path


@pytest.fixture
def config(file: Path) -> Config:
    return load(file, env={})


def found(net: Row, config: Config) -> list[tuple[bool, str]]:
    with net.gateway.enter():
        return [(finding.fatal, finding.text) for finding in preflight.findings(config)]


def test_apply_status_remove(net: Row, file: Path, command: Callable[..., Ran]) -> None:
    with net.gateway.enter():
        ran = command("rules", "status", "-c", file)
        assert (ran.status, ran.err) == (1, "")
        assert ran.out.splitlines()[:3] == [
            "IPv4     no rules: inline-topo rules apply",
            "IPv6     no rules: inline-topo rules apply",
            "queue 0  nobody listens: SIP is dropped",
        ]
        assert command("rules", "apply", "-c", file) == (
            0,
            "",
            "inline-topo: rules for shape router are in place: IPv4 and IPv6\n",
        )
        assert command("rules", "status", "-c", file) == (
            0,
            "IPv4     in place for shape router, 0 packets queued\n"
            "IPv6     in place for shape router, 0 packets queued\n"
            "queue 0  nobody listens: SIP is dropped\n",
            "",
        )
        with Listener(net.gateway) as listener:
            phone = net.inside.udp("10.9.1.2", 5060)
            net.outside.udp("198.51.100.2", 5060).sendto(b"x", ("10.9.1.2", 5060))
            listener.accept()
            assert phone.recv(5) == b"x"
            state = json.loads(command("rules", "status", "--json", "-c", file).out)
        assert state["good"] is True
        assert [family["queued"] for family in state["families"]] == [1, 0]
        assert [queue["number"] for queue in state["queues"]] == [0]
        other = command("rules", "status", "-c", file, "--set", "ports=5070")
        assert other.status == 1
        assert "they were made from another configuration" in other.out
        assert command("rules", "remove").status == 0
        assert command("rules", "status", "-c", file).status == 1


def test_fail_open_is_said_aloud(net: Row, file: Path, command: Callable[..., Ran]) -> None:
    with net.gateway.enter():
        ran = command("rules", "apply", "-c", file, "--set", "queue.fail_open=true")
    assert ran.status == 0
    assert "warning: queue.fail_open: while nobody listens, SIP passes in clear" in ran.err


def test_what_is_missing_is_warned_of(net: Row, config: Config) -> None:
    said = found(net, config)
    assert [fatal for fatal, _ in said] == [False] * 4
    assert {text.split(":")[0] for _, text in said} == {"IPv4", "IPv6"}


def said_by_run(net: Row, file: Path, *before: str) -> list[str]:
    """What `run` writes between its start and when it is ready, and then is ended; without the source."""
    with net.gateway.enter():
        program = subprocess.Popen(
            [*before, *INLINE_TOPO, "run", "-c", str(file)],
            stderr=subprocess.PIPE, text=True, cwd=file.parent,
        )  # fmt: skip
    assert program.stderr
    lines = []
    for line in program.stderr:
        lines.append(line.removeprefix("inline-topo: ").rstrip())
        if "event=ready" in line:
            break
    program.terminate()
    program.stderr.read()
    assert program.wait(10) == 0, lines
    program.stderr.close()
    assert lines[0].startswith("level=info event=start ")
    return lines[1:-1]


@pytest.mark.parametrize("is_root", [True, False], ids=["root", "as the service"])
def test_run_says_what_is_missing_and_serves(net: Row, is_root: bool) -> None:
    pytest.importorskip("netfilterqueue", reason="NetfilterQueue is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        KeyRing.generate().save(folder / "mask.key")
        file = folder / "gw.toml"
        text = 'inside = ["10.9.1.0/24"]\n[topoh]\nmask_key_file = "mask.key"\n[queue]\non_tcp = "drop"\n'
        file.write_text(text)
        before: tuple[str, ...] = ()
        if not is_root:
            os.chown(folder / "mask.key", NOBODY, NOBODY)
            before = as_nobody(folder / "spare")
        missing = {
            f"warning: {family}: {what}: inline-topo rules apply"
            for family in ("IPv4", "IPv6")
            for what in (
                "no rule sends packets to queue 0",
                "nothing puts fragments together, long messages are cut",
            )
        }
        assert set(said_by_run(net, file, *before)) == missing
        apply(net.gateway, plan(load(file, env={})))
        assert said_by_run(net, file, *before) == []


def test_a_machine_that_sends_nothing_on_is_warned_of(net: Row, config: Config) -> None:
    apply(net.gateway, plan(config))
    assert found(net, config) == []
    net.gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")
    [(fatal, text)] = found(net, config)
    assert (fatal, text.split(":")[0]) == (False, 'shape "router"')


def test_a_bridge_whose_frames_no_rule_sees_is_warned_of(file: Path) -> None:
    settings = ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"]
    with row(bridge=True) as net:
        for interfaces, expected in (
            ('interfaces = ["lan0"]\n', [(False, "interfaces: lan0 is a port of br0, name that")]),
            ('interfaces = ["br0"]\n', []),
            ("", []),
        ):
            file.write_text(interfaces + WITHOUT_INTERFACES)
            config = load(file, env={})
            apply(net.gateway, plan(config))
            assert found(net, config) == expected
        for seen, name in enumerate(settings, 1):
            net.gateway.run("sysctl", "-qw", f"{name}=0")
            said = [text for _, text in found(net, config)]
            assert len(said) == seen
            assert f"sysctl {name}=1" in said[-1]


def test_rules_of_ones_own_do_as_well(net: Row, config: Config) -> None:
    for program in ("iptables", "ip6tables"):
        udp = ["-p", "udp", "--dport", "5060"]
        net.gateway.run(program, "-t", "mangle", "-A", "FORWARD", *udp, "-j", "NFQUEUE")
        net.gateway.run(program, "-A", "FORWARD", "-m", "conntrack", "--ctstate", "NEW")
    assert found(net, config) == []


def test_the_sip_helper_is_fatal(
    net: Row, config: Config, file: Path, command: Callable[..., Ran]
) -> None:
    udp = ["-p", "udp", "--dport", "5060"]
    net.gateway.run(
        "iptables", "-t", "raw", "-A", "PREROUTING", *udp, "-j", "CT", "--helper", "sip"
    )
    fatal, text = found(net, config)[0]
    assert fatal
    assert text.startswith("IPv4: the kernel's SIP helper")
    with net.gateway.enter():
        command("rules", "apply", "-c", file)
        ran = command("rules", "status", "-c", file)
        assert ran.status == 1
        assert ran.out.splitlines()[3:] == [f"error: {text}"]
        assert command("run", "-c", file) == (2, "", f"inline-topo: {text}\n")


def test_the_sip_helper_of_native_rules_is_fatal(net: Row, config: Config) -> None:
    net.gateway.run(
        "nft",
        "-f",
        "-",
        given="""table inet theirs {
            ct helper sip5060 { type "sip" protocol udp; }
            chain pre {
                type filter hook prerouting priority 0;
                udp dport 5060 ct helper set "sip5060"
            }
        }""",
    )
    said = found(net, config)
    assert [text.split(":")[0] for fatal, text in said if fatal] == ["IPv4", "IPv6"]


def test_a_taken_queue_is_fatal(net: Row, config: Config) -> None:
    with Listener(net.gateway):
        fatal, text = found(net, config)[0]
    assert fatal
    assert text.startswith("queue 0: taken")


def test_no_capability_is_fatal_and_the_one_that_is_needed_is_enough(net: Row, file: Path) -> None:
    program = (
        "from inline_topo.config import load; from inline_topo.rules import preflight;"
        f"from pathlib import Path; config = load(Path({str(file)!r}), env={{}});"
        "[print(finding.text) for finding in preflight.findings(config)]"
    )
    bare = ["setpriv", "--inh-caps", "-all", "--bounding-set"]
    python = [sys.executable, "-c", program]
    net.gateway.run("iptables", "-t", "mangle", "-A", "FORWARD", "-j", "NFQUEUE")
    said = net.gateway.run(*bare, "-all", *python)
    assert said.startswith("no CAP_NET_ADMIN: ")
    assert said.count("\n") == 1
    said = net.gateway.run(*bare, "-all,+net_admin", *python)
    assert "cannot be read" not in said
    assert "IPv4: no rule" not in said
    assert "IPv6: no rule sends packets to queue 0" in said
