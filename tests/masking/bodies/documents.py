"""Bodies of the examples in RFCs, with hosts of the small network in place of theirs, and how they go
into a message."""

SDP = b"""v=0\r
o=jdoe 3724394400 3724394405 IN IP4 10.47.16.5\r
s=Call from 10.47.16.5\r
i=SDP Offer #1 of pc.corp.example\r
u=http://www.corp.example/home.html\r
e=Jane Doe <jane@corp.example>\r
p=+1 617 555-6011\r
t=0 0\r
a=tool:phone.corp.example 1.2.3.4\r
m=audio 49170 RTP/AVP 0\r
a=ssrc:314159 cname:user@10.47.16.5\r
"""
"""RFC 8866 section 5; RFC 5576 section 6.1. Without a place of media."""

MEDIA = SDP.replace(b"t=0 0\r\n", b"c=IN IP4 10.47.16.5\r\nt=0 0\r\n")

# RFC 4235 section 6.1, with a target and a route set as in 4.1.6
DIALOG_INFO = b"""<?xml version="1.0" encoding="UTF-8"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"
             version="1" state="full" entity="sip:alice@corp.example">
  <dialog id="as7d900as8" call-id="a84b4c76e66710@10.0.0.5"
          local-tag="1928301774" remote-tag="456887766" direction="initiator">
    <state event="rejected" code="486">terminated</state>
    <duration>145</duration>
    <replaces call-id='hg287s98s89@pc.corp.example' local-tag="6762h7" remote-tag="09278hsb"/>
    <local>
      <identity display="Anonymous">sip:anonymous@10.0.0.5</identity>
      <target uri="sip:alice@pc.corp.example">
        <param pname="+sip.rendering" pval="yes"/>
      </target>
    </local>
    <remote>
      <identity>sip:bob@example.com</identity>
      <target uri="sip:bob@10.0.0.7:5062;transport=udp?Replaces=a84%4010.0.0.5%3Bto-tag=1&amp;x=y"/>
      <route-set><hop>&lt;sip:10.0.0.9;lr&gt;</hop></route-set>
    </remote>
  </dialog>
</dialog-info>
"""

# RFC 3680 section 5.2
REGINFO = b"""<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">
  <registration aor="sip:user@corp.example" id="as9" state="active">
    <contact id="76" state="active" event="registered" duration-registered="7322" q="0.8"
             callid="nbq98h@10.0.0.5" cseq="4">
      <uri>sip:user@pc887.corp.example</uri>
    </contact>
    <contact id="77" state="terminated" event="expired" duration-registered="3600" q="0.5">
      <uri>sip:user@10.0.0.17:5080</uri>
    </contact>
  </registration>
</reginfo>
"""

# RFC 3863 section 4.3.1
PIDF = b"""<?xml version="1.0" encoding="UTF-8"?>
<impp:presence xmlns:impp="urn:ietf:params:xml:ns:pidf" entity="pres:someone@corp.example">
  <impp:tuple id="sg89ae">
    <impp:status><impp:basic>open</impp:basic></impp:status>
    <impp:contact priority="0.8">im:someone@mobile.corp.example</impp:contact>
    <impp:timestamp>2001-10-27T16:49:29Z</impp:timestamp>
  </impp:tuple>
  <impp:note>at 10.0.0.5 until noon</impp:note>
</impp:presence>
"""

# RFC 4575 section 6, shortened
CONFERENCE_INFO = b"""<?xml version="1.0" encoding="UTF-8"?>
<conference-info xmlns="urn:ietf:params:xml:ns:conference-info"
                 entity="sips:conf233@corp.example" state="full" version="1">
  <conference-description>
    <conf-uris><entry><uri>tel:+18882934234</uri></entry></conf-uris>
  </conference-description>
  <users>
    <user entity="sip:bob@10.0.0.7" state="full">
      <endpoint entity="sip:bob@pc33.corp.example">
        <joining-info><when>2005-03-04T20:00:00Z</when><by>sip:mike@10.0.0.8</by></joining-info>
        <call-info><sip>
          <call-id>hsjh8980vhsb78@10.0.0.7</call-id>
          <from-tag>vav738dvbs</from-tag><to-tag>8954jgjg8432</to-tag>
        </sip></call-info>
      </endpoint>
    </user>
  </users>
</conference-info>
"""

