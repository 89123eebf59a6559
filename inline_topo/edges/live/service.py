"""`run`: from a configuration to a running gateway."""

import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from inline_topo import assemble, build_info
from inline_topo.config import Config
from inline_topo.edges.relay import rtpengine
from inline_topo.errors import ConfigError

from . import capabilities, tally, too_big
from .port import Queue
from .snapshot import Source
from .supervisor import Supervisor
from .worker import Job, Mode, OnTcp

log = logging.getLogger(__name__)


def tell_start() -> None:
    """Log which version starts, in which form, and which compiled modules cannot be used here."""
    info = build_info.find()
    log.info("start", extra={"fields": info.as_dict()})
    if info.passed_over:
        log.warning("compiled modules run interpreted: %s", " ".join(info.passed_over))


def serve(
    config: Config,
    load: Callable[[], Config],
    mode: Mode,
    compared_folder: Path | None = None,
) -> None:
    """Serve the queues of the configuration until SIGTERM.

    `load` gives another configuration at SIGHUP. `compared_folder`: where a dry run keeps SIP as it
    came and as it would have gone on. InlineTopoError where a queue, the port of the
    metrics, a key or the dialog store cannot be had.
    """
    # What a host's own kernel sends it cuts itself. Opened once, so that no worker needs the right to.
    icmp = too_big.open_socket() if config.shape != "host" else None
    capabilities.give_up(capabilities.NET_RAW)
    make = partial(_job, mode=mode, icmp=icmp, compared_folder=compared_folder)
    first = make(config)
    board = tally.board(len(config.queue.range()))
    queues = [Queue(number, config.queue.max_len) for number in config.queue.range()]
    monitor = None
    if config.metrics.listen_port:
        from .monitor import monitor as make_monitor  # its package is needed only here

        source = Source(board, tuple(config.queue.range()), mode)
        monitor = make_monitor(source, config.metrics.listen_port)

    def reload() -> Job:
        new = load()
        if _bound(new) != _bound(config):
            log.warning("queue.numbers, queue.max_len, metrics.listen_port: taken at a start only")
        if mode is Mode.DRAIN and new.topoh.mask_callid:
            log.warning("topoh.mask_callid: which dialogs began during the drain is forgotten")
        return make(new)

    Supervisor(first, reload, queues, board, monitor).run()


def _job(
    config: Config,
    mode: Mode,
    icmp: socket.socket | None = None,
    compared_folder: Path | None = None,
) -> Job:
    if mode is Mode.DRY_RUN:
        config = config.audited_unless_told()
    if config.topos.store is not None:
        for warning in assemble.store(config).check():
            log.warning(warning)
    if config.media.relay != "none":
        for warning in rtpengine.check(assemble.relay(config)):
            log.warning(warning)
    # A dry run sends the SDP that came, so the relay must not hear of it.
    is_relayed = mode is not Mode.DRY_RUN
    gateway = assemble.gateway(
        config,
        drain=mode is Mode.DRAIN,
        relayed=is_relayed,
        dry_run=mode is Mode.DRY_RUN,
        fill=mode is Mode.FILL,
    )
    queue = config.queue
    _check_folder(queue.refused_folder)
    return Job(
        gateway,
        mode,
        config.mtu,
        partial(assemble.performers, config),
        most_waiting=queue.max_len // 2,  # the others have the rest of the queue
        on_tcp=OnTcp(queue.on_tcp),
        icmp=icmp,
        refused_folder=queue.refused_folder,
        compared_folder=compared_folder,
        call_of=assemble.call_marks(config).of_packet,
    )


def _bound(config: Config) -> tuple[str, int, int]:
    queue = config.queue
    return queue.numbers, queue.max_len, config.metrics.listen_port


def _check_folder(folder: Path | None) -> None:
    """Raise ConfigError where refused packets could not be kept."""
    if folder is None:
        return
    if not folder.is_dir():
        raise ConfigError(f"queue.refused_folder: {folder}: no such folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"queue.refused_folder: {folder}: permission denied")
