"""A rule taken out of the masker: the audit of what it then lets out names that field."""

import tomllib
from pathlib import Path

import pytest

from inline_topo import assemble
from inline_topo.config import load
from inline_topo.edges.capture import create_capture, open_capture
from inline_topo.edges.replay import replay
from inline_topo.gateway import Gateway
from inline_topo.masking.codecs.aes_siv import AesSiv
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.table import Table
from inline_topo.masking.topoh import Options, Topoh
from inline_topo.report.audit import audit
from inline_topo.report.messages import Tally, read


def leaking(captures: Path, name: str, folder: Path, forgotten: str) -> set[str]:
    """The fields in which a capture leaks when it was masked without the rules for one field."""

    class Forgetful(Topoh):
        def egress_request(self) -> tuple[Table, Table]:
            return without(super().egress_request())

        def egress_response(self) -> tuple[Table, Table]:
            return without(super().egress_response())

    def without(tables: tuple[Table, Table]) -> tuple[Table, Table]:
        fields, identifiers = ({**table} for table in tables)
        fields.pop(forgotten, None)
        identifiers.pop(forgotten, None)
        return fields, identifiers

    row = tomllib.loads((captures / "INDEX.toml").read_text())[name]
    settings = {"inside": row["inside"], "own": row["own"], "topoh.mask_callid": True}
    settings["hide.sdp"] = False  # header fields are forgotten here
    config = load(None, env={}, overrides=settings, key_ring_given=True)
    hosts, policy = assemble.hosts(config), assemble.policy(config)
    flows, codec = assemble.flows(config, hosts, policy), AesSiv(KeyRing.generate())
    strategy = Forgetful(codec, hosts, policy, Options(mask_callid=True))
    masked = folder / name
    with open_capture(str(captures / name)) as capture, create_capture(str(masked), capture) as out:
        replay(capture, out, Gateway(flows, strategy))
    tally = Tally()
    with open_capture(str(masked)) as capture:
        found = audit(read(capture, tally), tally, config, flows, codec)
    assert found.judged
    return {leak.field for leak in found.leaks}


CARRIES = [
    ("three-proxies.pcap", "Via", "Via"),
    ("three-proxies.pcap", "Record-Route", "Record-Route"),
    ("three-proxies.pcap", "Contact", "Contact"),
    ("ipv6.pcap", "Contact", "Contact"),
    ("compact.pcap", "Via", "Via"),
    ("fragments.pcap", "Contact", "Contact"),
    ("redirect.pcap", "Contact", "Contact"),
    ("register.pcap", "Contact", "Contact"),
    ("register-outside.pcap", "Path", "Path"),
    ("refer.pcap", "Refer-To", "Refer-To"),
    ("spiral.pcap", "Route", "Request-URI"),
    ("callid.pcap", "Call-ID", "Call-ID"),
]


@pytest.mark.parametrize(("name", "forgotten", "field"), CARRIES)
def test_a_forgotten_rule_is_found(
    captures: Path, tmp_path: Path, name: str, forgotten: str, field: str
) -> None:
    assert leaking(captures, name, tmp_path, "none") == set()
    assert leaking(captures, name, tmp_path, forgotten) == {field}
