"""What a strategy may ask of a codec."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from inline_topo.sip.message import Span

METHOD: Final = re.compile(rb";method=[A-Za-z]{1,32}(?=[;?]|\Z)", re.IGNORECASE)
"""The parameter of a URI by which somebody chooses a method (RFC 3261 section 19.1.1): never sealed."""

LOOSE: Final = b";lr"
"""The parameter of a loose router's URI (RFC 3261 section 16.12.1.1): first of those that are shown."""

MOST_TEXTS: Final = 4096
"""Tokens in a text that are tried: more than a datagram has of ours."""


BARE: Final = 1
BARE_WHOLE: Final = 3
"""How a URI stood without `<>`: up to its first `;` or `?`; with parameters, as in a route, or with a headers
part."""


class SealError(Exception):
    """A value that must be masked and cannot be; the text gives the reason, never the value."""


class OpenedUri(NamedTuple):
    """A URI that came out of a token; `bare` where `<>` were added around it when it was sealed: BARE, or
    BARE_WHOLE."""

    uri: bytes
    bare: int


class Revealed(NamedTuple):
    """A token that opens, for people: its span in the text that was searched, its kind (uri, host, via,
    quoted_via, via1, callid, text), the id of the key that sealed it (None where a codec has one
    key), and the content.
    """

    start: int
    end: int
    kind: str
    key: int | None
    content: bytes


class Codec(Protocol):
    """Deterministic and reversible. `mask` is the mask address as it stands in a message, with port.

    Seal methods raise SealError. Open methods return None for whatever is not a token of ours, or
    whose content is not grammatical in its place. `wants_cookie`: seal_vias looks at `cookie`.
    """

    wants_cookie: bool

    def may_open(self, data: bytes, start: int, end: int) -> bool:
        """Whether a token of ours may stand in data[start:end]: a quick look that spares the rest."""

    def seal_uri(
        self, uri: bytes, mask: bytes, *, stable: bool, bare: int, shown: bytes = b""
    ) -> bytes:
        """A masked URI for `uri` (no headers part). `stable`: the same across key rotation;
        `bare`: `<>` are being added; `shown`: parameters of it that others must read (`;lr;ob`)."""

    def open_uri(self, uri: bytes) -> OpenedUri | None:
        """The URI in `uri` (no headers part), wherever in it the token stands."""

    def seal_host(self, host: bytes, *, bare: bool) -> bytes:
        """A token, fit for the value of a URI parameter, for a host with or without a port: the same
        across key rotation. `bare`: `<>` are being added around its URI."""

    def open_host(self, token: bytes) -> OpenedUri | None:
        """The host in such a token, as the `uri`."""

    def seal_end(self, uri: bytes, *, bare: bool) -> bytes:
        """Such a token for a whole URI of From or To; nothing else opens there."""

    def open_end(self, token: bytes) -> OpenedUri | None:
        """The URI in a token of `seal_end`."""

    def seal_vias(
        self, data: bytes, spans: Sequence[Span], mask: bytes, cookie: bytes, context: bytes
    ) -> list[tuple[int, int, bytes]]:
        """Replacements (start, end, new) that hide the Via values at `spans`, all below the topmost,
        in order.

        `cookie` is what Kamailio writes about the request's direction (its codec alone uses it).
        `context`: the transaction that the tokens are bound to (masking.vias), with the place of each
        and the number of all.
        """

    def open_vias(self, vias: Sequence[bytes], context: bytes) -> list[bytes] | None:
        """What each of the Via values below the topmost stands for: one via-parm, or several with what
        parts them. All or none: None unless they are what was sealed for `context`, each in its
        place, none missing and none more."""

    def seal_quoted_via(self, value: bytes, mask: bytes) -> bytes:
        """A token for a Via value in a body. Nobody routes by it: it is bound to nothing."""

    def open_quoted_via(self, value: bytes) -> bytes | None:
        """The Via value in a token of `seal_quoted_via`."""

    def seal_via1(self, value: bytes, mask: bytes) -> bytes:
        """The topmost Via `value` with its sent-by and branch masked, other parameters as they are."""

    def open_via1(self, value: bytes) -> bytes | None:
        """The topmost Via value with sent-by and branch opened, other parameters as they are."""

    def seal_callid(self, callid: bytes) -> bytes:
        """A token that is a callid (RFC 3261 section 25.1)."""

    def open_callid(self, token: bytes) -> bytes | None:
        """The Call-ID in a token."""

    def seal_text(self, text: bytes) -> bytes:
        """A token for anything else, the same across key rotation; no letter, digit, `-` or `_` may
        stand beside it."""

    def open_texts(self, data: bytes, start: int, end: int) -> list[tuple[int, int, bytes]]:
        """The tokens of `seal_text` in data[start:end], no more than MOST_TEXTS are tried: where each
        stands, and its text. What a text must look like in its place the caller checks."""

    def seal_stranger(self, content: bytes) -> bytes:
        """A token, fit for the value of a URI parameter, for what a stranger's URI says of the inside
        (masking.out): the same across key rotation. It stays inside."""

    def open_stranger(self, token: bytes) -> bytes | None:
        """The content of such a token; of the codec kamailio, whatever decodes."""

    def is_uri_token(self, uri: bytes) -> bool:
        """Whether a URI that did not open has the form that `seal_uri` gives one, at any host. Like
        the next three, it is asked only where opening has failed."""

    def is_host_token(self, token: bytes) -> bool:
        """The same for `seal_host`."""

    def is_via_token(self, value: bytes) -> bool:
        """The same for `seal_vias` and `seal_via1`."""

    def is_callid_token(self, token: bytes) -> bool:
        """The same for `seal_callid`."""

    def reveal(self, text: bytes) -> list[Revealed]:
        """Every token in any text that opens without its message, for reports: slow, and nothing is
        remembered."""

    def key_of(self, via: bytes) -> int | None:
        """The id of the key that sealed the Via value `via`, which has opened; None where a codec has
        one key."""