# RFC 4826 section 3.3
RESOURCE_LISTS = b"""<?xml version="1.0" encoding="UTF-8"?>
<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">
  <list name="friends">
    <entry uri="sip:bill@10.0.0.21"><display-name>Bill Doe</display-name></entry>
    <entry uri='sip:joe&apos;s@corp.example'/>
    <external anchor="http://xcap.corp.example/resource-lists/users/sip:a@10.0.0.5/index/~~/x"/>
  </list>
</resource-lists>
"""

# RFC 4662 section 4.6
RLMI = b"""<?xml version="1.0"?>
<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:adam-friends@corp.example" version="1"
      fullState="true">
  <resource uri="sip:bob@10.0.0.7"><name>Bob Smith</name></resource>
</list>
"""

# RFC 3420 section 2.2, and more
SIPFRAG = b"""SIP/2.0 603 Declined\r
Via: SIP/2.0/UDP pc33.corp.example;branch=z9hG4bK776asdhds\r
Via: SIP/2.0/TCP 10.0.0.5:5062;branch=z9hG4bK77asjd, SIP/2.0/UDP 10.0.0.6\r
To: <sip:bob@corp.example>;tag=a6c85cf\r
f: Alice <sip:alice@10.0.0.5>;tag=1928301774\r
Contact: sip:alice@pc33.corp.example;expires=60\r
Call-ID: a84b4c76e66710@10.0.0.5\r
"""
SIPFRAG_WITHOUT_START_LINE = SIPFRAG.partition(b"\r\n")[2]

SIP = (
    b"""INVITE sip:bob@10.0.0.7 SIP/2.0\r
Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK776asdhds\r
From: <sip:alice@corp.example>;tag=1\r
To: <sip:bob@10.0.0.7>\r
Replaces: a84b4c76e66710@10.0.0.5;to-tag=1;from-tag=2\r
Content-Type: application/sdp\r
Content-Length: %d\r
\r
"""
    % len(SDP)
    + SDP
)

SUMMARY = b"""Messages-Waiting: yes\r
Message-Account: sip:alice@vmail.corp.example\r
Voice-Message: 2/8 (0/2)\r
"""
"""RFC 3842 section 5.2."""

DOCUMENTS = {
    b"application/sdp": SDP,
    b"application/dialog-info+xml": DIALOG_INFO,
    b"application/reginfo+xml;charset=utf-8": REGINFO,
    b"application/pidf+xml": PIDF,
    b"application/conference-info+xml": CONFERENCE_INFO,
    b"Application/Resource-Lists+XML": RESOURCE_LISTS,
    b"application/rlmi+xml": RLMI,
    b"message/sipfrag;version=2.0": SIPFRAG,
    b"message/sipfrag": SIPFRAG_WITHOUT_START_LINE,
    b"message/sip": SIP,
    b"application/simple-message-summary": SUMMARY,
}
XML = {kind: document for kind, document in DOCUMENTS.items() if b"xml" in kind.lower()}


def part(kind: bytes, body: bytes, *, length: bool = False) -> bytes:
    """A part of a multipart body."""
    counted = b"Content-Length: %d\r\n" % len(body) if length else b""
    return b"Content-Type: " + kind + b"\r\n" + counted + b"\r\n" + body


def multipart(boundary: bytes, *parts: bytes) -> bytes:
    """A multipart body (RFC 2046 section 5.1)."""
    pieces = [b"--" + boundary + b"\r\n" + each + b"\r\n" for each in parts]
    return b"".join((*pieces, b"--" + boundary + b"--\r\n"))


MIXED = b'multipart/mixed; boundary="b(1)"'


def mixed() -> bytes:
    """Every document, half of them in a body within the body, with and without lengths."""
    pieces = [
        part(kind, document, length=bool(number % 2))
        for number, (kind, document) in enumerate(DOCUMENTS.items())
    ]
    inner = part(b"multipart/related;boundary=i", multipart(b"i", *pieces[::2]), length=True)
    return multipart(b"b(1)", *pieces[1::2], inner)


def notify(kind: bytes, body: bytes, *fields: bytes) -> bytes:
    """A request that carries a body."""
    lines = [
        b"NOTIFY sip:watcher@198.51.100.20 SIP/2.0",
        b"Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKnashds7",
        b"From: <sip:alice@example.com>;tag=ffd2",
        b"To: <sip:watcher@example.net>;tag=xfg9",
        b"Call-ID: 2010",
        b"CSeq: 8775 NOTIFY",
        b"Content-Type: " + kind,
        *(fields or (b"Content-Length: %d" % len(body),)),
    ]
    return b"\r\n".join((*lines, b"", body))
