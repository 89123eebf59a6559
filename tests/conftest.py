"""What all tests share: where the captures lie, which tests run, and what a skip means."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.workermanage import WorkerController

from inline_topo import gateway
from inline_topo.cli import main
from tests import budgets
from tests.scheduling import AloneLast, tell_folder, write_down

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
NO_SHARED = "../shared is not beside this clone"
HEEDS_SIGINT = ("env", "--default-signal=INT")
"""The first words of a command that is to be interrupted: what a shell runs in the background is not."""
MEASURED = "measured"
"""The property by which a test has a line of what it measured shown at the end (`record_property`)."""
TIERS = ("full", "nightly")
"""The marks of long tests, each left out without the option of its name; `full` is what CI runs."""
ONLY_INTERPRETED = "replaces parts of modules that are compiled here"

DEBIAN_PACKAGES = {
    "baresip": "baresip",
    "capinfos": "tshark",
    "editcap": "tshark",
    "ip": "iproute2",
    "iptables": "iptables",
    "kamailio": "kamailio",
    "kamcmd": "kamailio",
    "linphonec": "linphone-cli",
    "nft": "nftables",
    "redis-cli": "redis-tools",
    "redis-sentinel": "redis-sentinel",
    "redis-server": "redis-server",
    "rtpengine": "rtpengine-daemon",
    "sipp": "sip-tester",
    "sipsak": "sipsak",
    "systemd-analyze": "systemd",
    "tcpdump": "tcpdump",
    "tshark": "tshark",
}

os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian keeps programs that ordinary users run too

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real captures and torture messages that are not part of the project."""
    return _shared("corpus")


@pytest.fixture(scope="session")
def oracle() -> Path:
    """A real Kamailio's captures, and the laboratory that made them."""
    return _shared("oracle")


@pytest.fixture(scope="session")
def captures() -> Path:
    """The project's own captures."""
    return ROOT / "captures"


def _shared(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(NO_SHARED)
    return SHARED / name


class Ran(NamedTuple):
    """What a command left: its exit status, standard output and standard error."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Run `inline-topo` with these words, in this process."""

    def run(*words: str | Path) -> Ran:
        monkeypatch.setattr("sys.argv", ["inline-topo", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        code = end.value.code
        return Ran(code if isinstance(code, int) else 0, *capfd.readouterr())

    return run


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the long tests too")
    parser.addoption(
        "--nightly", action="store_true", help="run those of scripts/nightly too, next to --full"
    )
    parser.addoption("--no-skips", action="store_true", help="a skipped test is a failed one")
    parser.addoption(
        "--strict-budgets", action="store_true", help="fail for a folder over its budget of time"
    )
    parser.addoption(
        "--compiled", action="store_true", help="the package is the compiled one (see scripts/test)"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--nightly"):
        os.environ.setdefault("LIVE_CALLS", "1000")
    is_compiled = not gateway.__file__.endswith(".py")
    if is_compiled != config.getoption("--compiled"):
        kind = "compiled" if is_compiled else "interpreted"
        raise pytest.UsageError(f"{gateway.__file__} is {kind}: run scripts/test [--compiled]")


def pytest_report_header(config: pytest.Config) -> list[str]:
    left_out = [f"long tests are left out without --{name}" for name in _left_out(config)]
    return [f"inline_topo: {gateway.__file__}", *left_out]


def _left_out(config: pytest.Config) -> list[str]:
    return [name for name in TIERS if not config.getoption(f"--{name}")]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    tell_folder(node)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    write_down(session)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> AloneLast:
    return AloneLast(config, log)


@pytest.hookimpl(wrapper=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    _mark_folders(items)
    left_out = _left_out(config)
    long = {item for item in items if any(map(item.get_closest_marker, left_out))}
    if long:
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=[*long])
    if config.getoption("--compiled"):
        for item in items:
            if item.get_closest_marker("interpreted"):
                item.add_marker(pytest.mark.skip(reason=ONLY_INTERPRETED))
    yield


def _mark_folders(items: list[pytest.Item]) -> None:
    """Have `-m` know the tests of the gateway at work by their folder."""
    for item in items:
        if item.path.parent.name == "live" and item.path.parents[1].name == "tests":
            item.add_marker(pytest.mark.live)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for program in mark.args:
            if shutil.which(program) is None:
                package = DEBIAN_PACKAGES.get(program, program)
                pytest.skip(f"{program} is not installed (Debian: apt install {package})")
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _judge_skip(report, item.config)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _judge_skip(report, collector.config)
    return report


def _judge_skip(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    if not config.getoption("--no-skips") or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = _reason(report)
    if reason == ONLY_INTERPRETED and config.getoption("--compiled"):
        return
    if reason != NO_SHARED or SHARED.is_dir():
        report.outcome = "failed"
        report.longrepr = f"skipped, and --no-skips is on: {reason}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.config.getoption("--strict-budgets") and not session.exitstatus:
        session.exitstatus = int(any(folder.is_over for folder in budgets.of(reporter)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _show_measured(terminalreporter)
    if len(folders := budgets.of(terminalreporter)) > 1:
        terminalreporter.section("time of each folder")
        for folder in folders:
            terminalreporter.write_line(str(folder), red=folder.is_over)
    missing: Counter[str] = Counter()
    for outcome in ("skipped", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            missing.update(re.findall(r"apt install ([a-z0-9.+-]+)", _reason(report)))
    for package, tests in sorted(missing.items()):
        terminalreporter.write_line(
            f"Debian package missing: {package}, for {tests} test{'s' * (tests > 1)}"
        )


def _show_measured(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        line
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, line in report.user_properties
        if name == MEASURED
    ]
    if lines:
        terminalreporter.section("measured")
    for line in lines:
        terminalreporter.write_line(str(line))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped, or what is left of that reason in a failure."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return report.longrepr if isinstance(report.longrepr, str) else ""
