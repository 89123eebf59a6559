"""The 50 torture messages of RFC 4475, each leaving and entering, with either codec.

tshark and our own reading of a message judge whether what was rewritten still parses.
"""
# mypy: allow-untyped-calls

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcap

from inline_topo.sip import message as sip
from inline_topo.sip.message import Message
from inline_topo.sip.names import FieldNames
from tests import tshark

INSIDE, OUTSIDE = "10.0.0.1", "198.51.100.2"
MESSAGES = 50

# What is not masked on its way out, and why; all others are.
LEFT = {
    **dict.fromkeys(
        (
            *("badaspec", "badbranch", "baddn", "badvers", "bext01", "insuf", "intmeth"),
            *("lwsdisp", "mismatch01", "novelsc", "regaut01", "scalarlg"),
            *("semiuri", "trws", "unkscm", "zeromf"),
        ),
        "one Via and no Contact",
    ),
    "inv2543": "one Via and a Record-Route of a name that is not inside",
    "unksm2": "a Contact of an unknown scheme, which has no host",
    "test": "no SIP/2.0 in its request line: not SIP",
}
REFUSED = {"badinv01": "stray semicolons behind its Contact, which must be masked"}
# What comes back otherwise, and why.
BEHIND = "what stands behind the body is cut off"
BARE = "a bare Contact: topoh has no word for it"
LOST = {
    "aes-siv": {"dblreq": BEHIND, "mcl01": BEHIND},
    "kamailio": {
        "regbadct": BARE,
        "cparam01": BARE,
        "dblreq": BARE,
        "mcl01": BEHIND,
        "wsinv": "folded lower Vias: topoh has no word for them",
    },
}

ALL_FIELDS = FieldNames(
    ["Via", "Contact", "From", "To", "Call-ID", "CSeq", "Record-Route", "Route", "Content-Length"]
)
SAME = ("sip.Method", "sip.Status-Code", "sip.From", "sip.To", "sip.Call-ID", "sip.CSeq")

pytestmark = pytest.mark.needs("tshark")


NO_BODIES = {"sdp": False, "bodies": False}
"""What is judged here; test_bodies.py is about the rest."""


@pytest.fixture(scope="module")
def torture(corpus: Path) -> dict[str, bytes]:
    """The messages by name."""
    files = sorted(corpus.glob("*/rfc4475/*.dat"))
    assert len(files) == MESSAGES
    return {file.stem: file.read_bytes() for file in files}


@pytest.fixture(scope="module", params=["aes-siv", "kamailio"])
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def config(
    codec: str,
    tmp_path_factory: pytest.TempPathFactory,
    inline_topo: Callable[..., Any],
    write_config: Callable[[Path, dict[str, Any]], Path],
) -> Path:
    folder = tmp_path_factory.mktemp("rfc4475")
    topoh = {"codec": codec, "mask_ip": "203.0.113.1"}
    if codec == "kamailio":
        topoh["mask_key"] = "my secret here"
    else:
        inline_topo("keygen", "-o", folder / "mask.key")
        topoh["mask_key_file"] = "mask.key"
    return write_config(
        folder, {"inside": ["10.0.0.0/8"], "own": [], "topoh": topoh, "hide": NO_BODIES}
    )


def packet(payload: bytes, number: int, *, leaves: bool) -> Any:
    source, destination = (INSIDE, OUTSIDE) if leaves else (OUTSIDE, INSIDE)
    made = IP(src=source, dst=destination, id=number) / UDP(sport=5060, dport=5060) / Raw(payload)
    made.time = 1700000000 + number
    return made


def write(path: Path, messages: dict[str, bytes], *, leaves: bool) -> Path:
    """A capture of these messages; the IP id of each is its place among them."""
    packets = [packet(data, n, leaves=leaves) for n, data in enumerate(messages.values())]
    wrpcap(str(path), packets)
    return path


def read(path: Path, messages: dict[str, bytes]) -> dict[str, bytes]:
    """What a capture holds, by name."""
    names = list(messages)
    return {names[made[IP].id]: bytes(made[UDP].payload) for made in rdpcap(str(path))}


