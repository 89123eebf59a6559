"""Bodies: SDP, SIP messages and fragments, XML, and multipart around them, masked and opened by spans.

    application/sdp                  origin and texts; where media goes stays, and is noted
    message/sip, message/sipfrag     URIs, Vias, Call-IDs of all fields; the body within
    …+xml, and some plain text       URIs, Call-IDs, hosts
    multipart/…                      each part, its own Content-Length too

Left as they are, and noted: what is signed, encrypted or encoded, and what is of another type.
A Content-Length changes by as much as what it counts.
"""

from inline_topo.masking.bodies.walk import Bodies

__all__ = ["Bodies"]
