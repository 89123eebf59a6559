"""Gateways to attack, made by the package's public assembly, and the packets that go through them."""

import array
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inline_topo import assemble
from inline_topo.config import load

PROXY = "192.0.2.10"
"""The edge proxy, which outsiders are meant to see; in shape nat the router's public address."""
PBX = "10.0.0.9"
"""The proxy of shape nat, which stands behind the router."""
DOMAIN = "example.com"
PROTECTED = "corp.example"


class Setting(NamedTuple):
    """What a gateway is configured to. `audit`: None leaves it to the profile; `branch`: how the proxy
    behind it makes its branches (proxy.Habits); `spelling`: how attackers write (spelling.SPELLINGS)."""

    profile: str
    codec: str = "aes-siv"
    mode: str = "topoh"
    shape: str = "router"
    store: str = "memory"
    audit: str | None = None
    branch: str = "unique"
    spelling: str = "plain"

    @property
    def name(self) -> str:
        """How a table calls it: strict/aes-siv/topoh/router."""
        parts = [self.profile, self.codec, self.mode, self.shape]
        if self.mode == "topos" and self.store != "memory":
            parts.append(self.store)
        if self.audit is not None:
            parts.append(f"audit={self.audit}")
        if self.branch != "unique":
            parts.append(f"branch={self.branch}")
        if self.spelling != "plain":
            parts.append(f"spelling={self.spelling}")
        return "/".join(parts)

    @property
    def proxy(self) -> str:
        """The proxy's address as the gateway sees it."""
        return PBX if self.shape == "nat" else PROXY


class Refused(NamedTuple):
    """A message that did not get through, and the gateway's outcome."""

    outcome: str


class Defect(Exception):
    """The gateway raised, or said that it has a defect."""


class Border:
    """A gateway, with the store that its configuration names. The time is the caller's."""

    def __init__(
        self, setting: Setting, folder: Path, more: Mapping[str, Any] | None = None
    ) -> None:
        """`folder`: where its keys and store are; `more`: keys of the configuration that come on top."""
        self.setting = setting
        config = load(None, env={}, overrides=_keys(setting, folder) | dict(more or {}))
        self.config = config
        self._gateway = assemble.gateway(config)
        self._performers = assemble.performers(config)
        self.now = 1000.0
        self.knows_sip = True
        """Whether all that is sent is meant to be taken for SIP; else that is a mistake of a test's."""

    def close(self) -> None:
        for performer in {id(one): one for one in self._performers.values()}.values():
            performer.close()

    def leave(self, message: bytes, to: tuple[str, int]) -> bytes | Refused:
        """What of a message of the proxy's leaves towards an outside address."""
        return self._through(message, (self.setting.proxy, 5060), to)

    def enter(self, message: bytes, source: tuple[str, int]) -> bytes | Refused:
        """What of an outsider's message reaches the proxy."""
        return self._through(message, source, (self.setting.proxy, 5060))

    def _through(
        self, message: bytes, source: tuple[str, int], target: tuple[str, int]
    ) -> bytes | Refused:
        try:
            verdict: Any = self._gateway.handle(datagram(message, source, target), self.now)
            while hasattr(verdict, "resume"):
                performer = self._performers[type(verdict.effect)]
                verdict = verdict.resume(performer.perform([verdict.effect])[0])
        except Exception as error:
            raise Defect(f"{self.setting.name}: {error!r} of {message!r}") from error
        wrong = ("error", "refused_error", *["not_sip"] * self.knows_sip)
        if verdict.outcome in wrong:
            raise Defect(f"{self.setting.name}: {verdict.outcome} of {message!r}")
        if verdict.action.value == "drop":
            return Refused(verdict.outcome)
        return payload(verdict.packet)


def _keys(setting: Setting, folder: Path) -> dict[str, Any]:
    nat = setting.shape == "nat"
    keys: dict[str, Any] = {
        "profile": setting.profile,
        "mode": setting.mode,
        "shape": setting.shape,
        "inside": ["10.0.0.0/8", "fd00::/8"] if nat else ["10.0.0.0/8", "fd00::/8", PROXY],
        "own": [PROXY, DOMAIN],
        "protected": [PROTECTED],
        "topoh.codec": setting.codec,
    }
    if nat:
        keys["public"] = PROXY
    if setting.codec == "kamailio":
        keys["topoh.mask_key"] = "my secret here"
    else:
        keys["topoh.mask_key_file"] = str(key_ring(folder))
    if setting.mode == "topos":
        url = "memory:" if setting.store == "memory" else f"sqlite:///{folder}/dialogs.db"
        keys["topos.store"] = url
    if setting.audit is not None:
        keys["audit"] = setting.audit if setting.audit == "enforce" else float(setting.audit)
    return keys


def key_ring(folder: Path) -> Path:
    """A key ring in a folder, made by the program where it is not there yet."""
    path = folder / "mask.key"
    if not path.exists():
        command = [sys.executable, "-P", "-m", "inline_topo", "keygen", "-o", str(path)]
        subprocess.run(command, check=True, capture_output=True)
    return path


def datagram(message: bytes, source: tuple[str, int], target: tuple[str, int]) -> bytes:
    """An IPv4 packet (RFC 791, RFC 768) with right checksums."""
    ends = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    length = 8 + len(message)
    udp = struct.pack("!HHHH", source[1], target[1], length, 0)
    pseudo = ends + struct.pack("!BBH", 0, 17, length)
    udp = udp[:6] + struct.pack("!H", _checksum(pseudo + udp + message) or 0xFFFF)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, 17, 0) + ends
    ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
    return ip + udp + message


def payload(packet: bytes) -> bytes:
    """What a UDP packet carries."""
    return packet[(packet[0] & 15) * 4 + 8 :]


def _checksum(data: bytes) -> int:
    words = array.array("H", data + b"\0" * (len(data) % 2))
    if sys.byteorder == "little":
        words.byteswap()
    total = sum(words)
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF
