"""The process that answers on the loopback port: /metrics for Prometheus, /status for `status`."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from inline_topo.errors import InlineTopoError

from . import snapshot
from .snapshot import Source
from .tally import (
    AUDITED,
    BOUNDS_NS,
    BUCKET,
    BYTES_ADDED,
    EDIT,
    EFFECT,
    EFFECT_NS,
    HANDLING_NS,
    NOTED,
    NOTES,
    OUTCOME,
    OVER_1300,
    OVER_MTU,
    OVER_MTU_IPV6,
    REFUSED,
    SHOWN,
    TOLD_TOO_BIG,
)

LOOPBACK = "127.0.0.1"
PATIENCE = 2.0
"""Seconds for one question, from the connection to the end of the answer, however slowly it comes."""

MOST_CONNECTIONS = 16
"""Questions at a time; one more ends the oldest."""

_TICK = 0.1  # seconds between two looks at what has taken too long


def monitor(source: Source, port: int, patience: float = PATIENCE) -> Callable[[], None]:
    """The work of the process that answers. The port is taken here and now, so that a taken one is
    an error at start-up: InlineTopoError."""
    try:
        server = _Server((LOOPBACK, port), patience)
    except OSError as error:
        raise InlineTopoError(f"metrics.listen_port: {port}: {error.strerror}") from None
    server.set_app(_app(source))
    return partial(server.serve_forever, _TICK)


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each question, so that none waits for another. `patience` as PATIENCE."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], patience: float) -> None:
        super().__init__(address, _Handler)
        self._supervisor = os.getpid()
        self._patience = patience
        self._open: dict[Any, float] = {}  # connections, the oldest first: when they came
        self._lock = threading.Lock()

    def service_actions(self) -> None:
        """Called at each tick: without its supervisor there is nothing to tell of."""
        if os.getppid() != self._supervisor:
            os._exit(1)
        self._end_those_before(time.monotonic() - self._patience)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            is_full = len(self._open) >= MOST_CONNECTIONS
            oldest = next(iter(self._open.values()), 0.0)
            self._open[request] = time.monotonic()
        if is_full:
            self._end_those_before(oldest)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asks may go away: that is no event."""

    def _end_those_before(self, moment: float) -> None:
        """Whoever reads from or writes to such a connection gets an end of file, or an error."""
        with self._lock:
            for connection, came in self._open.items():
                if came <= moment:
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """A question is no event."""

    def address_string(self) -> str:
        return str(self.client_address[0])  # no name is looked up


_App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _app(source: Source) -> _App:
    registry = CollectorRegistry()
    registry.register(_Collector(source))
    metrics: _App = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                return metrics(environ, start)
            case "/status":
                start("200 OK", [("Content-Type", "application/json")])
                return [json.dumps(snapshot.take(source)).encode()]
            case _:
                start("404 Not Found", [("Content-Type", "text/plain")])
                return [b"/metrics or /status\n"]

    return app


