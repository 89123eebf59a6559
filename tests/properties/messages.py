"""SIP messages of every spelling that the grammar allows, over the hosts of the small network."""

from hypothesis import strategies as st

from tests.masking.network import PEER, PROXY, THIRD

HIDDEN = [
    "10.0.0.5",
    "10.255.1.1",
    "[fd00::5]",
    "[FD00:0::6]",
    "pbx.corp.example",
    "A.Corp.Example",
    "[fd00::5%eth0]",
]
OTHERS = [THIRD, "[2001:db8:9::1]"]
SEEN = [PROXY, "example.com", "EXAMPLE.COM.", PEER, "carrier.example", "x_y.example.org"]

HOST = st.sampled_from(HIDDEN + OTHERS + SEEN)
PORT = st.sampled_from(["", "", ":5060", ":5062", ":0005060", ":65535", ":0"])
USER = st.sampled_from(
    ["", "bob@", "b%40ob:pw@", "+49;phone-context=x@", "b'o(b)?&=+$,/@", "\u00fcber@", ";method=x@"]
)
PARAMETERS = st.lists(
    st.sampled_from(
        [
            ";transport=udp",
            ";transport=TCP",
            ";lr",
            ";lr=on",
            ";ob",
            ";x=%3B",
            ";line=a1",
            ";user=phone",
        ]
    ),
    max_size=3,
).map("".join)
HEADERS = st.sampled_from(["", "", "", "?Subject=x", "?a=b&c=d%20e"])
SCHEME = st.sampled_from(["sip:", "sip:", "sips:", "SIP:", "SiPs:"])
DISPLAY = st.sampled_from(
    ["", "", "Bob ", '"Bob" ', '"<sip:x@y>, " ', r'"a \" b\\"', "B. O-b ", '"\u00fc;x"\t']
)
FIELD_PARAMETERS = st.lists(
    st.sampled_from(
        [
            *(";expires=60", ";q=0.5", ' ; x = "a, b"', ";tag=1", ";+sip.x", ";index=1"),
            *(';x="1"', ';+sip.instance="<urn:uuid:1>"'),
        ]
    ),
    max_size=2,
).map("".join)
BLANK = st.sampled_from(["", "", " ", "\t "])


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


URI = joined(SCHEME, USER, HOST, PORT, PARAMETERS)
BRACKETED = joined(DISPLAY, st.just("<"), URI, HEADERS, st.just(">"), FIELD_PARAMETERS)
OTHER_URIS = st.sampled_from(
    [
        "<tel:+12015550123>",
        "<urn:service:sos>;x",
        "<http://10.0.0.5:80/ring.wav?x#y>",
        "<https://h/>",
    ]
)
BARE = joined(
    SCHEME, USER.filter(lambda user: not set(user) & set(";,?")), HOST, PORT, FIELD_PARAMETERS
)
ODD = st.sampled_from(
    [
        *("<bob@10.0.0.5>;q=1", '"x" <bob@10.0.0.5:5062>', '<sip:10.0.0.5:443;x="a;b?c">', "<>"),
        *("<sip:bob@[fd00::5%4];ob>", "< sip:bob@10.0.0.5 >", "Bob, <sip:bob@10.0.0.5;method=BYE>"),
    ]
)
BARE_ODD = st.sampled_from(["bob@10.0.0.5:5062", "bob@10.0.0.5;q=1", "10.0.0.5", "bob", "24 May"])
ROUTE = joined(st.just("<"), URI, st.just(">"), st.sampled_from(["", "", ";x=1"]))
BARE_ROUTE = joined(SCHEME, HOST, PORT, PARAMETERS)
VIA = joined(
    st.sampled_from(
        ["SIP/2.0/UDP ", "SIP/2.0/TCP ", "SIP/2.0/TLS ", "SIP / 2.0 / UDP  ", "sip/2.0/udp "]
    ),
    HOST,
    PORT,
    st.lists(
        st.sampled_from(
            [
                *(
                    ";branch=z9hG4bK1a.-_*",
                    ";branch=1",
                    ";rport",
                    ";rport=5062",
                    ";received=10.0.0.5",
                ),
                *(" ;\tttl=1", ';x="a, b"', ";alias", ";received=fd00::5", ";maddr=10.0.0.9"),
            ]
        ),
        max_size=4,
    ).map("".join),
)
# What is read in two ways on top has a test of its own (tests/masking/test_via_binding.py).
TOPMOST_VIA = VIA.filter(lambda value: value.count("branch") < 2 and '"' not in value)


