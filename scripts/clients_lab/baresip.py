"""baresip, by the commands of its menu."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from clients_lab.phone import (
    ENDED,
    ESTABLISHED,
    INCOMING,
    MEDIA,
    PASSWORD,
    REGISTERED,
    RINGING,
    Phone,
    Skipped,
    bracketed,
    uri,
)
from clients_lab.tone import write_tone

_CONFIG = """\
poll_method epoll
sip_listen {listen}
call_max_calls 4
audio_player aubridge,talk
audio_alert aubridge,alert
audio_source aufile,{folder}/tone.wav
module_path {modules}
module stdio.so
module g711.so
module aubridge.so
module aufile.so
module uuid.so
module_tmp account.so
module_app menu.so
module_app presence.so
module_app contact.so
sip_trans_def udp
"""
_MODULES = ("/usr/lib/baresip/modules", "/usr/lib64/baresip/modules")


class Baresip(Phone):
    kind = "baresip"
    says: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            REGISTERED: r"\(REGISTER_OK\)",
            INCOMING: r"\(CALL_INCOMING\)",
            RINGING: r"\(CALL_RINGING\)",
            ESTABLISHED: r"\(CALL_ESTABLISHED\)",
            ENDED: r"\(CALL_CLOSED\)|audio: destroyed",
            MEDIA: r"\(CALL_RTPESTAB\)",
        }
    )

    @classmethod
    def version(cls) -> str:
        try:
            said = subprocess.run(["baresip", "-h"], capture_output=True, text=True, check=False)
        except OSError:
            raise Skipped("baresip is not installed (Debian: apt install baresip)") from None
        found = re.search(r"v(\d\S+)", said.stdout + said.stderr)
        return found[1] if found else "?"

    def configured(self, folder: Path) -> list[str]:
        line = self.line
        more = ";sipnat=outbound" if line.outbound else ""
        (folder / "accounts").write_text(
            f"<{line.uri}>;auth_user={line.user};auth_pass={PASSWORD}"
            f';outbound="sip:{line.proxy}";regint={line.expires}{more}\n'
        )
        others = [user for user in ("alice", "bob", "carol", "dave") if user != line.user]
        (folder / "contacts").write_text("".join(f'"{u}" <{uri(u)}>\n' for u in others))
        modules = next(path for path in _MODULES if Path(path).is_dir())
        listen = f"{bracketed(line.address)}:{line.port}"
        (folder / "config").write_text(
            _CONFIG.format(listen=listen, modules=modules, folder=folder)
        )
        write_tone(folder / "tone.wav")
        self._others = others
        return ["baresip", "-v", "-f", str(folder)]

    def call(self, target: str) -> None:
        self.tell(f"/dial {target}")

    def answer(self) -> None:
        self.tell("/accept")

    def hang_up(self) -> None:
        self.tell("/hangup")

    def hold(self) -> None:
        self.tell("/hold")

    def resume(self) -> None:
        self.tell("/resume")

    def transfer(self, target: str) -> None:
        self.tell(f"/transfer {target}")

    def message(self, target: str, text: str) -> None:
        """To one of its contacts: it writes to the one that was chosen last."""
        user = target.removeprefix("sip:").partition("@")[0]
        for step in ("prev",) * len(self._others) + ("next",) * len(self._others):
            self.forget()
            self.tell(f"/contact_{step}")
            if self.said(r"Current contact: (\w+)")[1] == user:
                break
        self.tell(f"/message {text}")

    def quit(self) -> None:
        self.tell("/quit")
