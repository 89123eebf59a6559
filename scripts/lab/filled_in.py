"""Header fields and bodies with a place for an address in every carrier (see `carriers`)."""

# --- header fields ------------------------------------------------------------------------------

REFERENCES = """\
Refer-To: <sip:carol@{Refer-To}>
Referred-By: <sip:alice@{Referred-By}>
Reply-To: <sip:alice@{Reply-To}>
Alert-Info: <http://{Alert-Info}/ring.wav>
Call-Info: <http://{Call-Info}/photo.jpg>;purpose=icon
Error-Info: <sip:busy@{Error-Info}>
History-Info: <sip:alice@{History-Info}>;index=1
Diversion: <sip:alice@{Diversion}>;reason=no-answer
Refer-Events-At: <sip:events@{Refer-Events-At}>
Policy-Contact: <sip:policy@{Policy-Contact}>
"""
CALL_IDS = """\
Replaces: 7@{Replaces};to-tag=1;from-tag=2
Join: 7@{Join};to-tag=1;from-tag=2
Target-Dialog: 7@{Target-Dialog};local-tag=1;remote-tag=2
In-Reply-To: 7@{In-Reply-To}
Event: dialog;call-id=7@{Event call-id}
Refer-To: <sip:carol@example.net?Replaces=7%40{Refer-To ?Replaces}%3Bto-tag%3D1%3Bfrom-tag%3D2>
"""
IDENTITIES = """\
P-Asserted-Identity: "Alice" <sip:alice@{P-Asserted-Identity}>
P-Preferred-Identity: <sip:alice@{P-Preferred-Identity}>
Additional-Identity: <sip:alice@{Additional-Identity}>
Remote-Party-ID: <sip:alice@{Remote-Party-ID}>;party=calling
P-Associated-URI: <sip:alice@{P-Associated-URI}>
P-Called-Party-ID: <sip:alice@{P-Called-Party-ID}>
P-Charge-Info: <sip:alice@{P-Charge-Info}>
"""
TEXTS = """\
Warning: 399 {Warning} "at home"
Reason: SIP;cause=200;text="at {Reason}"
Subject: from {Subject}
Contact: "at {Contact, display name}" <sip:x@server.com>;x="{Contact, parameters}"
Referred-By: "at {Referred-By, display name}" <sip:x@server.com>;x="{Referred-By, parameters}"
"""
OWN_NETWORK = """\
P-Charging-Vector: icid-value=1;icid-generated-at={P-Charging-Vector}
P-Charging-Function-Addresses: ccf={P-Charging-Function-Addresses}
P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=1;x="{P-Access-Network-Info}"
P-Visited-Network-ID: "{P-Visited-Network-ID}"
P-Served-User: <sip:alice@{P-Served-User}>;sescase=orig
P-Profile-Key: <sip:room@{P-Profile-Key}>
P-User-Database: <aaa://{P-User-Database};transport=tcp>
P-Private-Network-Indication: {P-Private-Network-Indication}
P-DCS-LAES: {P-DCS-*}:7777;key=1
Cellular-Network-Info: 3GPP-E-UTRAN-FDD;x="{Cellular-Network-Info}"
Relayed-Charge: "{Relayed-Charge}"
Restoration-Info: <sip:{Restoration-Info}>
Geolocation: <https://{Geolocation}/alice>
Cisco-Guid: 1@{Cisco-*}
Av-Global-Session-ID: 1@{Av-*}
P-Location: SM;origlocsbc="{P-Location}"
Endpoint-View: <sip:alice@{Endpoint-View};gr=1>;local-tag=1
ms-diagnostics: 1;reason="x";source="{Ms-*}"
X-Real-IP: {X-*}
"""
PRODUCTS = """\
User-Agent: PBX at {User-Agent}
Server: PBX at {Server}
Organization: {Organization}
"""
UNHEARD_OF = """\
Unheard-Of: {a header that no rule names}
"""
CREDENTIALS = """\
Authorization: Digest username="alice",realm="{Authorization realm}",uri="sip:{Authorization uri}"
Proxy-Authorization: Digest username="alice",realm="x",uri="sip:{Proxy-Authorization uri}"
"""
CHALLENGES = """\
WWW-Authenticate: Digest realm="{WWW-Authenticate}",nonce="1"
Proxy-Authenticate: Digest realm="{Proxy-Authenticate}",nonce="1"
Authentication-Info: nextnonce="{Authentication-Info}"
"""

