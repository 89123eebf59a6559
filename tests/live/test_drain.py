"""A phone system that registered with its carrier under a mask, and a gateway that drains."""

import re
from pathlib import Path

import pytest

from lab import calls
from lab.net import Net
from lab.sipp import SDP, Party
from tests.live.nat import CARRIER, CONFIG, NatLab, bob_calling
from tests.live.traffic import answering, datagrams, dump, packed

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "iptables", "kamailio", "sipp", "tcpdump")]

KAMAILIO = CONFIG.replace(
    'mask_key_file = "mask.key"', 'codec = "kamailio"\nmask_key = "my secret here"'
)
CLEAR = f"sip:alice@{calls.PROXY}:5060".encode()
BINDINGS = re.compile(rb"^Contact: (.*?)\r$", re.MULTILINE)
URI = re.compile(rb"<(.*?)>")


def configured(kind: str, folder: Path) -> str:
    if kind == "topos":
        return f'mode = "topos"\n{CONFIG}[topos]\nstore = "sqlite:///{folder}/dialogs.db"\n'
    return KAMAILIO if kind == "kamailio" else CONFIG


class Draining(NatLab):
    """The phone system is registered, and the gateway has begun to drain since."""

    def __init__(self, net: Net, config: str) -> None:
        super().__init__(net, config)
        self._folder = net.folder
        with dump(net, "pbx-nat", "eth0"):
            self.register()
        assert len(self.bindings()) == 1
        assert CLEAR not in self.bindings()
        assert self.gateway.end() == 0
        (net.folder / "gateway.log").write_text("")
        self.gateway.start("--drain")

    def bindings(self) -> list[bytes]:
        """The URIs that the registrar listed last, as the outside sees them."""
        answers = [
            payload
            for source, _, payload in datagrams(self._folder / "eth0.pcap")
            if source == packed(CARRIER) and b" REGISTER\r\n" in payload
        ]
        return [uri for line in BINDINGS.findall(answers[-1]) for uri in URI.findall(line)]

    def is_called(self) -> None:
        """bob calls the phone system, which answers; LabError where it does not come to that."""
        self.lab.party("pbx", calls.PROXY, answering("alice"))
        self.lab.party("bob", calls.FAR, bob_calling(SDP), via=CARRIER)
        self.lab.done()

    def is_not_found(self) -> None:
        """bob calls, and the registrar knows no phone."""
        bob = Party("bob", calls="alice")
        bob.send("INVITE", body=SDP)
        bob.answered(100, 404)
        bob.send("ACK")
        self.lab.party("bob", calls.FAR, bob, via=CARRIER)
        self.lab.done()


@pytest.mark.parametrize(
    "kind",
    [
        "aes-siv",
        pytest.param("kamailio", marks=pytest.mark.full),
        pytest.param("topos", marks=pytest.mark.full),
    ],
)
def test_it_is_called_by_its_mask_and_after_a_refresh_by_its_name(
    tmp_path: Path, kind: str
) -> None:
    with Net(tmp_path) as net:
        lab = Draining(net, configured(kind, tmp_path))
        lab.is_called()
        assert lab.gateway.status()["edits"]["opened"]["Request-URI"] >= 1
        with dump(net, "pbx-nat", "eth0"):
            lab.register()
        assert lab.bindings() == [CLEAR]
        lab.is_called()
        state = lab.gateway.status()
        assert state["edits"]["withdrawn"] == {"Contact": 1}
        assert "masked" not in state["edits"]
        with dump(net, "pbx-nat", "eth0"):
            lab.register(expires=0)
        assert lab.bindings() == []
        lab.is_not_found()


def test_what_it_takes_back_before_a_refresh_is_gone(tmp_path: Path) -> None:
    with Net(tmp_path) as net:
        lab = Draining(net, CONFIG)
        with dump(net, "pbx-nat", "eth0"):
            lab.register(expires=0)
        assert lab.bindings() == []
        lab.is_not_found()
