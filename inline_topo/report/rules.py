"""What `rules status` says."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inline_topo.rules.plan import Plan
from inline_topo.rules.preflight import Finding
from inline_topo.rules.status import FamilyStatus, Queue


class Seen(NamedTuple):
    """All there is to see; `queues` is None where the kernel does not tell."""

    plan: Plan
    families: Sequence[FamilyStatus]
    queues: Sequence[Queue] | None
    findings: Sequence[Finding]

    @property
    def is_good(self) -> bool:
        """Whether the rules are those of the configuration and the gateway could start."""
        is_fatal = any(finding.fatal for finding in self.findings)
        return not is_fatal and all(status.as_configured for status in self.families)

    def lines(self) -> Iterator[str]:
        """For people."""
        for status in self.families:
            yield f"{status.family}     {_family(self.plan, status)}"
        yield from self._queue_lines()
        for finding in self.findings:
            yield f"{'error' if finding.fatal else 'warning'}: {finding.text}"

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        return {
            "good": self.is_good,
            "shape": self.plan.shape.value,
            "families": [
                {
                    "family": str(status.family),
                    "present": status.present,
                    "as_configured": status.as_configured,
                    "differences": list(status.differences),
                    "queued": status.queued,
                    "renumbered": status.renumbered,
                }
                for status in self.families
            ],
            "queues": None if self.queues is None else [q._asdict() for q in self._ours()],
            "findings": [finding._asdict() for finding in self.findings],
        }

    def _ours(self) -> list[Queue]:
        return [queue for queue in self.queues or () if queue.number in self.plan.queues]

    def _queue_lines(self) -> Iterator[str]:
        if self.queues is None:
            yield "queues   who listens is told to root alone"
            return
        listening = {queue.number: queue for queue in self._ours()}
        for number in self.plan.queues:
            if queue := listening.get(number):
                yield (
                    f"queue {number}  netlink port {queue.listener} listens: {queue.waiting} "
                    f"waiting, {queue.queue_dropped} dropped by a full queue, "
                    f"{queue.user_dropped} by a full socket"
                )
            else:
                happens = "passes in clear" if self.plan.bypass else "is dropped"
                yield f"queue {number}  nobody listens: SIP {happens}"


def _family(plan: Plan, status: FamilyStatus) -> str:
    if not status.present:
        return "no rules: inline-topo rules apply"
    if not status.as_configured:
        return f"not as configured ({'; '.join(status.differences)}): inline-topo rules apply"
    changed = f"; the NAT changed the port of {status.renumbered}" if status.renumbered else ""
    return f"in place for shape {plan.shape.value}, {_count(status.queued)} queued{changed}"


def _count(packets: int) -> str:
    return f"{packets} packet{'' if packets == 1 else 's'}"
