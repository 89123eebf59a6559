"""Words that SIP, SDP and its bodies are made of: they name nobody, and stay where they can stand."""

from inline_topo.sip import names

METHODS = """
INVITE ACK BYE CANCEL REGISTER OPTIONS INFO PRACK UPDATE SUBSCRIBE NOTIFY REFER MESSAGE PUBLISH
"""

# https://www.iana.org/assignments/sip-parameters
_HEADERS = """
Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Alert-Info Allow
Allow-Events Answer-Mode Authentication-Info Authorization Call-ID Call-Info Contact
Content-Disposition Content-Encoding Content-Language Content-Length Content-Transfer-Encoding
Content-Type Content-ID CSeq Date Diversion Encryption Error-Info Event Expires Feature-Caps Flow-Timer From
Geolocation Geolocation-Error Geolocation-Routing Hide History-Info Identity Identity-Info
In-Reply-To Info-Package Join Max-Breadth Max-Forwards MIME-Version Min-Expires Min-SE Organization
P-Access-Network-Info P-Answer-State P-Asserted-Identity P-Asserted-Service P-Associated-URI
P-Called-Party-ID P-Charging-Function-Addresses P-Charging-Vector P-Early-Media P-Media-Authorization
P-Preferred-Identity P-Preferred-Service P-Profile-Key P-Refused-URI-List P-Served-User
P-User-Database P-Visited-Network-ID P-Charge-Info Path Permission-Missing Policy-Contact Policy-ID
Priority Priv-Answer-Mode Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason
Reason-Phrase Record-Route Recv-Info Refer-Events-At Refer-Sub Refer-To Referred-By Reject-Contact
Remote-Party-ID Replaces Reply-To Request-Disposition Require Resource-Priority Response-Key
Retry-After Route RSeq Security-Client Security-Server Security-Verify Server Service-Route
Session-Expires Session-ID SIP-ETag SIP-If-Match Subject Subscription-State Supported
Suppress-If-Match Target-Dialog Timestamp To Trigger-Consent Unsupported User-Agent
User-to-User Via Warning WWW-Authenticate Additional-Identity RPID-Privacy X-Asterisk-HangupCause
"""

_TOKENS = """
100rel 199 early-session eventlist explicitsub from-change geolocation-http geolocation-sip gin gruu
histinfo ice join multiple-refer norefersub nosub outbound path policy precondition pref privacy
recipient-list-invite recipient-list-message recipient-list-subscribe replaces resource-priority
sdp-anat sec-agree tdialog timer trickle-ice uui sip sips tel pres im udp tcp tls sctp ws wss
dialog presence reg conference message-summary refer winfo presence.winfo kpml ua-profile
as-feature-event call-completion check-sync keep-alive talk hold line-seize telephone-event
application audio video image text multipart message model example sdp sipfrag http pidf xml plain html
mixed alternative related signed pkcs7-mime pkcs7-signature isup qsig dtmf-relay dtmf
dialog-info reginfo conference-info resource-lists rlmi watcherinfo simple-message-summary
media_control vq-rtcpxr cpim gzip deflate identity utf-8 us-ascii en de fr es it
session render icon alert optional required handling active pending terminated deactivated probation
rejected timeout giveup noresource invariant none full id header user critical history
emergency urgent normal non-urgent true false yes no auth auth-int md5 md5-sess sha-256 digest basic
uac uas preemptive random mon tue wed thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec
gmt q.850 sdp-mangled supported gated inactive sendonly sendrecv recvonly proxy redirect fork
no-fork sequential parallel queue auto manual 7bit 8bit binary base64 quoted-printable
"""

_PARAMETERS = """
branch received rport alias maddr ttl lr ob tag transport method gr comp expires q reg-id keep
cause text index counter reason screen party nonce response cnonce opaque qop algorithm
stale realm username uri nc domain charset boundary type handling to-tag from-tag early-only call-id
refresher duration purpose appearance appearance-index answer-after info +sip.instance +sip.ice
phone-context isub ext cic rn npdi events methods class mobility schemes automata isfocus
i oc oc-algo rc mp np hg ms alg ppt node uuid pub-gruu temp-gruu retry-after limit version duration id
"""

_REASONS = """
Trying Ringing Call Is Being Forwarded Queued Session Progress Early Dialog Terminated OK Accepted No
Notification Multiple Choices Moved Permanently Temporarily Use Proxy Alternative Service Bad Request
Unauthorized Payment Required Forbidden Not Found Method Allowed Acceptable Authentication Timeout
Conflict Gone Length Conditional Failed Entity Too Large URI Unsupported Media Type Scheme Unknown
Resource-Priority Extension Required Interval Brief Referrer Identity Anonymity Disallowed Invalid
Provide Certificate Credential Flow Max-Breadth Exceeded Info Package Consent Needed Unavailable
Call/Transaction Does Exist Loop Detected Many Hops Address Incomplete Ambiguous Busy Here Request
Terminated Event Pending Undecipherable Security Agreement Server Internal Error Implemented Gateway
Time-out Version Supported Large Precondition Failure Everywhere Decline Anywhere Unwanted Rejected
Transaction Leg Temporary Currently Temporarily
"""