@pytest.fixture
def masked(
    tmp_path: Path, torture: dict[str, bytes], config: Path, replay: Callable[..., dict[str, Any]]
) -> tuple[Path, Path, dict[str, Any]]:
    """All messages leaving, before and after, and the report."""
    before = write(tmp_path / "before.pcap", torture, leaves=True)
    after = tmp_path / "after.pcap"
    return before, after, replay(before, after, config, "outside")


def test_each_has_a_verdict_when_it_leaves(
    masked: tuple[Path, Path, dict[str, Any]], torture: dict[str, bytes]
) -> None:
    _, after, report = masked
    written = read(after, torture)
    assert set(torture) - set(written) == set(REFUSED)
    assert {name for name in written if written[name] == torture[name]} == set(LEFT)
    assert report["outcomes"] == {
        "masked": MESSAGES - len(LEFT) - len(REFUSED),
        "unchanged": len(LEFT) - 1,
        "not_sip": 1,
        "refused_unmaskable": len(REFUSED),
    }


def test_each_passes_when_it_enters(
    tmp_path: Path, torture: dict[str, bytes], config: Path, replay: Callable[..., dict[str, Any]]
) -> None:
    before = write(tmp_path / "before.pcap", torture, leaves=False)
    report = replay(before, tmp_path / "after.pcap", config, "gateway")
    assert (tmp_path / "after.pcap").read_bytes() == before.read_bytes()
    assert report["outcomes"] == {"unchanged": MESSAGES - 1, "not_sip": 1}


def test_tshark_still_reads_them(
    masked: tuple[Path, Path, dict[str, Any]],
    torture: dict[str, bytes],
    judged: Callable[..., list[Any]],
) -> None:
    before, after, _ = masked
    sent = [name for name in torture if name not in REFUSED]
    read_before, read_after = judged(before, after)
    kept = [judge for name, judge in zip(torture, read_before, strict=True) if name in sent]
    pairs = zip(kept, read_after, strict=True)
    for name, (old, new) in zip(sent, pairs, strict=True):
        assert (new.sip, new.checksums) == (old.sip, ("1", "1")), name
        assert new.malformed <= old.malformed, name
    said = zip(*dissected([before, after], torture, sent), strict=True)
    for name, (then, now) in zip(sent, said, strict=True):
        assert now == then, name


def dissected(
    paths: list[Path], torture: dict[str, bytes], names: list[str]
) -> list[list[tshark.Packet]]:
    """What tshark reads in the fields that masking leaves alone."""
    wanted = {index for index, name in enumerate(torture) if name in names}
    captures = tshark.read(paths, ["ip.id", *SAME])
    return [[one for one in packets if int(one["ip.id"], 16) in wanted] for packets in captures]


def parsed(payload: bytes) -> Message | None:
    return sip.parse(payload, ALL_FIELDS, ALL_FIELDS)


def test_they_still_parse(
    masked: tuple[Path, Path, dict[str, Any]], torture: dict[str, bytes]
) -> None:
    for name, after in read(masked[1], torture).items():
        old, new = parsed(torture[name]), parsed(after)
        if old is None:
            assert new is None
            continue
        assert new is not None
        assert (new.method, new.status) == (old.method, old.status)
        body = b"" if name == "dblreq" else old.data[old.body :]
        assert body.startswith(new.data[new.body :]), name
        assert name in LOST["aes-siv"] or new.data[new.body :] == body, name
        for field in {*old.fields} - {"Via", "Contact"}:
            assert texts(new, field) == texts(old, field), (name, field)
        assert len(new.fields.get("Contact", [])) == len(old.fields.get("Contact", []))
        assert texts(new, "Via")[:1] == texts(old, "Via")[:1]
        assert ("Via" in new.fields) == ("Via" in old.fields)


def texts(message: Message, field: str) -> list[bytes]:
    return [message.data[slice(*span)] for span in message.fields.get(field, [])]


def test_the_inside_leg_gives_them_back(
    tmp_path: Path, masked: tuple[Path, Path, dict[str, Any]], torture: dict[str, bytes],
    config: Path, codec: str, replay: Callable[..., dict[str, Any]],
) -> None:  # fmt: skip
    back = tmp_path / "back.pcap"
    replay(masked[1], back, config, "inside")
    lost = {name for name, payload in read(back, torture).items() if payload != torture[name]}
    assert lost == set(LOST[codec])
