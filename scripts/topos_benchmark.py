"""What mode topos costs the server's machine, beside Kamailio's topos: CPU per call of Kamailio alone,
of Kamailio with topos and Redis, and of Kamailio with the gateway in mode topos on the same host, by
store; the same calls in one run, and how many of them failed. Redis is in the figure. The gateway's
packet path is compiled where it can be.
"""

from functools import partial
from pathlib import Path

from lab import comparing
from lab.costs import ROOT, TOOLS, Kind, Load, start_gateway, start_redis
from lab.net import Net

NAME = "bench --live --topos"
KAMAILIO = "kamailio-topos"
REDIS = "redis://127.0.0.1:6379"


def gateway(store: str, package: Path, net: Net) -> None:
    """The gateway in mode topos; {folder} in the store's URL is that of the run."""
    if store == REDIS:
        start_redis(net)
    url = store.format(folder=net.folder)
    start_gateway(net, f'mode = "topos"\n[topos]\nstore = "{url}"', package=package)


def kinds(package: Path) -> dict[str, Kind]:
    """What is measured; `package` is the folder of the package that is run."""
    return {
        comparing.PLAIN: Kind({}),
        **comparing.with_other_allocator(KAMAILIO, Kind({"TOPOS": ""}, start_redis)),
        "memory": Kind({}, partial(gateway, "memory:", package)),
        "sqlite": Kind({}, partial(gateway, "sqlite:///{folder}/dialogs.db", package)),
        "redis": Kind({}, partial(gateway, REDIS, package)),
    }


def main() -> None:
    parser = comparing.options(NAME, __doc__, "--live", "--topos")
    comparing.call_options(parser, calls=1000, rate=200, runs=1)
    parser.add_argument(
        "--slow-rate", type=int, default=50,
        help="calls a second of a second measurement, of a fourth as many calls (default 50; 0: none)",
    )  # fmt: skip
    given = parser.parse_args()
    comparing.need(NAME, *TOOLS, "redis-server")
    compiled = comparing.compiled(given)
    measured = kinds(compiled or ROOT)
    load = Load(given.calls, given.rate, given.at_once)
    report = comparing.compare(measured, KAMAILIO, given, load)
    report["compiled"] = compiled is not None
    slower = None
    if given.slow_rate:
        load = Load(max(given.calls // 4, 1), given.slow_rate, given.at_once)
        slower = comparing.compare(measured, KAMAILIO, given, load)
    if given.json:
        figures = comparing.renamed(report, "kamailios")
        more = {"slower": comparing.renamed(slower, "kamailios")} if slower else {}
        return comparing.said({**figures, **more})
    print(f"the gateway's packet path: {'compiled' if compiled else 'pure Python'}")
    for figures in filter(None, (report, slower)):
        comparing.table(figures, KAMAILIO)
    return None


if __name__ == "__main__":
    main()