_SDP = """
IN IP4 IP6 CT AS TIAS RS RR RTP AVP SAVP AVPF SAVPF UDP TLS TCP DTLS SCTP MSRP udptl t38
webrtc-datachannel rtpmap fmtp ptime maxptime minptime rtcp rtcp-mux rtcp-rsize rtcp-fb candidate
crypto fingerprint setup actpass passive holdconn mid group bundle msid msid-semantic ssrc
ssrc-group cname label ice-ufrag ice-pwd ice-options ice-lite trickle end-of-candidates extmap
sendrecv recvonly sendonly inactive direction connection new existing framerate framesize quality lang orient
content main alt slides speaker accept-types path curr des conf qos local remote e2e send recv
mandatory optional failure unknown silenceSupp sctp-port max-message-size sctpmap tool charset cat
keywds rtcp-xr source-filter incl excl nack ccm fir pli tmmbr goog-remb transport-cc typ host srflx
prflx relay raddr tcptype so generation network-id network-cost ufrag rport
T38FaxVersion T38MaxBitRate T38FaxRateManagement T38FaxMaxBuffer T38FaxMaxDatagram T38FaxUdpEC
T38FaxFillBitRemoval T38FaxTranscodingMMR T38FaxTranscodingJBIG t38UDPRedundancy t38UDPFEC
transferredTCF localTCF
PCMU PCMA G722 G7221 G723 G721 G726-16 G726-24 G726-32 G726-40 AAL2-G726-32 G728 G729 G729A G729AB G729D
G729E GSM GSM-EFR GSM-FR GSM-HR-08 iLBC speex speex-fec opus AMR AMR-WB AMR-WB+ EVS SILK L8 L16 CN DVI4 LPC
VDVI QCELP EVRC EVRC0 EVRCB EVRCB0 VMR-WB telephone-event tone red rtx ulpfec flexfec-03 parityfec
H261 H263 H263-1998 H263-2000 H264 H264-SVC H265 VP8 VP9 AV1 MP4V-ES MPA MPV MP2T MP4A-LATM
mpeg4-generic JPEG CelB nv t140 t140c CLEARMODE BV16 BV32 SIREN14 SIREN7 x264 theora vorbis ac3
x-h264uc x-rtvc1 x-msrta x-nt-inforeq BT656
mode mode-set octet-align mode-change-period mode-change-capability mode-change-neighbor max-red
robust-sorting interleaving useinbandfec usedtx stereo sprop-stereo maxplaybackrate
maxaveragebitrate sprop-maxcapturerate cbr annexa annexb bitrate vbr cng emphasis
profile-level-id packetization-mode level-asymmetry-allowed max-mbps max-fs max-cpb max-br max-dpb max-fr
profile tier level cif qcif sqcif custom apt rc-time on off octet-aligned
"""

_XML = """
xml version encoding xmlns xsi schemalocation xs xsd tns ns ns0 ns1 ns2 ns3 di pp dm rpid rp p c ci ri lang
dialog-info dialog state entity notify-state call-id local-tag remote-tag direction local remote
identity display target param pname pval session-description duration replaces referred-by route-set
hop uri cseq uri-user-agent
trying proceeding early confirmed terminated initiator recipient partial full cancelled rejected
replaced local-bye remote-bye error timeout event code
reginfo registration contact aor registered created refreshed shortened expired deactivated probation
unregistered expires retry-after duration-registered received unknown-param
presence tuple status basic open closed note timestamp priority relationship service-description
service-id description device deviceid activities activity person mood place-type on-the-phone away
busy meeting user-input idle other appointment
conference-info conference-description subject display-text free-text keywords conf-uris entry
service-uris available-media maximum-user-count host-info conference-state user-count active locked
users user associated-aors roles role languages endpoint referred joining-method joining-info media
label src-id type sidebars-by-ref sidebars-by-val connected disconnected disconnecting dialed-in
dialed-out focus-owner on-hold muted-via-focus pending alerting
resource-lists list entry-ref external display-name resource instance cid reason rlmi
watcherinfo watcher watcher-list package winfo subscribe approved noresource giveup waiting
media_control vc_primitive to_encoder picture_fast_update stream_id
ims-3gpp alternative-service action service-info
"""


def _words(*texts: str) -> frozenset[bytes]:
    return frozenset(word.lower().encode() for text in texts for word in text.split())


HEADERS = _words(_HEADERS) | {
    spelled.lower().encode() for pair in names.COMPACT.items() for spelled in pair
}
"""Header fields whose names stay."""

XML = _words(_XML)
"""Names of elements and attributes that stay, and values of the latter."""

WORDS = _words(METHODS, _HEADERS, _TOKENS, _PARAMETERS, _REASONS, _SDP)
"""Words that stay where no name can stand."""

ATTRIBUTES = _words(_SDP)
"""SDP attributes that stay."""

NUMERIC = _words(
    """rport ttl expires q cause index counter reg-id nc refresher duration answer-after
    appearance-index retry-after cseq version priority"""
)
"""Parameters whose numbers stay."""
