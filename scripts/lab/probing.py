"""Both neighbours of a proxy: sends the probes through it, and writes what reached the peer, as a JSON
list of hexadecimal. Run in their network namespace: probing.py requests|responses FILE.
"""

import json
import re
import socket
import sys
import time
from pathlib import Path

from lab.carriers import INSIDE, PEER, PROXY, REQUESTS, RESPONSES, addresses

PATIENCE = 5.0  # seconds that a message may take
PORT = 5060


def main() -> None:
    inside, peer = _socket(INSIDE), _socket(PEER)
    filled = addresses()
    is_request = sys.argv[1] == "requests"
    seen: list[str] = []
    if is_request:
        for number, probe in enumerate(REQUESTS, 1):
            inside.sendto(probe.given(number, filled), (PROXY, PORT))
            seen.append(_await(peer, number, b"[A-Z]+ ").hex())
    else:
        for number, probe in enumerate(RESPONSES, 1):
            peer.sendto(probe.question(number), (PROXY, PORT))
            question = _await(inside, number, b"[A-Z]+ ")
            inside.sendto(probe.given(number, filled, question), (PROXY, PORT))
            seen.append(_await(peer, number, b"SIP/2.0 [2-6]").hex())
    Path(sys.argv[2]).write_text(json.dumps(seen))


def _socket(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, PORT))
    return made


def _await(at: socket.socket, number: int, start: bytes) -> bytes:
    """The first message that begins so and has this number in its CSeq."""
    deadline = time.monotonic() + PATIENCE
    while True:
        at.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = at.recv(65535)
        except TimeoutError:
            sys.exit(f"message {number} did not arrive")
        if re.match(start, data) and re.search(rb"(?mi)^CSeq:\s*%d\s" % number, data):
            return data


if __name__ == "__main__":
    main()
