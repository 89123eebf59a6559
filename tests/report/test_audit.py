"""What the audit calls a leak, and what not: field by field, in messages written by hand."""

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from inline_topo import assemble
from inline_topo.config import Config, load
from inline_topo.edges.capture import open_capture
from inline_topo.errors import InlineTopoError
from inline_topo.masking.codecs.keyring import KeyRing
from inline_topo.report.audit import Audit, as_dict, audit, check_judged
from inline_topo.report.messages import Tally, read

Judge = Callable[..., Audit]
PROXY, OUTSIDE = "192.0.2.1", "203.0.113.9"
REQUEST = "INVITE sip:bob@203.0.113.9 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n"
RESPONSE = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK1\n"
REST = (
    "From: <sip:a@x.example>;tag=a\nTo: <sip:b@y.example>;tag=b\nCall-ID: 1\nCSeq: 1 INVITE\n"
    "{}Content-Length: 0\n\n"
)


def configure(**settings: Any) -> Config:
    values = {"inside": ["192.0.2.1", "10.0.0.0/8"], "own": ["192.0.2.1", "x.example"]} | settings
    return load(None, env={}, overrides=values, key_ring_given=True)


def run(path: Path, config: Config) -> Audit:
    flows = assemble.flows(config, assemble.hosts(config), assemble.policy(config))
    tally = Tally()
    with open_capture(str(path)) as capture:
        codec = assemble.codec(config, KeyRing.generate())
        return audit(read(capture, tally), tally, config, flows, codec)


@pytest.fixture
def judge(make_capture: Callable[..., Path]) -> Judge:
    """The audit of one message that leaves, its start line and more header fields given."""

    def one(start: str, fields: str = "", config: Config | None = None) -> Audit:
        path = make_capture("one.pcap", (PROXY, OUTSIDE, start + REST.format(fields)))
        return run(path, config or configure())

    return one


def shown(audit: Audit) -> list[tuple[str, str]]:
    return [(leak.field, leak.shown.decode()) for leak in audit.leaks]


def open_fields(audit: Audit) -> set[str]:
    return {field for field, _ in audit.not_masked}


@pytest.mark.parametrize(
    ("start", "line", "field", "host"),
    [
        (REQUEST, "Via: SIP/2.0/UDP 10.1.1.30;branch=z9hG4bK2", "Via", "10.1.1.30"),
        (REQUEST, "v: SIP/2.0/UDP x.example;received=10.1.1.30", "Via", "10.1.1.30"),
        (REQUEST, "Record-Route: <sip:10.1.1.30;lr>", "Record-Route", "10.1.1.30"),
        (REQUEST, "Record-Route: <sip:192.0.2.1;lr>, <sip:10.1.1.30;lr>", "Record-Route", "10.1.1.30"),
        (REQUEST, "m: <sip:alice@10.1.1.30>", "Contact", "10.1.1.30"),
        (REQUEST, "Contact: sip:alice@10.1.1.30", "Contact", "10.1.1.30"),
        (REQUEST, "Contact: <sip:alice@198.51.100.7>", "Contact", "198.51.100.7"),
        (REQUEST, "Contact: <sip:192.0.2.1;x=10.1.1.30>", "Contact", "10.1.1.30"),
        (REQUEST, "Contact: <sip:a@[fd00::1]>", "Contact", "fd00::1"),
        (REQUEST, "Path: <sip:10.1.1.30;lr>", "Path", "10.1.1.30"),
        (REQUEST, "Refer-To: <sip:c@10.1.1.30>", "Refer-To", "10.1.1.30"),
        (REQUEST, "Referred-By: <sip:c@10.1.1.30>", "Referred-By", "10.1.1.30"),
        (REQUEST, "Reply-To: <sip:c@10.1.1.30>", "Reply-To", "10.1.1.30"),
        (REQUEST, "Alert-Info: <http://10.1.1.30/a.wav>", "Alert-Info", "10.1.1.30"),
        (REQUEST, "History-Info: <sip:c@10.1.1.30>;index=1", "History-Info", "10.1.1.30"),
        (REQUEST, "Diversion: <sip:c@10.1.1.30>;reason=busy", "Diversion", "10.1.1.30"),
        (RESPONSE, "Contact: <sip:alice@10.1.1.30>", "Contact", "10.1.1.30"),
        (RESPONSE, "Service-Route: <sip:10.1.1.30;lr>", "Service-Route", "10.1.1.30"),
        # above the last own entry, and without an own one what lies inside
        (RESPONSE, "Record-Route: <sip:10.1.1.30;lr>,<sip:192.0.2.1;lr>", "Record-Route", "10.1.1.30"),
        (RESPONSE, "Record-Route: <sip:10.1.1.30;lr>", "Record-Route", "10.1.1.30"),
        (RESPONSE, "Path: <sip:10.1.1.30;lr>", "Path", "10.1.1.30"),
        # a spiral: the Routes behind an own one
        (REQUEST, "Route: <sip:192.0.2.1;lr>, <sip:10.1.1.30;lr>", "Route", "10.1.1.30"),
    ],
)  # fmt: skip
def test_a_leak(judge: Judge, start: str, line: str, field: str, host: str) -> None:
    assert shown(judge(start, line + "\n")) == [(field, host)]


