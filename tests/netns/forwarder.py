"""A wire with a gateway in it: every frame between two interfaces goes through Gateway.handle.

forwarder.py NEAR FAR SETTINGS: two interfaces of this network namespace, and a configuration in
JSON. It starts as the gateway; SIGUSR1 makes it a plain wire, SIGUSR2 a gateway again. Start lines of
SIP are printed as they leave it, so that a test sees what was on the wire.
"""

import json
import select
import signal
import socket
import sys

from inline_topo import assemble, config
from inline_topo.gateway import Action, Verdict
from inline_topo.wire import link

ETH_P_ALL = 3
ETHERNET = 1


def main(near: str, far: str, settings: str) -> None:
    gateway = assemble.gateway(config.load(None, env={}, overrides=json.loads(settings)))
    masking = True

    def switch(number: int, _: object) -> None:
        nonlocal masking
        masking = number == signal.SIGUSR2
        print("gateway" if masking else "wire", flush=True)

    signal.signal(signal.SIGUSR1, switch)
    signal.signal(signal.SIGUSR2, switch)
    ends = {}
    for interface in (near, far):
        ends[interface] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        ends[interface].bind((interface, 0))
    other = {ends[near]: ends[far], ends[far]: ends[near]}
    print("ready", flush=True)
    while True:
        for end in select.select(list(other), [], [])[0]:
            frame, (_, _, kind, *_) = end.recvfrom(65536)
            if kind == socket.PACKET_OUTGOING:
                continue
            span = link.network_packet(ETHERNET, frame)
            if span and masking:
                verdict = gateway.handle(frame[slice(*span)], 0.0)
                assert isinstance(verdict, Verdict)
                if verdict.action is Action.DROP:
                    print(f"dropped: {verdict.outcome}", flush=True)
                    continue
                if verdict.action is Action.REPLACE:
                    frame = link.replace(frame, *span, verdict.packet)
            other[end].send(frame)
            if b"SIP/2.0" in frame:
                side = "out" if end is ends[near] else "in"
                text = frame[42:].split(b"\r\n\r\n")[0].decode(errors="replace")
                print(f"{side} {text}\n.", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
