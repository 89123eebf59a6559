"""What is found at the start, before a packet is taken."""

from pathlib import Path

import pytest

from inline_topo.config import load
from inline_topo.edges.live import service
from inline_topo.edges.live.worker import Mode
from inline_topo.errors import ConfigError
from inline_topo.masking.codecs.keyring import KeyRing


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.DRAIN, Mode.FILL, Mode.DRY_RUN])
def test_a_folder_for_refused_packets_that_is_not_there(tmp_path: Path, mode: Mode) -> None:
    ring = tmp_path / "mask.key"
    ring.write_text(KeyRing.generate().dump())
    ring.chmod(0o600)
    for folder in (tmp_path / "missing", ring):
        config = load(
            None,
            env={},
            overrides={
                "inside": ["192.0.2.10"],
                "topoh.mask_key_file": str(ring),
                "queue.refused_folder": str(folder),
                "metrics.listen_port": 0,
            },
        )
        with pytest.raises(ConfigError, match=r"queue.refused_folder: .*: no such folder"):
            service._job(config, mode)
