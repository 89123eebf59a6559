"""sipp scenarios, written as a script of what one party sends and expects."""

from xml.sax.saxutils import quoteattr

COMPACT = {
    "Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Type": "c",
    "Content-Length": "l", "Supported": "k", "Event": "o", "Allow-Events": "u", "Refer-To": "r",
}  # fmt: skip
CALLER_AGENT = """\
User-Agent: Grandstream GXV3140 1.0.7.3
Supported: replaces, path, timer
Allow: INVITE, ACK, OPTIONS, CANCEL, BYE, SUBSCRIBE, NOTIFY, INFO, REFER, UPDATE, MESSAGE"""
CALLEE_AGENT = """\
User-Agent: snom370/8.4.18
Allow: INVITE, ACK, CANCEL, BYE, REFER, OPTIONS, NOTIFY, SUBSCRIBE, PRACK, MESSAGE, INFO, UPDATE
Allow-Events: talk, hold, refer, call-info"""
# Where the first request's header fields are kept, those that a later message says again
_KEEP_FIRST = "<!-- first request -->"
# Record-Route and Via of a request, which stand before its From as Kamailio sends it
_STACK = (
    '<ereg regexp="((Record-Route|Via): .*[^[:space:]])[[:space:]]+(From|f): " '
    'search_in="msg" assign_to="all,stack"/>'
)
_CODECS = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 101: "telephone-event/8000"}


def session(origin: str, connection: str, *formats: int) -> str:
    """A description of one stream; `origin` and `connection` end their lines, `formats` are of _CODECS."""
    lines = (
        "v=0",
        f"o=user1 53655765 2353687637 IN {origin}",
        "s=-",
        f"c=IN {connection}",
        "t=0 0",
    )
    audio = f"m=audio [media_port] RTP/AVP {' '.join(map(str, formats))}"
    maps = (f"a=rtpmap:{number} {_CODECS[number]}" for number in formats)
    return "".join(f"{line}\n" for line in (*lines, audio, *maps))


_MEDIA = "IP[local_ip_type] [media_ip]"
SDP = session(_MEDIA, _MEDIA, 0, 8, 101) + "a=sendrecv\n"


