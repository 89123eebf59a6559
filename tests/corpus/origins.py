"""SDP: its origin, by what tshark reads before and after masking."""

from tests.corpus.conftest import Judged
from tests.corpus.rows import Row, is_in


def check_origins(row: Row, before: list[Judged], after: list[Judged]) -> None:
    """None that leaves names the inside, and one that enters stays; the session, where media goes and
    what tshark calls malformed stay; Content-Length counts what it did."""
    seen = {row.config.get("topoh", {}).get("mask_ip"), *row.config.get("own", ())}
    inside = row.config["inside"]
    for number, (old, new) in enumerate(zip(before, after, strict=True), 1):
        assert (old.described is None) == (new.described is None), number
        if old.described is None or new.described is None or not old.sip:
            continue
        assert new.described.session == old.described.session, number
        origins = (old.described.address, old.described.username)
        address, username = new.described.address, new.described.username
        leaves = is_in(old.source, inside) and not is_in(old.destination, inside)
        if leaves and is_in(origins[0], inside) and origins[0] not in seen | {old.source}:
            assert not is_in(address, inside) or address in seen | {old.source}, number
            assert username != origins[1], number
        if not leaves:
            assert (address, username) == origins, number
        if old.described.length.isdigit() and number not in row.cut:
            grown = int(new.described.length) - int(old.described.length)
            assert grown == len(body_of(new.payload)) - len(body_of(old.payload)), number


def body_of(payload: bytes) -> bytes:
    return payload.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