# --- bodies -------------------------------------------------------------------------------------

SDP = """\
v=0
o={SDP o= user} 1 1 IN IP4 {SDP o=}
s=at {SDP s=}
i=at {SDP i=}
u=http://{SDP u=}/
e=alice@{SDP e=}
c=IN IP4 {SDP c=}
t=0 0
a=tool:phone of {SDP a=tool}
m=audio 40000 RTP/AVP 0
a=rtcp:40001 IN IP4 {SDP a=rtcp}
a=candidate:1 1 UDP 1 {SDP a=candidate} 40000 typ host
a=candidate:2 1 UDP 1 192.168.178.10 40000 typ srflx raddr {SDP a=candidate raddr} rport 40000
a=remote-candidates:1 {SDP a=remote-candidates} 40000
a=source-filter: incl IN IP4 * {SDP a=source-filter}
a=ssrc:1 cname:alice@{SDP cname}
m=message 7654 TCP/MSRP *
a=path:msrp://{SDP a=path}:7654/x;tcp
"""
_SIP = """\
INVITE sip:bob@{0} SIP/2.0
Via: SIP/2.0/UDP {0};branch=z9hG4bK1
From: <sip:alice@{0}>;tag=1
To: <sip:bob@{0}>
Contact: <sip:alice@{0}>
Call-ID: 7@{1}

"""
_DESCRIBED = "v=0\no=- 1 1 IN IP4 {0}\ns=-\nt=0 0\n"
_XML = '<?xml version="1.0"?>\n'
_PIDF = f"""{_XML}<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:alice@{{0}}">
<tuple id="a"><status><basic>open</basic></status><contact>sip:alice@{{0}}</contact></tuple></presence>
"""
BODIES = {
    "message/sipfrag": _SIP.rstrip("\n") + "\n",
    "message/sip": _SIP,
    "application/dialog-info+xml": f"""{_XML}<dialog-info \
xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@{{0}}">
<dialog id="1" call-id="7@{{1}}"><state>early</state><local><identity>sip:alice@{{0}}</identity>
<target uri="sip:alice@{{0}}:5062"/></local></dialog></dialog-info>
""",
    "application/reginfo+xml": f"""{_XML}<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" \
version="0" state="full"><registration aor="sip:alice@{{0}}" id="1" state="active">
<contact id="2" state="active" event="registered" callid="7@{{1}}"><uri>sip:alice@{{0}}</uri></contact>
</registration></reginfo>
""",
    "application/pidf+xml": _PIDF,
    "application/conference-info+xml": f"""{_XML}<conference-info \
xmlns="urn:ietf:params:xml:ns:conference-info" entity="sip:room@{{0}}" state="full" version="1">
<users><user entity="sip:alice@{{0}}"><endpoint entity="sip:alice@{{0}}:5062"/></user></users>
</conference-info>
""",
    "application/resource-lists+xml": f"""{_XML}<resource-lists \
xmlns="urn:ietf:params:xml:ns:resource-lists"><list><entry uri="sip:alice@{{0}}"/></list></resource-lists>
""",
    "application/rlmi+xml": f"""{_XML}<list xmlns="urn:ietf:params:xml:ns:rlmi" \
uri="sip:friends@{{0}}" version="1" fullState="true"><resource uri="sip:alice@{{0}}"/></list>
""",
    "application/simple-message-summary": "Messages-Waiting: yes\nMessage-Account: sip:alice@{0}\n",
    "message/cpim": "From: <im:alice@{0}>\nTo: <im:bob@example.net>\n\nContent-Type: text/plain\n\nx\n",
    "application/vq-rtcpxr": "VQSessionReport: CallTerm\nLocalAddr: IP={0} PORT=40000 SSRC=1\n",
    "multipart/mixed": f"""--b
Content-Type: application/sdp

{_DESCRIBED}
--b
Content-Type: application/pidf+xml

{_PIDF}
--b--
""",
}
OPAQUE = {
    "text/plain": "I am at {0}\n",
    "multipart/signed": f"--b\nContent-Type: application/sdp\n\n{_DESCRIBED}\n--b--\n",
}
