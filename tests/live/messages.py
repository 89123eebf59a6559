"""SIP messages of the live tests, as a proxy behind the gateway and a peer before it say them."""

from lab.site import Site

HIDDEN = "10.0.0.7"
"""The phone behind the proxy: never to be seen outside."""


def invite(number: int = 1, *, padding: int = 0) -> bytes:
    """An INVITE that leaves; its Via[2] and Contact show the inside."""
    body = "x" * padding
    lines = [
        f"INVITE sip:bob@{Site.OUTSIDE} SIP/2.0",
        f"Via: SIP/2.0/UDP {Site.INSIDE};branch=z9hG4bKproxy{number}",
        f"Via: SIP/2.0/UDP {HIDDEN}:5062;branch=z9hG4bKphone{number}",
        f"From: <sip:alice@example.com>;tag=a{number}",
        "To: <sip:bob@example.com>",
        f"Call-ID: call-{number}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:alice@{HIDDEN}:5062>",
        "Max-Forwards: 69",
        "Content-Type: text/plain",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body]).encode()


def ok_to(request: bytes) -> bytes:
    """The 200 that a peer gives: it echoes the Vias that it got."""
    lines = request.decode().split("\r\n")
    echoed = [line for line in lines if line.startswith(("Via", "From", "Call-ID", "CSeq"))]
    answer = ["SIP/2.0 200 OK", *echoed, "To: <sip:bob@example.com>;tag=b",
              f"Contact: <sip:bob@{Site.OUTSIDE}>", "Content-Length: 0", "", ""]  # fmt: skip
    return "\r\n".join(answer).encode()


def numbered(message: bytes) -> int:
    """The number of the INVITE that this is."""
    return int(message.split(b"Call-ID: call-")[1].split(b"\r\n")[0])
