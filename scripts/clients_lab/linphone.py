"""linphonec, by the commands of its console."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from clients_lab.phone import (
    DOMAIN,
    ENDED,
    ESTABLISHED,
    HELD,
    INCOMING,
    MEDIA,
    PASSWORD,
    REGISTERED,
    RESUMED,
    RINGING,
    Line,
    Phone,
    Skipped,
)
from clients_lab.tone import write_tone
from lab.net import Net

_CONFIG = """\
[sip]
sip_port={port}
sip_tcp_port=-1
sip_tls_port=-1
default_proxy=0
guess_hostname=1
register_only_when_network_is_up=0
use_ipv6={six}
keepalive_period=10000
bind_address={address}
[net]
mtu=1300
[sound]
echocancellation=0
[auth_info_0]
username={user}
passwd={password}
realm={domain}
domain={domain}
[proxy_0]
reg_proxy=<sip:{proxy};lr>
reg_route=<sip:{proxy};lr>
reg_identity={uri}
reg_expires={expires}
reg_sendregister=1
publish=0
"""


class Linphone(Phone):
    kind = "linphone"
    says: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            REGISTERED: r"moving from state \[\w+\] to \[LinphoneRegistrationOk\]",
            INCOMING: r"to (LinphoneCall|CallSession|CallSession::State::)?IncomingReceived",
            RINGING: r"to (LinphoneCall|CallSession|CallSession::State::)?OutgoingRinging",
            ESTABLISHED: r"to (LinphoneCall|CallSession|CallSession::State::)?StreamsRunning",
            ENDED: r"to (LinphoneCall|CallSession|CallSession::State::)?(End|Error)",
            HELD: r"to (LinphoneCall|CallSession|CallSession::State::)?Paused(ByRemote)?\b",
            MEDIA: r"\(audio\) .* RTP : \[d=[1-9]",
            RESUMED: r"to (LinphoneCall|CallSession|CallSession::State::)?StreamsRunning",
        }
    )
    hears_in = "debug.log"

    def __init__(self, net: Net, host: str, line: Line, name: str) -> None:
        super().__init__(net, host, line, name)
        self.tell("soundcard use files")
        self.tell(f"play {self._folder / 'tone.wav'}")

    @classmethod
    def version(cls) -> str:
        try:
            said = subprocess.run(
                ["linphonec", "--version"], capture_output=True, text=True, check=False
            )
        except OSError:
            raise Skipped("linphonec is not installed (Debian: apt install linphone-cli)") from None
        found = re.search(r"version: (\S+)", said.stdout + said.stderr)
        return found[1] if found else "?"

    def configured(self, folder: Path) -> list[str]:
        line = self.line
        (folder / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        (folder / "linphone").mkdir(exist_ok=True)
        write_tone(folder / "tone.wav")
        (folder / "linphonerc").write_text(
            _CONFIG.format(
                port=line.port, six=int(":" in line.address), address=line.address,
                user=line.user, password=PASSWORD, domain=DOMAIN, uri=line.uri,
                proxy=line.proxy, expires=line.expires,
            )
        )  # fmt: skip
        debug = str(folder / "debug.log")
        return ["linphonec", "-c", str(folder / "linphonerc"), "-S", "-d", "6", "-l", debug]

    def call(self, target: str) -> None:
        self.tell(f"call {target}")

    def answer(self) -> None:
        self.tell("answer")

    def hang_up(self) -> None:
        self.tell("terminate")

    def hold(self) -> None:
        self.tell("pause")

    def resume(self) -> None:
        self.tell("resume")

    def transfer(self, target: str) -> None:
        self.tell(f"transfer {target}")

    def message(self, target: str, text: str) -> None:
        self.tell(f'chat {target} "{text}"')

    def quit(self) -> None:
        self.tell("quit")
