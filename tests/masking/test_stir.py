"""A call that is signed inside verifies outside (RFC 8224, RFC 8225): ES256 by the cryptography package.

The Identity header has the compact form, so the verifier makes the claims anew from what it got.
"""

import base64
import json
import re
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from tests.masking.network import gateway, leave

KEY = ec.generate_private_key(ec.SECP256R1())
CERTIFICATE = "https://cert.example.com/passport.pem"
FINGERPRINT = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:3F:82:18:3B:54:02:12:DF"
BODY = f"""v=0
o=- 1 1 IN IP4 10.0.0.5
s=-
c=IN IP4 198.51.100.77
t=0 0
m=audio 49170 RTP/SAVP 0
a=fingerprint:SHA-256 {FINGERPRINT}
"""
INVITE = """INVITE sip:+12155551213@198.51.100.20 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1
Via: SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bK2;received=10.0.0.5
Record-Route: <sip:192.0.2.10;lr>
From: "At 10.0.0.5" <{orig};user=phone>;tag=1
To: <{dest}>
Call-ID: 1@10.0.0.5
CSeq: 1 INVITE
Date: Fri, 25 Sep 2015 19:12:25 GMT
Contact: <sip:+12155551212@10.0.0.5:5062>
{pai}Referred-By: <sip:x@10.0.0.5>
X-Real-IP: 10.0.0.5
User-Agent: PBX at 10.0.0.5
{name}: ..{signature};info=<{certificate}>;alg=ES256;ppt=shaken
Content-Type: application/sdp
Content-Length: {length}

{body}"""


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def identity(address: str) -> dict[str, Any]:
    """The claim of one side: a telephone number, or else a URI (RFC 8224 section 8)."""
    found = re.search(r"<?(sips?|tel):([^;>]*)", address)
    assert found
    user = found[2].partition("@")[0]
    return {"tn": user.lstrip("+")} if re.fullmatch(r"\+?[0-9]+", user) else {"uri": found[0][1:]}


def signed_part(message: bytes) -> bytes:
    """What the signature covers, made of a message alone (RFC 8224 sections 4.1 and 6.2.2)."""
    head, _, body = message.partition(b"\r\n\r\n")
    fields = BytesHeaderParser().parsebytes(head.partition(b"\r\n")[2])
    origin = identity(fields["P-Asserted-Identity"] or fields["From"])
    target = identity(fields["To"])
    dest = {key: [value] for key, value in target.items()}
    prints = re.findall(rb"(?m)^a=fingerprint:(\S+) (\S+?)\r$", body)
    claims = {
        "attest": "A",
        "dest": dest,
        "iat": int(parsedate_to_datetime(fields["Date"]).timestamp()),
        "mky": [{"alg": alg.decode(), "dig": dig.decode()} for alg, dig in prints],
        "orig": origin,
        "origid": "123e4567-e89b-12d3-a456-426655440000",
    }
    header = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": CERTIFICATE}
    parts = (json.dumps(part, separators=(",", ":"), sort_keys=True) for part in (header, claims))
    return ".".join(b64(part.encode()) for part in parts).encode()


def invite(orig: str, dest: str, pai: str, name: str) -> bytes:
    """An INVITE with a signature of its own."""
    body = BODY.replace("\n", "\r\n")

    def build(signature: str) -> bytes:
        text = INVITE.format(
            orig=orig,
            dest=dest,
            pai=f"P-Asserted-Identity: <{pai}>\n" if pai else "",
            name=name,
            signature=signature,
            certificate=CERTIFICATE,
            length=len(body),
            body="",
        )
        return (text.replace("\n", "\r\n") + body).encode()

    r, s = decode_dss_signature(KEY.sign(signed_part(build("")), ec.ECDSA(SHA256())))
    return build(b64(r.to_bytes(32, "big") + s.to_bytes(32, "big")))


def verify(message: bytes) -> None:
    """Raise InvalidSignature where the signature is not one over this message."""
    found = re.search(rb"(?m)^(?:Identity|y): \.\.([A-Za-z0-9_-]+);info=<([^>]*)>", message)
    assert found
    assert found[2].decode() == CERTIFICATE
    raw = base64.urlsafe_b64decode(found[1] + b"==")
    signature = encode_dss_signature(
        int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    )
    KEY.public_key().verify(signature, signed_part(message), ec.ECDSA(SHA256()))


PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "topoh": {"profile": "topoh"},
    # the media shows inside, and the From and identity that are signed: the audit would refuse them
    "strict": {"profile": "strict", "audit": 0},
    "all off but From and To": {"profile": "topoh", "hide__from_to": True},
}
CALLS = {
    "numbers": ("sip:+12155551212@10.0.0.5", "sip:+12155551213@pbx.corp.example", ""),
    "the number that is asserted": ("sip:bob@10.0.0.5", "tel:+12155551213", "sip:+1215@10.0.0.5"),
    "URIs": ("sip:bob@10.0.0.5", "sip:alice@203.0.113.30", ""),
    "a URI that is asserted": ("sip:b@10.0.0.5", "sip:alice@h", "sip:bob@pbx.corp.example:5062"),
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["Identity", "y"])
def test_what_was_signed_before_verifies_after(profile: str, call: str, name: str) -> None:
    before = invite(*CALLS[call], name)
    verify(before)
    left = leave(gateway(**PROFILES[profile]), before)
    assert left != before
    assert b"Contact: <sip:+12155551212@10" not in left
    verify(left)


@pytest.mark.parametrize(
    "change",
    [
        (b"10.0.0.5;user=phone", b"192.0.2.10;user=phone"),
        (b"alice@203.0.113.30", b"alice@192.0.2.10"),
        (b"19:12:25", b"19:12:26"),
        (b"SHA-256 4A", b"SHA-256 4B"),
    ],
)
def test_the_verifier_would_notice(change: tuple[bytes, bytes]) -> None:
    message = invite(*CALLS["URIs"], "Identity")
    assert message.count(change[0]) == 1
    with pytest.raises(InvalidSignature):
        verify(message.replace(*change))


def test_without_a_signature_the_same_is_hidden() -> None:
    """What an Identity header keeps in clear is only what it signs."""
    text = re.sub(
        rb"(?m)^Identity: [^\r]*\r\n", b"", invite(*CALLS["a URI that is asserted"], "Identity")
    )
    left = leave(gateway(**PROFILES["strict"]), text)
    assert b"P-Asserted-Identity: <sip:bob@192.0.2.10>\r\n" in left
    assert not re.search(rb"From: [^\r]*10\.0\.0\.5", left)
