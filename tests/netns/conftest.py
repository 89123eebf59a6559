"""Hosts in a row, and the two kinds of iptables."""

from collections.abc import Iterator

import pytest

from inline_topo.rules import firewall
from inline_topo.rules.plan import Family
from tests.netns.topology import Row, row


@pytest.fixture
def net() -> Iterator[Row]:
    with row() as hosts:
        yield hosts


@pytest.fixture(params=["nft", "legacy"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of iptables that a Debian has."""
    for family, prefix in ((Family.IPV4, "iptables"), (Family.IPV6, "ip6tables")):
        monkeypatch.setitem(firewall._SAVE, family, f"{prefix}-{request.param}-save")
        monkeypatch.setitem(firewall._RESTORE, family, f"{prefix}-{request.param}-restore")
    return str(request.param)
