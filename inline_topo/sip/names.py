"""Header field names (RFC 3261 section 7.3.1): any case, the compact forms, blanks before the colon."""

import re
from collections.abc import Iterable
from typing import Final

from inline_topo.bounds import LONGEST_NAME

VIA: Final = "Via"
ROUTE: Final = "Route"
RECORD_ROUTE: Final = "Record-Route"
PATH: Final = "Path"
SERVICE_ROUTE: Final = "Service-Route"
CONTACT: Final = "Contact"
REFER_TO: Final = "Refer-To"
REFERRED_BY: Final = "Referred-By"
REPLY_TO: Final = "Reply-To"
ALERT_INFO: Final = "Alert-Info"
CALL_INFO: Final = "Call-Info"
ERROR_INFO: Final = "Error-Info"
HISTORY_INFO: Final = "History-Info"
DIVERSION: Final = "Diversion"
CALL_ID: Final = "Call-ID"
REPLACES: Final = "Replaces"
JOIN: Final = "Join"
TARGET_DIALOG: Final = "Target-Dialog"
IN_REPLY_TO: Final = "In-Reply-To"
EVENT: Final = "Event"
P_ASSERTED_IDENTITY: Final = "P-Asserted-Identity"
P_PREFERRED_IDENTITY: Final = "P-Preferred-Identity"
P_ASSOCIATED_URI: Final = "P-Associated-URI"
P_CALLED_PARTY_ID: Final = "P-Called-Party-ID"
P_CHARGE_INFO: Final = "P-Charge-Info"
ADDITIONAL_IDENTITY: Final = "Additional-Identity"
REMOTE_PARTY_ID: Final = "Remote-Party-ID"
REFER_EVENTS_AT: Final = "Refer-Events-At"
POLICY_CONTACT: Final = "Policy-Contact"
WARNING: Final = "Warning"
REASON: Final = "Reason"
SUBJECT: Final = "Subject"
USER_AGENT: Final = "User-Agent"
SERVER: Final = "Server"
ORGANIZATION: Final = "Organization"
IDENTITY: Final = "Identity"
FROM: Final = "From"
TO: Final = "To"
CSEQ: Final = "CSeq"
REQUEST_URI: Final = (
    "Request-URI"  # not a header field: the name by which reports call the start line's
)
REASON_PHRASE: Final = "Reason-Phrase"  # nor is this

COMPACT: Final = {
    "Via": "v",
    "Contact": "m",
    "From": "f",
    "To": "t",
    "Call-ID": "i",
    "Content-Length": "l",
    "Refer-To": "r",
    "Referred-By": "b",
    "Event": "o",
    "Supported": "k",
    "Allow-Events": "u",
    "Accept-Contact": "a",
    "Reject-Contact": "j",
    "Request-Disposition": "d",
    "Content-Type": "c",
    "Content-Encoding": "e",
    "Subject": "s",
    "Session-Expires": "x",
    "Identity": "y",
}
"""Compact forms in the IANA registry that real messages use, by full name."""

CONTENT_TYPE: Final = "Content-Type"
CONTENT_LENGTH: Final = "Content-Length"
CONTENT_ENCODING: Final = "Content-Encoding"
CONTENT_TRANSFER_ENCODING: Final = "Content-Transfer-Encoding"
OF_BODY: Final = (CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_TRANSFER_ENCODING)
"""The fields that say what a body is (RFC 3261 section 20.11 ff.; the last in multipart bodies)."""

CONTINUATION: Final = "(continuation)"
INVALID: Final = "(invalid)"

_TOKEN: Final = re.compile(rb"[A-Za-z0-9.!%*_+`'~-]+")
_REMEMBERED: Final = 4096


class FieldNames(dict[bytes, str | None]):
    """Maps a field name as it stands before the colon to the canonical name, or None if unwanted.

    A name beginning with a blank is CONTINUATION (the line folds the one before), one that is no
    token is INVALID. A wanted name that ends with `*` stands for all that begin so. Spellings are
    learned as they come, up to a bound.
    """

    def __init__(self, wanted: Iterable[str]) -> None:
        super().__init__()
        self.wanted = wanted = tuple(wanted)
        self._canonical: dict[bytes, str] = {}
        self._beginnings: list[tuple[bytes, str]] = []
        for name in wanted:
            if name.endswith("*"):
                self._beginnings.append((name[:-1].lower().encode(), name))
            for spelling in filter(None, (name, COMPACT.get(name))):
                self._canonical[spelling.lower().encode()] = name
        self._beginnings.sort(reverse=True)  # the longer one first

    def __missing__(self, name: bytes) -> str | None:
        if name[:1] in (b" ", b"\t"):
            return CONTINUATION
        bare = name.rstrip(b" \t")
        if not _TOKEN.fullmatch(bare):
            return INVALID
        lower = bare.lower()
        kind = self._canonical.get(lower)
        if kind is None and self._beginnings:
            kind = next((n for start, n in self._beginnings if lower.startswith(start)), None)
        if len(self) < _REMEMBERED and len(name) <= LONGEST_NAME:
            self[name] = kind
        return kind


_CANONICAL: Final = {
    **{
        value.lower().encode(): value
        for key, value in list(globals().items())
        if key.isupper() and isinstance(value, str)
    },
    **{full.lower().encode(): full for full in COMPACT},
    **{short.encode(): full for full, short in COMPACT.items()},
}


def field_name(spelled: bytes) -> str:
    """The name of a header field for a report: the canonical one where there is one."""
    known = _CANONICAL.get(spelled.lower())
    return known or spelled.decode("ascii", "replace")
