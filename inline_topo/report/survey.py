"""What a gateway with a certain configuration would have trouble with in a capture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inline_topo.config import Config
from inline_topo.edits import Edit
from inline_topo.masking.codecs.base import SealError
from inline_topo.masking.flow import Direction, Flows
from inline_topo.masking.policy import method_of
from inline_topo.masking.topoh import Topoh
from inline_topo.report.messages import Seen, Tally
from inline_topo.report.proposal import uri_hosts
from inline_topo.report.texts import count
from inline_topo.sip import message as sip
from inline_topo.sip import names
from inline_topo.wire import ip

UDP_LIMIT = 1300  # RFC 3261 section 18.1.1: longer requests go over TCP
MTU = 1500
LONGEST_URI = 255  # where PJSIP and others stop
_DIALOGS = frozenset({b"INVITE", b"SUBSCRIBE", b"REFER"})


def warnings(
    messages: Sequence[Seen],
    tally: Tally,
    config: Config,
    flows: Flows,
    strategy: Topoh,
) -> list[str]:
    """What the capture shows that a gateway with this configuration would have trouble with."""
    found = _of_config(config)
    directions: Counter[Direction] = Counter()
    dialogs: dict[bytes, _Dialog] = {}
    lengths: list[int] = []
    long_uris = refused = straight = 0
    for seen in messages:
        flow = flows.find(seen.endpoints)
        directions[flow.direction] += 1
        if flow.direction not in (Direction.EGRESS, Direction.INGRESS):
            continue
        length = seen.length
        edits: list[Edit] = []
        if flow.direction is Direction.EGRESS:
            straight += not strategy.hosts.literal(flow.inside).own
            try:
                message = sip.parse(seen.data, *strategy.field_names(flow.direction))
                edits = strategy.edits(message, flow, 0.0) if message else []
            except (sip.Malformed, SealError):
                refused += 1
                continue
            length += sum(len(edit.new) - (edit.end - edit.start) for edit in edits)
            lengths.append(length)
            long_uris += any(_uri_length(edit) > LONGEST_URI for edit in edits)
        if seen.message and method_of(seen.message) in _DIALOGS:
            dialog = dialogs.setdefault(seen.call_id, _Dialog())
            routes = uri_hosts(seen.message, names.RECORD_ROUTE)
            dialog.has_route |= any(strategy.hosts.find(host).own for host in routes)
            dialog.is_masked |= any(edit.field == names.CONTACT for edit in edits)
    found += _of_directions(directions, len(messages))
    found += _of_sources(straight, directions[Direction.EGRESS])
    found += _of_dialogs(dialogs)
    found += _of_sizes(lengths, long_uris)
    if refused:
        found.append(f"{count(refused, 'message')} that would leave cannot be masked: refused")
    return found + _of_packets(messages, tally)


@dataclass
class _Dialog:
    has_route: bool = False
    is_masked: bool = False


def _of_config(config: Config) -> list[str]:
    if config.shape == "nat":
        return []
    return [
        f"own address {host} is not in `inside`: its traffic does not count as leaving"
        for host in config.own
        if not isinstance(host, str) and not any(host in network for network in config.inside)
    ]


def _of_directions(directions: Counter[Direction], total: int) -> list[str]:
    if not total:
        return ["no SIP over UDP in this capture"]
    if directions[Direction.EGRESS] and directions[Direction.INGRESS]:
        return []
    seen = ", ".join(f"{number} {way.value}" for way, number in directions.items())
    if directions[Direction.EGRESS] or directions[Direction.INGRESS]:
        return [f"traffic in one direction only ({seen})"]
    return [f"no message leaves or enters `inside` ({seen})"]


def _of_sources(straight: int, leaving: int) -> list[str]:
    """Packets of phones that no proxy stands before."""
    if straight * 2 <= leaving:
        return []
    return [
        f"{straight} of {count(leaving, 'message')} that leave come straight from hosts inside that are not own "
        "(no proxy): each packet shows its source, and almost nothing is masked"
    ]


def _of_dialogs(dialogs: Mapping[bytes, _Dialog]) -> list[str]:
    masked = [dialog for dialog in dialogs.values() if dialog.is_masked]
    lost = [dialog for dialog in masked if not dialog.has_route]
    if not lost:
        return []
    return [
        f"{len(lost)} of {count(len(masked), 'dialog')} whose Contacts are masked have no Record-Route "
        "of an own host: their later requests arrive only if the mask address is the proxy's"
    ]


def _of_sizes(lengths: Sequence[int], long_uris: int) -> list[str]:
    found = []
    over = sum(length > MTU for length in lengths)
    near = sum(UDP_LIMIT < length <= MTU for length in lengths)
    if over:
        found.append(
            f"{count(over, 'message')} that leave{'s' * (over == 1)} would be longer than {MTU} bytes "
            f"when masked (up to {max(lengths)}): fragments, and lost on IPv6 or with DF set"
        )
    if near:
        found.append(
            f"{count(near, 'message')} that leave{'s' * (near == 1)} would be between {UDP_LIMIT} and "
            f"{MTU} bytes when masked: RFC 3261 18.1.1 wants requests shorter over UDP"
        )
    if long_uris:
        found.append(
            f"{count(long_uris, 'message')} would carry a masked URI of more than {LONGEST_URI} bytes,"
            " which some clients cut"
        )
    return found


def _of_packets(messages: Sequence[Seen], tally: Tally) -> list[str]:
    found = []
    if tally.tcp:
        found.append(f"{count(tally.tcp, 'message')} over TCP: not rewritten, only SIP over UDP is")
    pieces = [seen.packets for seen in messages if seen.packets > 1]
    if pieces:
        found.append(
            f"{count(len(pieces), 'message')} in {sum(pieces)} fragments: live, the rules must let "
            "conntrack put them together"
        )
    if tally.incomplete:
        lost = count(tally.incomplete, "fragment")
        found.append(f"{lost} without the rest of the datagram: refused where they leave")
    if tally.cut:
        found.append(f"{count(tally.cut, 'packet')} captured only in part: capture with -s 0")
    states = Counter(seen.checksum for seen in messages)
    if states[ip.PARTIAL]:
        found.append(
            f"{count(states[ip.PARTIAL], 'message')} with the checksum left to the network card "
            "(offload): taken on the sending host, and kept so"
        )
    if states[ip.CORRUPT]:
        wrong = count(states[ip.CORRUPT], "message")
        found.append(f"{wrong} with a wrong UDP checksum: stays wrong, the receiver drops it")
    return found


def _uri_length(edit: Edit) -> int:
    if edit.field in (names.VIA, names.CALL_ID):
        return 0
    return len(edit.new.strip(b"<>"))
