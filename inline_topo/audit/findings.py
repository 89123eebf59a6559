"""What an audit says of a message: a finding for each host that shows, and for what was not read."""

from typing import Final, NamedTuple

LEAK: Final = "leak"
UNEXPLAINED: Final = "unexplained"
NOT_READ: Final = "not_read"
BY_POLICY: Final = "policy"
IN_MEDIA: Final = "media"
LEFT_OPEN: Final = "open"
IN_VIAS: Final = "vias"
ECHOED: Final = "echoed"

CAUSES: Final = (LEAK, UNEXPLAINED, NOT_READ, BY_POLICY, IN_MEDIA, LEFT_OPEN, IN_VIAS, ECHOED)

MALFORMED: Final = "malformed"
TCP: Final = "tcp"
TLS: Final = "tls"
TUNNEL: Final = "tunnel"
INCOMPLETE: Final = "incomplete"
BODY: Final = "body"
BOUNDS: Final = "bounds"

NOT_READ_MEANS: Final = {
    MALFORMED: "packets or messages that do not parse",
    TCP: "SIP over TCP",
    TLS: "TLS on a port of SIP",
    TUNNEL: "SIP in a tunnel",
    INCOMPLETE: "packets that are not whole",
    BODY: "bodies declared as encoded that do not fully decode",
    BOUNDS: "messages that hold more than an audit looks at",
}
"""Why something was not read, with the words for people."""

OF_PACKETS: Final = frozenset({TCP, TLS, TUNNEL, INCOMPLETE})
"""Those of packets in which no message was looked at."""

MALFORMED_MESSAGE: Final = "message that does not parse"


class Finding(NamedTuple):
    """A host that shows in a message, or why something in it was not read.

    `cause` is one of CAUSES:

        LEAK         it names the inside (or is a third party's, in fields where each host is hidden)
                     and nothing explains it
        UNEXPLAINED  offline: where the receiver's own words stand, a name that he never said
        NOT_READ     nothing was found because nothing could be read; `field` is a key of
                     NOT_READ_MEANS, the rest empty
        BY_POLICY    a rule leaves the message clear
        IN_MEDIA     where a stream goes, and no relay takes it over
        LEFT_OPEN    the configuration hides nothing there
        IN_VIAS      it names the inside in the Vias of a response, as the request had them
        ECHOED       it names the inside, in the receiver's own words

    `kind` is ipv4, ipv6 or name; `shown` the host as it is spelled; `text` the value that it stands
    in, cut where that is long.
    """

    cause: str
    field: str
    kind: str
    shown: bytes
    text: bytes

    @property
    def family(self) -> str:
        """The header, "SDP" or "body" that the field belongs to."""
        if self.field == "Call-ID":
            return self.field
        return self.field.split(",")[0].removesuffix(" Call-ID").partition(" ")[0]


def is_refused(cause: str) -> bool:
    """Whether a message with a finding of this cause must not leave, where an audit is enforced."""
    return cause in (LEAK, UNEXPLAINED, NOT_READ)
