"""Two real clients through the gateway: what `scripts/clients` does, with the main scenarios."""

from pathlib import Path

import pytest

from clients_lab.baresip import Baresip
from clients_lab.cast import Pair
from clients_lab.linphone import Linphone
from clients_lab.settings import DEFAULT, ROUTER, STRICT, Setting
from clients_lab.tour import OK, Tour

pytestmark = [
    pytest.mark.root,
    pytest.mark.full,
    pytest.mark.needs(
        "ip", "iptables", "kamailio", "kamcmd", "tcpdump", "rtpengine", "sipp",
        "baresip", "linphonec", "sipsak",
    ),
]  # fmt: skip

MAIN = (
    "call, hold",
    "CANCEL",
    "busy",
    "MESSAGE",
    "blind transfer",
    "302 by the proxy",
    "fork",
    "OPTIONS by sipsak",
    "call to sipp",
    "restart",
)
FEW = ("call, hold", "blind transfer", "outbound", "kill -9")
JUDGED = ("registration", "unregistration", "nothing shows")


@pytest.mark.parametrize(
    ("treatment", "pair", "scenarios"),
    [(DEFAULT, Pair(Linphone, Baresip), MAIN), (STRICT, Pair(Baresip, Linphone), FEW)],
)
def test_main_scenarios(
    tmp_path: Path, treatment: str, pair: Pair, scenarios: tuple[str, ...]
) -> None:
    results = list(Tour(tmp_path, scenarios).through(Setting(ROUTER, treatment), [pair]))
    assert not [(one.scenario, one.why) for one in results if one.outcome != OK]
    assert {one.scenario for one in results} == {*scenarios, *JUDGED}