class Party:
    """One party of a dialog. Each method adds a step; `xml()` is the scenario for sipp."""

    def __init__(
        self, user: str, *, calls: str = "", uri: str = "", compact: bool = False,
        echo: bool = False,
    ) -> None:  # fmt: skip
        """`calls` is the user this party calls (none: it waits), `uri` the first Request-URI.
        `echo`: it answers with the Vias as they came (sipp joins them in one, and misses `v`)."""
        self.user = user
        self.contact = f"<sip:{user}@[local_ip]:[local_port]>"
        self._peer = calls
        self._uri = uri or f"sip:{calls}@server.com"
        self._compact = compact
        self._echo = echo
        self._steps: list[str] = []
        self._sent = 0  # index of the next message, as sipp counts for [branch-N]
        self._invite = 0
        self.cseq = 0  # of the last request sent
        self._invite_cseq = 0
        self._in_dialog = not calls
        self._asked = False
        self._makes_dialog = False
        self._names: list[str] = []

    def send(self, method: str, *extra: str, body: str = "", kind: str = "") -> None:
        """Send a request; `extra` are more header lines, `kind` the Content-Type of `body`."""
        again = method in ("ACK", "CANCEL")
        if not again:
            self.cseq += 1
        self._makes_dialog = method in ("INVITE", "SUBSCRIBE", "PRACK")
        if method == "INVITE":
            self._invite, self._invite_cseq = self._sent, self.cseq
        same_branch = method == "CANCEL" or (method == "ACK" and not self._in_dialog)
        branch = f"[branch-{self._sent - self._invite}]" if same_branch else "[branch]"
        cseq = self._invite_cseq if again else self.cseq
        lines = [
            f"{method} {'[next_url]' if self._in_dialog else self._uri} SIP/2.0",
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch};rport",
            *(["[routes]"] if self._in_dialog else []),
            *self._from_to(self._in_dialog or method == "ACK"),
            "Call-ID: [call_id]",
            f"CSeq: {cseq} {method}",
            *([] if again or method == "BYE" else [f"Contact: {self.contact}"]),
            "Max-Forwards: 70",
            *([CALLER_AGENT if self._peer else CALLEE_AGENT] if method == "INVITE" else []),
            *extra,
        ]
        self._message(lines, body, kind, retrans=method != "ACK")

    def reply(
        self, status: str, *extra: str, body: str = "", tag: bool = True, first: bool = False
    ) -> None:
        """Answer the request last received (`first`: the first one, an INVITE); with a body the
        answer is sent until its ACK. `tag`: add a To tag."""
        mine = ";tag=[pid]SIPpTag01[call_number]" if tag else ""
        echo = ["[last_Via:]", "[last_Record-Route:]", "[last_From:]", f"[last_To:]{mine}"]
        cseq = "[last_CSeq:]"
        if first or self._echo:
            echo[:2] = ["[$stack]"]
        if first:
            echo[1:] = ["From:[$peer]", f"To:[$own]{mine}"]
            cseq = "CSeq:[$cseq]"
        lines = [
            f"SIP/2.0 {status}",
            *echo,
            "[last_Call-ID:]",
            cseq,
            *([f"Contact: {self.contact}"] if not status.startswith(("3", "4")) else []),
            *([CALLEE_AGENT] if body == SDP else []),
            *extra,
        ]
        self._message(lines, body, "application/sdp", retrans=bool(body))

    def answered(
        self, *codes: int, keep: str = "", tag_keep: bool = False, challenge: bool = False
    ) -> None:
        """Expect these responses, all but the last optional. `keep` logs the URI in a header,
        `tag_keep` the tags, as `tags TO-TAG FROM-TAG`. `challenge`: the next request may have
        `[authentication]` among its header lines."""
        for code in codes[:-1]:
            self._step(f'<recv response="{code}" optional="true"/>')
        last = codes[-1]
        dialog = self._makes_dialog and not self._in_dialog and 180 < last < 300
        mark = ' rrs="true"' if dialog else ' auth="true"' if challenge else ""
        tags = ""
        if tag_keep:
            self._names += ["tagsparam", "totag"]
            tags = (
                '<ereg regexp="tag=([^;]*)" search_in="hdr" header="To:" '
                'assign_to="tagsparam,totag"/>'
                '<log message="tags [$totag] [pid]SIPpTag00[call_number]"/>'
            )
        self._step(f'<recv response="{last}"{mark}>{_action(self._keep(keep) + tags)}</recv>')
        self._in_dialog = self._in_dialog or dialog

    def asked(self, method: str, keep: str = "", *, optional: bool = False) -> None:
        """Expect a request; `optional`: what comes after it may come without it."""
        mark = own = ""
        if not self._peer and not self._asked:
            self._asked = True
            mark = ' rrs="true"'
            own = _KEEP_FIRST
        elif self._echo:
            own = _STACK
        mark += ' optional="true"' if optional else ""
        self._step(f'<recv request="{method}"{mark}>{_action(own + self._keep(keep))}</recv>')

    def pause(self, milliseconds: int, most: int = 0) -> None:
        """Wait so long; with `most` as long as chance has it, between the two."""
        chance = f'distribution="uniform" min="{milliseconds}" max="{most}"'
        self._step(f"<pause {chance}/>" if most else f'<pause milliseconds="{milliseconds}"/>')

    def linger(self, milliseconds: int) -> None:
        """When all is said, answer for so long what is asked again."""
        self._step(f'<timewait milliseconds="{milliseconds}"/>')

    def xml(self) -> str:
        steps = "\n".join(self._steps)
        again = {name: ereg for name, ereg in _FIRST.items() if f"[${name}]" in steps}
        names = [*self._names, *again, *(["all"] if "stack" in again else [])]
        steps = steps.replace(_KEEP_FIRST, "".join(again.values())).replace("<action></action>", "")
        if names:
            steps += f'\n<Reference variables="{",".join(names)}"/>'
        return f'<?xml version="1.0"?>\n<scenario name="lab">\n{steps}\n</scenario>\n'

    def _from_to(self, dialog: bool) -> list[str]:
        if not self._peer:
            return ["From:[$own];tag=[pid]SIPpTag01[call_number]", "To:[$peer]"]
        tag = ";tag=[pid]SIPpTag00[call_number]"
        own = f'From: "{self.user}" <sip:{self.user}@server.com>{tag}'
        return [own, f"To: <sip:{self._peer}@server.com>{'[peer_tag_param]' if dialog else ''}"]

    def _message(self, lines: list[str], body: str, kind: str, retrans: bool) -> None:
        if body:
            lines.append(f"Content-Type: {kind or 'application/sdp'}")
        lines.append(f"Content-Length: {'[len]' if body else 0}")
        if self._compact:
            lines = [_compact(line) for text in lines for line in text.split("\n")]
        mark = ' retrans="500"' if retrans else ""
        text = "\n".join(lines)
        self._step(f"<send{mark}><![CDATA[\n{text}\n\n{body}]]></send>")

    def _keep(self, header: str) -> str:
        if not header:
            return ""
        name = "kept" + header.replace("-", "")
        self._names.append(name)
        log = f"<log message={quoteattr(f'{header} [${name}]')}/>"
        return _ereg(name, f"{header}:", "sip:[^>]*") + log

    def _step(self, text: str) -> None:
        self._steps.append(text)
        self._sent += 1


def _ereg(name: str, header: str, pattern: str) -> str:
    return (
        f'<ereg regexp={quoteattr(pattern)} search_in="hdr" header="{header}" assign_to="{name}"/>'
    )


_FIRST = {
    "peer": _ereg("peer", "From:", ".*"),
    "own": _ereg("own", "To:", ".*"),
    "cseq": _ereg("cseq", "CSeq:", ".*"),
    "stack": _STACK,
}


def _action(steps: str) -> str:
    return f"<action>{steps}</action>" if steps else ""


def _compact(line: str) -> str:
    name, colon, value = line.partition(": ")
    return f"{COMPACT[name]}{colon}{value}" if colon and name in COMPACT else line
