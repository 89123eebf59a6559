"""Memory is bounded by bytes: whoever sends long names, hosts and types makes nothing grow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inline_topo.bounds import CACHE_BYTES
from inline_topo.masking.cache import Cache
from tests.conftest import ROOT

GROWN = """
import sys
from attacks import cost

def resident() -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

setting, kinds, folder, most = sys.argv[1:]
# A store in memory is no cache.
store = {"topos.store": f"sqlite:///{folder}/dialogs.db"} if setting == "topos" else {}
gateway = cost.Gateway(setting, store)
long = b"%x" % (1 << 239_999)

def text(kind: str, number: int) -> bytes:
    word = b"n%d" % number + long
    head = (
        b"INVITE sip:bob@198.51.100.20 SIP/2.0\\r\\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK%d\\r\\n"
        b"From: <sip:a@example.com>;tag=%d\\r\\nTo: <sip:b@example.com>\\r\\nCSeq: 1 INVITE\\r\\n"
        b"Call-ID: %d\\r\\n" % (number, number, number)
    )
    lines = {
        "name": word + b": y\\r\\n",
        "host": b"Contact: <sip:a@" + word + b".corp.example>\\r\\n",
        "via host": b"Via: SIP/2.0/UDP [" + b"%x:" % number + long + b"];branch=z9hG4bK1\\r\\n",
        "type": b"Content-Type: application/" + word + b"\\r\\nContent-Length: 3\\r\\n",
        "call-id": b"i: " + word + b"@10.0.0.5\\r\\n",
        "tag": b"f: <sip:a@example.com>;tag=" + word + b"\\r\\n",
        "user": b"Contact: <sip:" + word + b"@10.0.0.5>\\r\\n",
        "text": b"Warning: 399 10.0.0.5 \\"" + word + b"\\"\\r\\n",
        "product": b"User-Agent: " + word + b"\\r\\n",
    }
    return head + lines[kind] + b"\\r\\nxyz"

def send(kind: str, numbers: range) -> None:
    for number in numbers:
        direction = ("leaving request", "entering request")[number % 2]
        gateway.judge(gateway.packet(direction, text(kind, number)))

for kind in kinds.split(","):
    send(kind, range(20))
before = resident()
for kind in kinds.split(","):
    send(kind, range(20, 20 + int(most)))
    print(f"{kind}: {resident() - before}")
"""
KINDS = "name,host,via host,type,call-id,tag,user,text,product"
MOST_KB = 20_000


@pytest.mark.parametrize(
    ("setting", "kinds", "number"),
    [
        ("callid", "host", 400),  # 24 MB
        *[
            pytest.param(setting, KINDS, 2_000, marks=pytest.mark.full)
            for setting in ("callid", "topos")
        ],
    ],
)
def test_many_long_ones(setting: str, kinds: str, number: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GROWN, setting, kinds, str(tmp_path), str(number)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT / "scripts")])},
        capture_output=True,
        text=True,
        check=True,
    )
    grown = dict(line.split(": ") for line in done.stdout.splitlines())
    assert list(grown) == kinds.split(",")
    assert max(map(int, grown.values())) < MOST_KB, grown


def test_a_cache_forgets_when_it_has_too_many_bytes() -> None:
    cache: Cache[bytes, bytes] = Cache(1 << 30, 1 << 20)
    for number in range(100):
        cache.remember(b"%d" % number, b"", 1 << 20)
        assert len(cache) <= CACHE_BYTES >> 20
    assert b"99" in cache
    cache.remember(b"long", b"", (1 << 20) + 1)
    assert b"long" not in cache
