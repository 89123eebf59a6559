"""What hiding costs the server's machine: CPU per call of Kamailio alone, of Kamailio with topoh, and
of Kamailio with the gateway on the same host, with the same calls, in one run; how many of the
calls failed, and how long messages take. What CPU is here, `lab.costs` says.
"""

from functools import partial
from pathlib import Path

from lab import comparing
from lab.costs import ROOT, TOOLS, Kind, Load, start_gateway
from lab.net import Net

NAME = "bench --live"
PACKETS_A_CALL = 13  # INVITE, 100, 180, 200, ACK, BYE, 200: all but the 100 twice


def gateway(package: Path, net: Net) -> None:
    """The gateway, in mode topoh."""
    start_gateway(net, package=package)


def reinjecting(package: Path, net: Net) -> None:
    """A process that sends each packet back as it came, payload replaced: the floor."""
    start_gateway(net, script=(str(Path(__file__)), "--reinject"), package=package)


def kinds(compiled: Path | None) -> dict[str, Kind]:
    """What is measured; `compiled` is the folder of the compiled package, if there is one."""
    made = {
        comparing.PLAIN: Kind({}),
        **comparing.with_other_allocator("topoh", Kind({"TOPOH": ""})),
        "gateway": Kind({}, partial(gateway, ROOT)),
    }
    if compiled:
        made["compiled"] = Kind({}, partial(gateway, compiled))
    made["reinjecting"] = Kind({}, partial(reinjecting, compiled or ROOT))
    return made


def main() -> None:
    parser = comparing.options(NAME, __doc__, "--live", "--reinject")
    comparing.call_options(parser, calls=5000, rate=500, runs=3)
    given = parser.parse_args()
    if given.reinject:
        return comparing.serve(lambda packet: bytes(memoryview(packet)))
    comparing.need(NAME, *TOOLS)
    measured = kinds(comparing.compiled(given))
    load = Load(given.calls, given.rate, given.at_once)
    report = comparing.compare(measured, "topoh", given, load)
    above = report["us_per_call_above_plain"]
    per_packet = {name: round(value / PACKETS_A_CALL, 1) for name, value in above.items()}
    if given.json:
        figures = {
            "us_per_packet_of_the_gateway": per_packet["gateway"],
            "us_per_packet": per_packet,
        }
        return comparing.said({**comparing.renamed(report, "topohs"), **figures})
    comparing.table(report, "topoh")
    for name, value in per_packet.items():
        print(f"{name:<22}{value:>6} us of CPU a packet")
    return None


if __name__ == "__main__":
    main()