class _Collector(Collector):
    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        board = self._source.board
        build = {key: str(value) for key, value in self._source.build.as_dict().items()}
        yield InfoMetricFamily("inline_topo_build", "version and form of the program", build)
        packets = CounterMetricFamily(
            "inline_topo_packets",
            "packets by direction and outcome",
            labels=("direction", "outcome"),
        )
        edits = CounterMetricFamily(
            "inline_topo_edits", "values masked and opened, by header field",
            labels=("action", "field"),
        )  # fmt: skip
        for name in board.names:
            if (count := board.total(name)) and name[0] in (OUTCOME, EDIT):
                (packets if name[0] == OUTCOME else edits).add_metric(name[1:], count)
        yield packets
        yield edits
        yield self._refused()
        yield CounterMetricFamily(
            "inline_topo_added_bytes", "bytes by which packets grew", board.total(BYTES_ADDED)
        )
        over = CounterMetricFamily(
            "inline_topo_over_mtu", "packets that grew past the MTU (no router cuts those of IPv6)",
            labels=("family",),
        )  # fmt: skip
        over.add_metric(("ipv4",), board.total(OVER_MTU))
        over.add_metric(("ipv6",), board.total(OVER_MTU_IPV6))
        yield over
        yield CounterMetricFamily(
            "inline_topo_told_too_big", "senders of IPv6 that were told to send fragments",
            board.total(TOLD_TOO_BIG),
        )  # fmt: skip
        yield CounterMetricFamily(
            "inline_topo_over_1300", "messages that grew past 1,300 bytes, beyond which phones take TCP",
            board.total(OVER_1300),
        )  # fmt: skip
        yield self._handling()
        yield from self._effects()
        yield self._noted()
        yield from self._audit()
        yield from self._queues()

    def _handling(self) -> Metric:
        board = self._source.board
        buckets, count = [], 0
        for bound in BOUNDS_NS:
            count += board.total((BUCKET, str(bound)))
            buckets.append((str(bound / 1e9), count))
        count += board.total((BUCKET, "inf"))
        return HistogramMetricFamily(
            "inline_topo_handling_seconds", "time that the gateway took for a packet",
            buckets=[*buckets, ("+Inf", count)], sum_value=board.total(HANDLING_NS) / 1e9,
        )  # fmt: skip

    def _refused(self) -> Metric:
        board = self._source.board
        refused = CounterMetricFamily(
            "inline_topo_opens_refused", "what has the form of a token and did not open, by field",
            labels=("field",),
        )  # fmt: skip
        for name in board.names:
            if name[0] == REFUSED and (count := board.total(name)):
                refused.add_metric(name[1:], count)
        return refused

    def _noted(self) -> Metric:
        board = self._source.board
        noted = CounterMetricFamily(
            "inline_topo_noted", "messages in which something was seen and left", labels=("note",)
        )
        for note in NOTES:
            noted.add_metric((note,), board.total((NOTED, note)))
        return noted

    def _audit(self) -> Iterator[Metric]:
        board = self._source.board
        text = "messages that left and were searched for what is hidden"
        yield CounterMetricFamily("inline_topo_audited", text, board.total(AUDITED))
        shown = CounterMetricFamily(
            "inline_topo_shown", "hosts found in them and what was not read, by cause and field",
            labels=("cause", "field"),
        )  # fmt: skip
        for name in board.names:
            if name[0] == SHOWN and (count := board.total(name)):
                shown.add_metric(name[1:], count)
        yield shown

    def _effects(self) -> Iterator[Metric]:
        board = self._source.board
        counts = CounterMetricFamily(
            "inline_topo_effects", "what the dialog store and the media relay were asked",
            labels=("kind", "ending"),
        )  # fmt: skip
        seconds = CounterMetricFamily(
            "inline_topo_effect_seconds", "time that packets waited for them", labels=("kind",)
        )
        for name in board.names:
            if name[0] == EFFECT and (count := board.total(name)):
                counts.add_metric(name[1:], count)
            elif name[0] == EFFECT_NS and (count := board.total(name)):
                seconds.add_metric(name[1:], count / 1e9)
        yield counts
        yield seconds

    def _queues(self) -> Iterator[Metric]:
        taken = snapshot.take(self._source)
        up = GaugeMetricFamily("inline_topo_up", "1: the queue is served", labels=("queue",))
        for queue in taken["queues"]:
            up.add_metric((str(queue["queue"]),), queue["alive"])
        yield up
        counters = {
            "deaths": ("inline_topo_worker_deaths", "processes that ended untold"),
            "lost": ("inline_topo_lost", "packets that found no room in the socket"),
            "dropped_queue_full": ("inline_topo_queue_full", "packets that found the queue full"),
        }
        for key, (name, text) in counters.items():
            family = CounterMetricFamily(name, text, labels=("queue",))
            for queue in taken["queues"]:
                if key in queue:
                    family.add_metric((str(queue["queue"]),), queue[key])
            yield family
        gauges = {
            "waiting": ("inline_topo_queue_waiting", "packets that wait in the queue"),
            "held": ("inline_topo_held", "packets that wait for the dialog store or media relay"),
        }
        for key, (name, text) in gauges.items():
            gauge = GaugeMetricFamily(name, text, labels=("queue",))
            for queue in taken["queues"]:
                if key in queue:
                    gauge.add_metric((str(queue["queue"]),), queue[key])
            yield gauge
