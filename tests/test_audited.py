"""The audit in the gateway: what leaves is searched after it was masked, and refused where so told."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.utils import rdpcap

from inline_topo import assemble
from inline_topo.audited import AuditedGateway
from inline_topo.config import Config, load
from inline_topo.edits import Edit
from inline_topo.gateway import Action, Gateway, Strategy, Verdict
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.masking.flow import Direction, Flow
from inline_topo.sip import peek
from inline_topo.sip.message import Message

PROXY, PEER = "192.0.2.1", "203.0.113.9"
RING = KeyRing.generate()


def configure(**settings: Any) -> Config:
    values = {"inside": ["192.0.2.1", "10.0.0.0/8"], "own": ["192.0.2.1"]} | settings
    return load(None, env={}, overrides=values, key_ring_given=True)


def gateway(**settings: Any) -> Gateway:
    return assemble.gateway(configure(**settings), ring=RING)


def message(*fields: str, call_id: str = "1", body: str = "") -> bytes:
    lines = [
        "INVITE sip:bob@203.0.113.9 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK0",
        "From: <sip:a@x.test>;tag=a",
        "To: <sip:b@y.test>",
        f"Call-ID: {call_id}",
        "CSeq: 1 INVITE",
        *fields,
    ]
    return "\r\n".join([*lines, "", body]).encode()


def packet(payload: bytes, source: str = PROXY, destination: str = PEER) -> bytes:
    return bytes(IP(src=source, dst=destination) / UDP(sport=5060, dport=5060) / payload)


def judge(gateway: Gateway, *arguments: Any) -> Verdict:
    verdict = gateway.handle(packet(*arguments), 0.0)
    assert isinstance(verdict, Verdict)
    return verdict


def shown(verdict: Verdict) -> list[tuple[str, str, str]]:
    return [(one.cause, one.field, one.shown.decode()) for one in verdict.shown or ()]


LEAKY = message("Date: 10.0.0.5")
"""A field that the default profile leaves: nothing hides a host there."""


def test_without_an_audit_there_is_none() -> None:
    plain = gateway()
    assert type(plain) is Gateway
    assert judge(plain, LEAKY).shown is None
    assert type(assemble.gateway(configure(audit=1), ring=RING, drain=True)) is Gateway


def test_what_is_masked_shows_nothing() -> None:
    verdict = judge(gateway(audit=1), message("Contact: <sip:alice@10.0.0.5>"))
    assert (verdict.outcome, verdict.shown) == ("masked", [])
    assert len(verdict.edits) == 2


def test_what_shows_is_said_and_let_out() -> None:
    audited, plain = judge(gateway(audit=1), LEAKY), judge(gateway(), LEAKY)
    assert shown(audited) == [("open", "Date", "10.0.0.5")]
    audited.shown = None
    assert audited == plain


def test_enforced_in_strict_a_message_that_shows_something_is_refused() -> None:
    verdict = judge(gateway(profile="strict"), LEAKY)
    assert (verdict.action, verdict.outcome) == (Action.DROP, "refused_leak")
    assert verdict.packet == packet(LEAKY)
    assert shown(verdict) == [("leak", "Date", "10.0.0.5")]
    assert judge(gateway(profile="strict"), message("Date: today")).outcome == "masked"


def test_what_the_configuration_leaves_is_not_refused() -> None:
    for lines, settings in (
        (["Date: 10.0.0.5"], {}),
        (["Contact: <sip:a@10.0.0.5>"], {"rule": [{"action": "skip"}]}),
        (["P-Asserted-Identity: <sip:a@10.0.0.5>"], {"hide.identities": False}),
    ):
        verdict = judge(gateway(audit="enforce", **settings), message(*lines))
        assert verdict.action is not Action.DROP
        assert shown(verdict)
    sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 10.0.0.7\r\n"
    media = judge(gateway(audit="enforce"), message("Content-Type: application/sdp", body=sdp))
    assert media.outcome == "masked"
    assert shown(media) == [("media", "SDP c=", "10.0.0.7")]


class Forgetful:
    """A masker that forgets all."""

    def __init__(self, masker: Strategy) -> None:
        self.field_names = masker.field_names
        self.addresses = masker.addresses
        self.reads_all = masker.reads_all
        self.admits = masker.admits

    def edits(self, message: Message, flow: Flow, now: float) -> list[Edit]:
        return []


def forgetful(**settings: Any) -> Gateway:
    made = gateway(**settings)
    made._strategy = Forgetful(made._strategy)
    return made


def test_what_the_masker_overlooks_is_refused() -> None:
    verdict = judge(forgetful(audit="enforce"), message())
    assert (verdict.action, verdict.outcome) == (Action.DROP, "refused_leak")
    assert shown(verdict) == [("leak", "Via", "10.0.0.5")]
    assert judge(forgetful(audit=1), message()).outcome == "unchanged"


def test_on_error_accept_lets_the_rewritten_one_out() -> None:
    options = {"audit": "enforce", "queue.on_error": "accept"}
    verdict = judge(gateway(**options, **{"hide.sdp": False}), message("Contact: <sip:a@10.0.0.5>"))
    assert verdict.outcome == "masked"
    refused = judge(forgetful(**options), message())
    assert (refused.action, refused.outcome) == (Action.ACCEPT, "refused_leak")


def test_what_enters_is_not_audited() -> None:
    entering = judge(gateway(audit="enforce"), LEAKY, PEER, PROXY)
    assert (entering.direction, entering.shown) == (Direction.INGRESS, None)


def test_a_call_id_that_the_receiver_made() -> None:
    """A remote phone whose private range is the inside's: its Call-ID names what is hidden here."""
    audited = gateway(audit="enforce", **{"topoh.mask_callid": True})
    entering = judge(audited, message(call_id="7@10.0.0.5"), PEER, PROXY)
    inside = peek.call_id(entering.packet).decode()
    assert inside == "!!!:7@10.0.0.5"
    answer = judge(audited, message(call_id=inside).replace(b"Via: SIP/2.0/UDP 10.0.0.5", b"X: y"))
    assert (answer.outcome, shown(answer)) == ("masked", [("echoed", "Call-ID", "10.0.0.5")])
    assert b"Call-ID: 7@10.0.0.5\r\n" in answer.packet
    forgotten = judge(
        forgetful(audit=1, **{"topoh.mask_callid": True}), message(call_id="7@10.0.0.5")
    )
    assert ("leak", "Call-ID", "10.0.0.5") in shown(forgotten)


