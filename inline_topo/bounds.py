"""How much one packet may ask for: the bounds of the packet path, all of them.

They are the same both ways, so what they let out they let in again. What leaves and goes beyond one is
refused (it could not come back); what enters and does so passes as it came, and nothing in it opens (but
a response does not, nor anything where claims are refused: nobody has read it). All is counted. The most
that the captures of real networks have stands beside the number.
"""

from typing import Final

MOST_VALUES: Final = 256
"""Elements of one header field: its lines, and the commas in them. A request crosses 255 proxies at most
(Max-Forwards, RFC 3261 section 20.22), and each adds one. Seen: 70 Record-Routes, 28 Vias."""

MOST_IN_FIELDS: Final = 768
"""Elements of all fields that are looked at, together. Seen: 78."""

MOST_LINES: Final = 1024
"""Header lines, of any name. Seen: 78."""

MOST_IN_BODY: Final = 768
"""What is looked at one by one in all bodies of a message: SDP lines that may name a host, URIs, Call-IDs,
words that become tokens, elements of the fields of fragments. A datagram that is full of a resource list
(RFC 4662) has some 700 URIs."""

MOST_PARTS: Final = 256
"""Parts of one multipart body: a resource list has one for each of its resources."""

MOST_HOSTS: Final = 256
"""Addresses in one text in which they are swapped: they are looked up one by one."""

MOST_EDITS: Final = 2 * MOST_IN_FIELDS
"""Edits in all fields: an element has one or two."""

MOST_CONTENT: Final = 4
"""A packet writes no more than so many times its own bytes into a store, keys and values."""

MOST_UNREAD: Final = 1 << 14
"""Bytes of a message that enters and does not parse that are searched for names of the inside."""

MOST_ROUTING: Final = 8 << 10
"""Bytes of the header fields that route (Contact, Refer-To and all routes), in a message that leaves: each
is read in every spelling that somebody might undo. Seen: 1,360."""

MOST_ROUTING_ENTERING: Final = 4 * MOST_ROUTING
"""The same in a message that enters where claims are refused: masked routes are longer."""

MOST_ESCAPES: Final = 512
"""Percent signs, ampersands and backslashes in the header fields, either way. Seen: 54."""

LONGEST_URI: Final = 8 << 10
"""Bytes of a stranger's URI that gets a mark."""

LONGEST_NAME: Final = 128
"""Bytes of a header field's name, a host or a media type that is remembered (others are read anew).
A name of RFC 4475 has 93."""

LONGEST_HOST: Final = 512
"""Bytes of a host in a URI or Via. A name has 255 at most (RFC 1035 section 2.3.4)."""

CACHE_BYTES: Final = 4 << 20
"""What one cache holds at most, by what strangers may choose of its keys."""

RECORD_BYTES: Final = 16 << 20
"""The same for the memory of what is in the store: what is forgotten costs a look there."""


class TooMuch(Exception):
    """A message goes beyond a bound; the text says which, without message content."""
