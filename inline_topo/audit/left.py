"""What each field may show, by the configuration: a table, data alone.

A row says of some places in a message which switch of the configuration hides hosts there, and which
hosts it hides. Where the switch is off, a host is left open; where it is on, one that is hidden is a
leak. Fields that no row names are left open but in profile strict, which hides what names the inside
everywhere. The search (search.py) does not know this table: a wrong row can give a host another name,
but cannot make it vanish.
"""

from typing import Final, NamedTuple

# --- which hosts ------------------------------------------------------------------------------------

ANY: Final = "any"
"""All that are not own: topoh hides third parties too."""

INSIDE: Final = "inside"
"""What lies in `inside` or `protected`."""

ECHO: Final = "echo"
"""The same; what else stands there is the receiver's own word."""

WORD: Final = "word"
"""The same, and a protected name that is part of a longer word."""

# --- switches -----------------------------------------------------------------------------------------

ALWAYS: Final = "always"
UNLESS_TOPOH: Final = "unless topoh"
"""Always; but where all is as topoh has it, REGISTER and PUBLISH leave as they are."""

NEVER: Final = "never"
REGISTERS: Final = "registers"
"""Always; in REGISTER and PUBLISH what is ROUTED, if `hide.registers` is off."""

SWITCHES: Final = (
    *("references", "paths", "spirals", REGISTERS, "identities", "texts", "from_to", "products"),
    *("call_ids", "redirections", "sdp", "bodies", "relay", "nat", "routed", "fills", "strict"),
)
"""Those that a configuration can set."""


class Row(NamedTuple):
    """Places, by the names that reports give them (a final `*` stands for any rest), the switch that
    hides hosts there, and which hosts."""

    places: tuple[str, ...]
    switch: str
    hosts: str


ROWS: Final = (
    Row(("Via",), UNLESS_TOPOH, ANY),
    Row(("Via, topmost", "Via, parameters"), NEVER, INSIDE),
    Row(("Contact", "Record-Route"), REGISTERS, ANY),
    Row(("Contact (mask_mode 1)",), "redirections", ANY),
    Row(("Request-URI", "Route"), "spirals", ANY),  # those that come back to us
    Row(("Path", "Service-Route"), "paths", ANY),
    Row(("Path, echoed",), "paths", ECHO),
    Row(("Record-Route, echoed",), REGISTERS, ECHO),
    Row(
        (
            *("Refer-To", "Referred-By", "Reply-To", "Alert-Info", "Call-Info", "Error-Info"),
            *("History-Info", "Diversion", "Refer-Events-At", "Policy-Contact"),
        ),
        "references",
        ANY,
    ),
    Row(
        (
            *("P-Asserted-Identity", "P-Preferred-Identity", "Additional-Identity"),
            *("Remote-Party-ID", "P-Associated-URI", "P-Called-Party-ID", "P-Charge-Info"),
        ),
        "identities",
        INSIDE,
    ),
    Row(("From", "To"), "from_to", INSIDE),
    Row(("Warning", "Reason", "Subject", "Reason-Phrase"), "texts", INSIDE),
    Row(("User-Agent", "Server", "Organization"), "products", INSIDE),
    Row(("Call-ID", "* Call-ID"), "call_ids", WORD),
    Row(
        tuple(f"SDP {line}" for line in ("o=", "s=", "i=", "u=", "e=", "p=", "a=tool", "a=ssrc")),
        "sdp",
        INSIDE,
    ),
    Row(
        (
            *("body message/sip", "body message/sipfrag", "body message/cpim"),
            *("body application/*xml", "body text/*xml"),
            *("body application/simple-message-summary", "body application/vq-rtcpxr"),
        ),
        "bodies",
        INSIDE,
    ),
    Row(("start line",), ALWAYS, ANY),
)

ROUTED: Final = (
    *("Contact (mask_mode 1)", "Record-Route, echoed", "Path, echoed"),
    *(
        field + part
        for field in (
            *("Request-URI", "Route", "Record-Route", "Path", "Service-Route"),
            *("Contact", "Refer-To"),
        )
        for part in ("", ", display name", " ?headers", ", parameters")
    ),
)
"""Where requests go by what stands there: with the switch "routed" nothing that lies inside may show, though
the switch of the row is off. It is off where all is as topoh has it."""

FILLED: Final = ("Request-URI", "Route", "Route, display name", "Route, parameters")
"""Where names of the inside leave in clear with the switch "fills": in the first of two steps of a start
(`run --fill`), while phones outside still know what was said before the gateway was there."""

MEDIA: Final = Row(("SDP c=",), "relay", INSIDE)
"""Where a stream goes (c=, m=, a=candidate and their kin): without a relay it is counted, in profile
strict it is a leak."""

SIGNED: Final = (
    *("From", "To", "P-Asserted-Identity", "P-Preferred-Identity", "Additional-Identity"),
    *("Remote-Party-ID", "P-Associated-URI", "P-Called-Party-ID", "P-Charge-Info"),
)
"""What stays as it is where an Identity header (RFC 8224) signs it, but in profile strict."""

VERSIONS: Final = ("User-Agent", "Server", "SDP s=", "SDP a=tool", "Allow", "Supported")
"""Where four numbers with dots are a version, if they do not lie inside."""

# --- the receiver's own words -------------------------------------------------------------------------

SAID: Final = "said"
"""Counted, and no leak: who receives it said it first."""

NEEDS_MARK: Final = "needs_mark"
"""What names the inside there is a leak unless it was restored from a mark that opens."""

RECEIVERS_OWN_WORDS: Final = {
    "Request-URI": NEEDS_MARK,
    "Route": NEEDS_MARK,
    "Record-Route": NEEDS_MARK,
    "Contact": NEEDS_MARK,
}
"""The Request-URI and Routes on their way to where they point, the Record-Routes that came with the
request, and the requester's bindings in the answer to a REGISTER. Where all is as topoh has it (the switch
"routed" is off) nobody marks anything, and they are SAID."""

RESTORED: Final = ("Request-URI", "Route", "Record-Route", "From", "To", "Contact", "Path")
"""Where a mark becomes again what the stranger wrote."""
