"""SDP in every capture of the corpus and of captures/: its origin, by what tshark reads."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.corpus.test_round_trip import CAPTURES, ROWS, Row, is_in

FIELDS = (
    *("frame.number", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.payload"),
    *("sip.Content-Length", "sdp.owner.username", "sdp.owner.sessionid", "sdp.owner.version"),
    *("sdp.owner.address", "sdp.connection_info", "sdp.media", "sdp.media_attr", "_ws.malformed"),
)
# shape nat translates addresses; where packets are refused, the numbers of the others change
JUDGED = [row for row in ROWS if row.config.get("shape") != "nat" and not row.refused]

pytestmark = pytest.mark.needs("tshark")


class Described(NamedTuple):
    """A packet with SDP over UDP, as tshark reads it. `session`: what no masking may touch."""

    source: str
    destination: str
    size: int
    length: str
    username: str
    address: str
    session: tuple[str, ...]


def body_of(payload: bytes) -> bytes:
    return payload.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def described(path: Path) -> dict[int, Described]:
    """The packets with SDP, by number."""
    words = ["tshark", "-r", str(path), "-Y", "sdp && udp", "-T", "fields", "-E", "separator=/t"]
    for field in FIELDS:
        words += ["-e", field]
    ran = subprocess.run(words, capture_output=True, check=True)
    packets = {}
    for line in ran.stdout.decode(errors="replace").splitlines():
        number, src4, dst4, src6, dst6, payload, length, username, *rest = line.split("\t")
        sdp_id, version, address, *others = rest
        packets[int(number)] = Described(
            src4 or src6, dst4 or dst6, len(body_of(bytes.fromhex(payload))), length,
            username, address, (sdp_id, version, *others),
        )  # fmt: skip
    return packets


@pytest.mark.parametrize("row", JUDGED, ids=lambda row: row.name.rpartition("/")[2])
def test_origins(
    row: Row, tmp_path: Path, replay: Callable[..., dict[str, Any]],
    inline_topo: Callable[..., Any], judged: Callable[[Path], list[Any]],
    request: pytest.FixtureRequest,
    write_config: Callable[[Path, dict[str, Any]], Path],
) -> None:  # fmt: skip
    """None that leaves names the inside, and one that enters stays; the session, where media goes and
    what tshark calls malformed stay; Content-Length counts what it did."""
    source = (request.getfixturevalue("corpus") if row.corpus else CAPTURES) / row.name
    inline_topo("keygen", "-o", tmp_path / "mask.key")
    topoh = {**row.config.get("topoh", {}), "codec": "aes-siv", "mask_key_file": "mask.key"}
    topoh.pop("mask_key", None)
    config = write_config(tmp_path, row.config | {"topoh": topoh})
    outside = tmp_path / f"outside{source.suffix}"
    replay(source, outside, config, "outside")
    before, after = described(source), described(outside)
    inside = row.config["inside"]
    mask = row.config.get("topoh", {}).get("mask_ip")
    seen = {mask, *row.config.get("own", ())}
    assert after.keys() == before.keys()
    over_udp = [number for number, judge in enumerate(judged(source), 1) if judge.sip]
    for number in before.keys() & over_udp:
        old = before[number]
        new = after[number]
        assert new.session == old.session, number
        leaves = is_in(old.source, inside) and not is_in(old.destination, inside)
        if leaves and is_in(old.address, inside) and old.address not in seen | {old.source}:
            assert not is_in(new.address, inside) or new.address in seen | {old.source}, number
            assert new.username != old.username, number
        if not leaves:
            assert (new.address, new.username) == (old.address, old.username), number
        if old.length.isdigit():
            assert int(new.length) - int(old.length) == new.size - old.size, number