def test_the_request_uri_of_a_spiral(judge: Judge) -> None:
    start = REQUEST.replace("bob@203.0.113.9", "bob@10.1.1.30")
    assert shown(judge(start, "Route: <sip:192.0.2.1;lr>\n")) == [("Request-URI", "10.1.1.30")]


@pytest.mark.parametrize(
    ("start", "line"),
    [
        # the receiver's own words
        (REQUEST.replace("bob@203.0.113.9", "bob@198.51.100.7"), ""),
        (REQUEST, "Route: <sip:198.51.100.7;lr>, <sip:10.1.1.30;lr>"),
        (REQUEST, "Route: <sip:198.51.100.7;lr>, <sip:192.0.2.1;lr>"),
        (RESPONSE, "Via: SIP/2.0/UDP 10.9.9.9;received=198.51.100.7;branch=z9hG4bK0"),
        (RESPONSE, "Record-Route: <sip:192.0.2.1;lr>, <sip:10.9.9.9;lr>"),
        (RESPONSE, "Record-Route: <sip:198.51.100.7;lr>"),
        (RESPONSE, "Path: <sip:198.51.100.7;lr>"),
        # what outsiders are meant to see, or are
        (REQUEST, "Contact: <sip:alice@192.0.2.1:5060>"),
        (REQUEST, "Contact: <sip:alice@X.Example>"),
        (REQUEST, "Contact: <sip:alice@203.0.113.9>"),
        (REQUEST, "Contact: <sip:alice@carrier.example>"),
        (REQUEST, "Record-Route: <sip:192.0.2.1;lr>"),
        (REQUEST, "Contact: *"),
    ],
)
def test_no_leak(judge: Judge, start: str, line: str) -> None:
    found = judge(start, line + "\n" if line else "")
    assert shown(found) == []
    assert (found.judged, open_fields(found)) == (1, set())


def test_via1_is_the_senders_own_but_in_shape_nat(judge: Judge) -> None:
    start = REQUEST.replace("UDP 192.0.2.1;", "UDP 10.1.1.30;rport;x=10.1.1.31;")
    clear = judge(start)
    assert shown(clear) == []
    assert open_fields(clear) == {"Via, topmost"}
    nat = configure(shape="nat", public="192.0.2.1", own=["192.0.2.1"])
    found = judge(start, config=nat)
    assert shown(found) == [("Via", "10.1.1.30")]
    assert open_fields(found) == {"Via, parameters"}
    token = start.replace("UDP 10.1.1.30;", "UDP 192.0.2.1;").replace("z9hG4bK1", "10.1.1.30")
    assert shown(judge(token, config=nat)) == [("Via", "10.1.1.30")]


REGISTERED = f"{RESPONSE}Via: SIP/2.0/UDP 10.7.7.7;received=198.51.100.7;branch=z9hG4bK0\n"


def test_a_reason_phrase(judge: Judge) -> None:
    start = RESPONSE.replace("200 OK", "480 10.1.1.30 is down")
    assert shown(judge(start)) == [("Reason-Phrase", "10.1.1.30")]
    found = judge(start, config=configure(profile="topoh"))
    assert shown(found) == []
    assert open_fields(found) == {"Reason-Phrase"}


def test_a_registrar_shows_the_requester_his_own_bindings(
    make_capture: Callable[..., Path],
) -> None:
    contacts = "".join(
        f"Contact: <sip:alice@{host}>;expires=60\n"
        for host in ("10.7.7.7", "198.51.100.7", "203.0.113.9", "10.1.1.30")
    )
    text = REGISTERED + REST.format(contacts).replace("1 INVITE", "1 REGISTER")
    path = make_capture("register.pcap", (PROXY, OUTSIDE, text))
    assert shown(run(path, configure())) == [("Contact", "10.1.1.30")]


def test_protected_names(judge: Judge) -> None:
    config = configure(protected=["corp.example"])
    line = "Contact: <sip:a@PBX.Corp.Example>\n"
    assert shown(judge(REQUEST, line, config)) == [("Contact", "PBX.Corp.Example")]
    assert shown(judge(REQUEST, line)) == []