def field(
    names: list[str],
    value: st.SearchStrategy[str],
    *,
    fold: bool = True,
    first: st.SearchStrategy[str] | None = None,
) -> st.SearchStrategy[list[str]]:
    """One header field: a name in some spelling, and values in a list, perhaps folded at its commas;
    `first`: what the first of them is, if not as the others."""
    comma = st.sampled_from([", ", ",", " ,", ",\n ", "\n\t, "] if fold else [", ", ","])
    first = value if first is None else first
    values = st.tuples(first, st.lists(value, max_size=2)).map(lambda v: [v[0], *v[1]])
    name = st.sampled_from(names + [name.upper() for name in names]) | st.sampled_from(names)
    return st.builds(
        lambda name, before, after, values, comma: [f"{name}{before}:{after}{comma.join(values)}"],
        name,
        BLANK,
        BLANK,
        values,
        comma,
    )


ADDRESSES = [
    *("Contact", "m", "Refer-To", "r", "Referred-By", "b", "Reply-To", "Alert-Info", "Call-Info"),
    *("Error-Info", "History-Info", "Diversion"),
]
CALL_ID = st.sampled_from(["abc@10.0.0.5", "abc", "<x>@pbx.corp.example", "!!!:a@10.0.0.5", "!!:x"])
NOISE = st.sampled_from(
    [
        *(
            "Max-Forwards: 70",
            "X-Y: sip:z@10.0.0.5",
            "Supported: 100rel,\n path",
            "Subject:",
            "s : a: b",
        ),
        *("From: <sip:bob@10.0.0.5>;tag=1", "To: sip:a@h;tag=2", "CSeq: 1 INVITE", "Contact: *"),
        *("CSeq: 9 REGISTER", "Via-X: y", 'Authorization: Digest uri="sip:10.0.0.5"'),
    ]
).map(lambda line: [line])


ENDS = st.builds(
    lambda name, value: [f"{name}: {value}"],
    st.sampled_from(["From", "To", "f", "t", "TO"]),
    BRACKETED | BARE | OTHER_URIS,
)
SWAPPED = st.builds(
    lambda name, value: [f"{name}: {value}"],
    st.sampled_from(["P-Asserted-Identity", "Remote-Party-ID", "Subject", "s", "X-Y", "x-Host"]),
    BRACKETED | HOST | st.sampled_from(["1.10.0.0.5", "v1.2.3.4", "::", "a 10.0.0.5:5060, [::1]"]),
)
OTHER_NOISE = st.sampled_from(
    [
        *("User-Agent: PBX at 10.0.0.5", "Server: x", "Organization: corp.example"),
        *(
            "P-Charging-Vector: icid-value=1;\n icid-generated-at=10.0.0.5",
            "Geolocation:\n <cid:x>",
        ),
        *('Warning: 399 10.0.0.5:5060 "[fd00::5]"', 'Reason: SIP;text="at pbx.corp.example"'),
        *("Identity: x", "Date: y"),
    ]
).map(lambda line: [line])


def _fields(
    address: st.SearchStrategy[str], route: st.SearchStrategy[str], *, fold: bool
) -> st.SearchStrategy[list[str]]:
    return st.one_of(
        field(["Via", "v"], VIA, fold=fold, first=TOPMOST_VIA),
        field(["Record-Route", "Route", "Path", "Service-Route"], route),
        field(ADDRESSES, address),
        field(["Call-ID", "i"], CALL_ID).map(lambda lines: [lines[0].partition(",")[0]]),
        CALL_ID.map(lambda text: [f"Replaces: {text};to-tag=1"]),
        NOISE,
        ENDS,
        SWAPPED,
        OTHER_NOISE,
    )


START = st.one_of(
    st.builds(
        "{} {} SIP/2.0".format,
        st.sampled_from(["INVITE", "REGISTER", "x-y", "BYE"]),
        URI | st.just("tel:1"),
    ),
    st.sampled_from(
        ["SIP/2.0 200 OK", "SIP/2.0 302 Moved", "SIP/2.0 180 At 10.0.0.5", "SIP/2.0 100 "]
    ),
)


def _message(fields: st.SearchStrategy[list[str]]) -> st.SearchStrategy[bytes]:
    def build(start: str, fields: list[list[str]], eol: str, body: bytes) -> bytes:
        lines = [start, *(line for lines in fields for line in lines), "", ""]
        return "\n".join(lines).replace("\n", eol).encode() + body

    return st.builds(
        build,
        START,
        st.lists(fields, max_size=10),
        st.sampled_from(["\r\n", "\r\n", "\n"]),
        st.sampled_from([b"", b"v=0\r\nc=IN IP4 10.0.0.5\r\n", b"\xff\0\nVia: x"]),
    )


MESSAGE = _message(
    _fields(
        st.one_of(BRACKETED, BARE, OTHER_URIS, ODD, BARE_ODD),
        st.one_of(ROUTE, BARE_ROUTE),
        fold=True,
    )
)
"""Anything; only codec aes-siv brings all of it back."""

KAMAILIO_MESSAGE = _message(_fields(st.one_of(BRACKETED, OTHER_URIS, ODD), ROUTE, fold=False))
"""Without bare URIs, which topoh's tokens cannot remember."""
