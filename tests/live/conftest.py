"""The gateway at work between an inside and an outside, on the real kernel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.site import Site
from tests.live.running import CONFIG, Running


@pytest.fixture(autouse=True, scope="session")
def _binding() -> None:
    pytest.importorskip(
        "netfilterqueue",
        reason="NetfilterQueue is not built (Debian: apt install libnetfilter-queue-dev)",
    )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Inside, gateway and outside, without a gateway that runs."""
    with Site(tmp_path) as site:
        site.build()
        yield site


@pytest.fixture
def gateway(site: Site) -> Running:
    """The gateway, live, with its rules."""
    return Running(site, CONFIG)