def test_call_ids_only_where_they_are_masked(judge: Judge) -> None:
    line = (
        "Replaces: 9@10.1.1.30;to-tag=1;from-tag=2\nIn-Reply-To: 8@10.1.1.31, 7@198.51.100.7\n"
        "Event: dialog;call-id=\"6@10.1.1.32\"\n"
        "Refer-To: <sip:b@y.example?Replaces=5%4010.1.1.33%3Bto-tag%3D1>\n"
    )  # fmt: skip
    clear = judge(REQUEST, line)
    assert shown(clear) == []
    fields = {
        "Replaces Call-ID",
        "In-Reply-To Call-ID",
        "Event Call-ID",
        "Refer-To ?Replaces Call-ID",
    }
    assert open_fields(clear) == fields
    masked = judge(REQUEST, line, configure(**{"topoh.mask_callid": True}))
    assert {field for field, _ in shown(masked)} == fields
    assert open_fields(masked) == set()


def test_a_call_id_that_an_outsider_made_is_his_own_word(make_capture: Callable[..., Path]) -> None:
    call_id = "Call-ID: 1@10.1.1.30"
    invite = "INVITE sip:a@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.9\n"
    first = (invite + REST.format("").replace(";tag=b", "")).replace("Call-ID: 1", call_id)
    answer = (RESPONSE + REST.format("")).replace("Call-ID: 1", call_id)
    config = configure(**{"topoh.mask_callid": True})
    path = make_capture("a.pcap", (OUTSIDE, PROXY, first), (PROXY, OUTSIDE, answer))
    assert shown(run(path, config)) == []
    path = make_capture("b.pcap", (PROXY, OUTSIDE, answer))
    assert shown(run(path, config)) == [("Call-ID", "10.1.1.30")]


def test_what_is_not_masked_is_counted(make_capture: Callable[..., Path]) -> None:
    fields = (
        "P-Asserted-Identity: <sip:a@10.1.1.30>\nUser-Agent: pbx 13.0.192.8\n"
        'Contact: "10.1.1.30" <sip:192.0.2.1>;received="sip:10.1.1.31"\n'
        "Content-Type: application/sdp\n"
    )
    body = "v=0\no=- 1 1 IN IP4 10.1.1.30\nc=IN IP4 10.1.1.30\na=candidate:1 1 UDP 1 10.1.1.30 9\n"
    text = REQUEST + REST.format(fields).replace("<sip:a@x.example>", "<sip:a@10.1.1.30>") + body
    path = make_capture("one.pcap", (PROXY, OUTSIDE, text))
    found = run(path, configure(profile="topoh"))
    beside = [("Contact, display name", "10.1.1.30"), ("Contact, parameters", "10.1.1.31")]
    assert shown(found) == beside  # a Contact names the inside in no profile
    elsewhere = {(name, "ipv4"): 1 for name in ("From", "P-Asserted-Identity", "SDP o=")}
    assert found.not_masked == elsewhere
    kamailio = {"topoh.codec": "kamailio", "topoh.mask_key": "one"}
    as_topoh = run(path, configure(profile="topoh", **kamailio))
    assert shown(as_topoh) == []
    assert as_topoh.not_masked == elsewhere | {(field, "ipv4"): 1 for field, _ in beside}
    assert found.media == {("SDP c=", "ipv4"): 1, ("SDP a=candidate", "ipv4"): 1}
    by_default = run(path, configure())
    assert {field for field, _ in shown(by_default)} == {
        *("P-Asserted-Identity", "Contact, display name", "Contact, parameters", "SDP o="),
    }
    strict = run(path, configure(profile="strict"))
    assert {field for field, _ in shown(strict)} == {
        *("From", "P-Asserted-Identity", "Contact, display name", "Contact, parameters", "SDP o="),
        *("SDP c=", "SDP a=candidate"),
    }
    assert not strict.media


def test_what_a_rule_skips_is_no_leak(judge: Judge) -> None:
    line = "Contact: <sip:alice@10.1.1.30>\n"
    skip = configure(rule=[{"action": "skip", "method": ["INVITE"]}])
    found = judge(REQUEST, line, skip)
    assert (found.judged, found.skipped, shown(found)) == (0, 1, [])
    assert found.by_policy == {("Contact", "ipv4"): 1}
    other = configure(rule=[{"action": "skip", "method": ["BYE"]}])
    assert (judge(REQUEST, line, other).judged, len(judge(REQUEST, line, other).leaks)) == (1, 1)


