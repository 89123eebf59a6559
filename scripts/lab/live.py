"""A laboratory for one capture: hosts, Kamailios, sipp parties and tcpdump."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lab.dump import Dump
from lab.net import LabError, Net, run, stop
from lab.sipp import Party

CONFIG = Path(__file__).parent / "kamailio.cfg"
TOOLS = ("ip", "ss", "sysctl", "iptables", "kamailio", "sipp", "tcpdump", "editcap")
ONLY_SIP = "udp or ip6 proto 44 or ip[6:2] & 0x1fff != 0"
CALL_TIME = 30  # seconds that one call may take
NOTHING: Mapping[str, str] = MappingProxyType({})


class Running(NamedTuple):
    """A sipp at work: its process and the name of its log."""

    program: subprocess.Popen[bytes]
    log: str


class Lab:
    """What a call is made with; `topoh` tells the protected proxies to hide the topology, `config` is
    the proxies' configuration, and `options` those of the program (-m: megabytes for transactions)."""

    def __init__(
        self, net: Net, topoh: bool, config: Path = CONFIG, options: tuple[str, ...] = ("-m", "32")
    ) -> None:
        self.net = net
        self.topoh = topoh
        self._config, self._options = config, options
        self._parties = 0
        self._calls: list[Running] = []
        self._dump: Dump | None = None

    def proxy(
        self, host: str, *listen: str, hide: bool = True, defines: Mapping[str, str] = NOTHING
    ) -> subprocess.Popen[bytes]:
        """Start a Kamailio on a host, and return it; `listen` are `address:port`, `defines` as in its file.
        `hide`: it is a protected one."""
        names = [f"{key}={value}" if value else key for key, value in defines.items()]
        if self.topoh and hide:
            names.append("TOPOH")
        options = [*self._options]
        options += [part for name in names for part in ("-A", name)]
        options += [part for address in listen for part in ("-l", f"udp:{address}")]
        shutil.copy(self._config, self.net.folder / f"{host}.cfg")
        kamailio = self.net.start(
            host, f"{host}.log", "kamailio", "-DD", "-E", "-f", f"{host}.cfg",
            "-P", str(self.net.folder / f"{host}.pid"), "-Y", str(self.net.folder), *options,
        )  # fmt: skip
        self.net.await_port(host, int(listen[-1].rpartition(":")[2]))
        return kamailio

    def capture(self, host: str, nanoseconds: bool = False, only: str = "") -> None:
        """Write what passes a host's link to `folder/raw.pcap`, until `finish`; `only`: what has
        this address."""
        precision = "nano" if nanoseconds else "micro"
        self._dump = Dump(
            self.net, host, "tcpdump.log",
            "-i", "eth0", f"--time-stamp-precision={precision}", "-w", "raw.pcap",
            f"({ONLY_SIP}) and host {only}" if only else ONLY_SIP,
        )  # fmt: skip

    def party(
        self, host: str, address: str, party: Party, *, via: str = "", port: int = 5060,
        call_id: str = "%u-%p", more: tuple[str, ...] = (),
    ) -> Running:  # fmt: skip
        """Start a party on a host; `via` is where its requests go (it waits if none)."""
        self._parties += 1
        name = f"{party.user}{self._parties}"
        (self.net.folder / f"{name}.xml").write_text(party.xml())
        program = self.net.start(
            host, f"{name}.out", "sipp", "-sf", f"{name}.xml", "-i", address, "-p", str(port),
            "-m", "1", "-nostdin", "-timeout", str(CALL_TIME), "-timeout_error",
            "-deadcall_wait", "0", "-cid_str", call_id, "-trace_err", "-error_file", f"{name}.err",
            "-trace_logs", "-log_file", f"{name}.kept", *more, *([via] if via else []),
        )  # fmt: skip
        self.net.await_port(host, port)
        self._calls.append(Running(program, name))
        return self._calls[-1]

    def kept(self, running: Running, header: str) -> str:
        """The URI that a party kept of a header, as soon as it has it."""
        said = self.net.await_text(f"{running.log}.kept", f"{header} ")
        return said.split(f"{header} ", 1)[1].split("\n")[0].strip()

    def done(self) -> None:
        """Wait for all parties; LabError if a call failed."""
        for program, name in self._calls:
            try:
                code = program.wait(CALL_TIME + 5)
            except subprocess.TimeoutExpired:
                code = -1
            if code:
                error = self.net.folder / f"{name}.err"
                said = error.read_text(errors="replace")[:2000] if error.exists() else ""
                raise LabError(f"{name}: sipp ended with {code} ({self.net.folder}): {said}")
        self._calls.clear()

    def dismiss(self) -> None:
        """Wait for all parties, whatever became of their calls."""
        for program, _ in self._calls:
            try:
                program.wait(CALL_TIME + 5)
            except subprocess.TimeoutExpired:
                stop(program)
        self._calls.clear()

    def finish(self, path: Path) -> None:
        """End the capture and put it at `path`, as pcapng if it is called so."""
        if self._dump is None:
            raise LabError("nothing was captured")
        self._dump.end()
        raw = self.net.folder / "raw.pcap"
        if path.suffix == ".pcapng":
            run("editcap", "-F", "pcapng", str(raw), str(path))
        else:
            shutil.copyfile(raw, path)


def missing_tools() -> list[str]:
    """The programs that live captures need and that are not installed."""
    return [tool for tool in TOOLS if not shutil.which(tool)]