def test_whole_calls_are_chosen() -> None:
    sampled = gateway(audit=0.25)
    assert isinstance(sampled, AuditedGateway)
    chosen: Counter[bool] = Counter()
    for number in range(400):
        first = judge(sampled, message(call_id=f"{number}@x.test"))
        later = judge(sampled, message("Max-Forwards: 1", call_id=f"{number}@x.test"))
        assert (first.shown is None) == (later.shown is None)
        chosen[first.shown is not None] += 1
    assert 70 < chosen[True] < 130  # a hash, not chance: the same ones each time
    assert chosen == Counter(
        judge(gateway(audit=0.25), message(call_id=f"{number}@x.test")).shown is not None
        for number in range(400)
    )


@pytest.mark.parametrize("name", ["basic.pcap", "three-proxies.pcap", "refer.pcap"])
def test_a_replay_refuses_the_same(
    name: str, captures: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    """What `replay` leaves out is what the gateway refuses, packet by packet."""
    config = tmp_path / "strict.toml"
    RING.save(tmp_path / "mask.key")
    row = tomllib.loads((captures / "INDEX.toml").read_text())[name]
    hosts = f"inside = {row['inside']}\nown = {row['own']}\n"
    config.write_text(f'profile = "strict"\n{hosts}[topoh]\nmask_key_file = "mask.key"\n')
    judged = assemble.gateway(load(config, env={}))
    kept, outcomes = [], Counter[str]()
    for frame in rdpcap(str(captures / name)):
        verdict = judged.handle(bytes(frame[IP]), float(frame.time))
        assert isinstance(verdict, Verdict)
        outcomes[verdict.outcome] += 1
        if verdict.action is not Action.DROP:
            kept.append(verdict.packet)
    out = tmp_path / "out.pcap"
    assert command("replay", "-r", captures / name, "-w", out, "-c", config).status == 0
    assert [bytes(frame[IP]) for frame in rdpcap(str(out))] == kept
    assert outcomes["refused_leak"]  # media, and no relay is there
    assert outcomes["masked"]


def test_what_strict_lets_out_shows_nothing(
    captures: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    """Every clear capture: what is left after the refusals, audited by the same profile."""
    index = tomllib.loads((captures / "INDEX.toml").read_text())
    RING.save(tmp_path / "mask.key")
    refused = 0
    for name, row in index.items():
        if row["view"] != "clear":
            continue
        keys = {key: row[key] for key in ("inside", "own", "shape", "public") if key in row}
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in keys.items()]
        config = tmp_path / "strict.toml"
        config.write_text(
            f'profile = "strict"\n{"".join(lines)}[topoh]\nmask_key_file = "mask.key"\n'
        )
        out = tmp_path / name
        words = ("-r", captures / name, "-w", out, "-c", config, "--leg", "outside", "--json")
        replayed = json.loads(command("replay", *words).out)
        refused += replayed["refused"].get("refused_leak", {}).get("count", 0)
        audited = command("audit", "-r", out, "-c", config, "--json")
        tree = json.loads(audited.out) if audited.out else {}
        assert not tree.get("leaks"), name
        assert tree or "nothing was judged" in audited.err
        assert not tree or (tree["not_masked"], tree["media_shown"]) == ([], []), name
    assert refused  # media, without a relay