def test_a_redirection_with_mask_mode_1(judge: Judge) -> None:
    start = RESPONSE.replace("200 OK", "302 Moved")
    inside, carrier = (f"Contact: <sip:b@{host}>\n" for host in ("10.1.1.30", "198.51.100.7"))
    for line, host in ((inside, "10.1.1.30"), (carrier, "198.51.100.7")):
        assert shown(judge(start, line)) == [("Contact", host)]
    clear = configure(**{"topoh.mask_mode": 1})
    assert shown(judge(start, inside, clear)) == [("Contact (mask_mode 1)", "10.1.1.30")]
    found = judge(start, carrier, clear)
    assert (shown(found), open_fields(found)) == ([], {"Contact (mask_mode 1)"})


def test_a_message_that_does_not_parse_and_left(judge: Judge) -> None:
    assert shown(judge(REQUEST, "Contact of <sip:alice@10.1.1.30>\n")) == [
        ("message that does not parse", "10.1.1.30")
    ]


def test_only_what_leaves_is_judged(make_capture: Callable[..., Path]) -> None:
    text = REQUEST + REST.format("Contact: <sip:alice@10.1.1.30>\n")
    ends = [(PROXY, OUTSIDE), (OUTSIDE, PROXY), ("10.1.1.30", PROXY), (OUTSIDE, "198.51.100.7")]
    found = run(make_capture("four.pcap", *((*end, text) for end in ends)), configure())
    assert found.messages == {"egress": 1, "ingress": 1, "inside": 1, "transit": 1}
    assert [leak.packet for leak in found.leaks] == [1]


def test_a_token_may_read_as_an_address(judge: Judge) -> None:
    """Kamailio's alphabet has digits and dots: what opens is a token, whatever it looks like."""
    config = configure(**{"topoh.codec": "kamailio", "topoh.mask_key": "one"})
    uri = b"sip:aa3yw3yb@10.1.1.30"
    codec = assemble.codec(config)
    token = codec.seal_uri(uri, b"192.0.2.1", stable=False, bare=False).decode()
    assert "8.2.8.2" in token
    line = f"Contact: <{token}>\n"
    assert shown(judge(REQUEST, line, config)) == []
    other = configure(**{"topoh.codec": "kamailio", "topoh.mask_key": "two"})
    assert shown(judge(REQUEST, line, other)) == [("Contact", "8.2.8.2")]


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ([(OUTSIDE, "198.51.100.7")], "none of 1 message leaves `inside` (1 transit)"),
        ([], "no SIP over UDP in it"),
    ],
)
def test_nothing_to_judge(
    make_capture: Callable[..., Path], ends: Iterable[tuple[str, str]], reason: str
) -> None:
    packets = [(*end, REQUEST + REST.format("")) for end in ends]
    found = run(make_capture("none.pcap", *packets), configure())
    with pytest.raises(InlineTopoError) as error:
        check_judged(found, "none.pcap")
    assert str(error.value) == f"none.pcap: nothing was judged: {reason}"


def test_every_capture_leaks_before_and_kamailios_own_masking_is_seen(captures: Path) -> None:
    index = tomllib.loads((captures / "INDEX.toml").read_text())
    leaks = {}
    for name, row in index.items():
        keys = {key: row[key] for key in ("inside", "own", "shape", "public") if key in row}
        keys |= {f"topoh.{key}": value for key, value in row.get("topoh", {}).items()}
        found = run(captures / name, configure(**keys))
        leaks[name] = len(found.leaks)
        assert found.judged > 0
    assert [name for name, row in index.items() if row["view"] == "clear" and not leaks[name]] == []
    # What topoh leaves in clear: Refer-To, other bindings of a REGISTER, a REGISTER before its
    # proxy, a 302's Contacts, the Record-Route of a proxy between two passes of a spiral, and SDP's
    # origin where it lies inside.
    assert {name for name, row in index.items() if row["view"] == "masked" and leaks[name]} == {
        "refer-topoh.pcap",
        "register-topoh.pcap",
        "register-outside-topoh.pcap",
        "redirect-topoh.pcap",
        "spiral-topoh.pcap",
        "callid-topoh.pcap",
        "remote-phone-topoh.pcap",
        "three-proxies-topoh.pcap",
        "two-proxies-topoh.pcap",
    }


def test_as_json(judge: Judge) -> None:
    tree = as_dict("one.pcap", judge(REQUEST, "Contact: <sip:alice@10.1.1.30>\n"))
    assert tree["capture"] == "one.pcap"
    assert tree["messages"] == {"egress": 1, "ingress": 0, "inside": 0, "transit": 0}
    assert (tree["judged"], tree["skipped_by_policy"], tree["not_masked"]) == (1, 0, [])
    assert tree["leaks"] == [
        {
            "packet": 1,
            "time": "1700000000.000000000",
            "start_line": "INVITE sip:bob@203.0.113.9 SIP/2.0",
            "field": "Contact",
            "kind": "ipv4",
            "shown": "10.1.1.30",
            "text": "sip:alice@10.1.1.30",
        }
    ]
