"""Which worker runs which test, and when: tests that are marked `alone` last, with the others idle.

Tests of namespaces wait most of their time, all others compute: so one worker begins with these, the
others with those. pytest-xdist's scheduler knows a test by its id alone, so the workers write down
which tests belong together before they send it those. (Its own groups, which are a part of the id, are
lost with pytest 9.)
"""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ALONE = "alone"
_LIVE = "tests/live/"
_WAITING = (_LIVE, "tests/netns/")


_FOLDER = pytest.StashKey[TemporaryDirectory[str]]()


def tell_folder(node: WorkerController) -> None:
    """Tell a worker that is to start where it is to write."""
    if _FOLDER not in node.config.stash:
        node.config.stash[_FOLDER] = TemporaryDirectory()
    node.workerinput[ALONE] = node.config.stash[_FOLDER].name


def write_down(session: pytest.Session) -> None:
    """Write down, as a worker, which tests one worker is to run."""
    told = getattr(session.config, "workerinput", None)
    if told:
        scopes = {item.nodeid: _scope(item) for item in session.items}
        (Path(told[ALONE]) / told["workerid"]).write_text(json.dumps(scopes))


def _scope(item: pytest.Item) -> str:
    """What a test belongs to: those that are alone, its module, or nothing but itself."""
    if item.get_closest_marker(ALONE):
        return ALONE
    module = item.nodeid.partition("::")[0]
    is_free = module.startswith(_LIVE) and not item.get_closest_marker("together")
    return item.nodeid if is_free else module


class AloneLast(LoadScopeScheduling):  # type: ignore[misc]
    """A module is run by one worker, as its tests share what they read; in tests/live every test is free.
    All that are `alone` are given to the last worker when the others have no test left."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._scopes: dict[str, str] = {}

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take the ids of the tests that a worker has found."""
        written = Path(self.config.stash[_FOLDER].name) / node.gateway.id
        self._scopes.update(json.loads(written.read_text()))
        super().add_node_collection(node, collection)

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Note that a worker has run a test, and give the last ones out when it was to end before them."""
        super().mark_test_complete(node, item_index, duration)
        if self._only_alone():
            for other in self.nodes:
                self._reschedule(other)

    def remove_node(self, node: WorkerController) -> str | None:
        """Forget a worker that ended; the test in which it died, if it did."""
        crashed: str | None = super().remove_node(node)
        if self._only_alone():
            for other in self.nodes:
                self._reschedule(other)
        return crashed

    def _split_scope(self, nodeid: str) -> str:
        return self._scopes[nodeid]

    def _only_alone(self) -> bool:
        return list(self.workqueue) == [ALONE]

    def _reschedule(self, node: WorkerController) -> None:
        if node.shutting_down or not self._only_alone():
            super()._reschedule(node)
        elif all(other.shutting_down for other in self.nodes if other is not node):
            self._assign_work_unit(node)
        else:
            node.shutdown()

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self._only_alone():
            others = [work for other, work in self.assigned_work.items() if other is not node]
            if any(map(self._pending_of, others)):
                return  # until they have run them
        else:
            self.workqueue.move_to_end(self._next(node), last=False)
        super()._assign_work_unit(node)

    def _next(self, node: WorkerController) -> str:
        """What a worker is to run next, of all but those that are alone."""
        scopes: list[str] = [scope for scope in self.workqueue if scope != ALONE]
        waits = [scope for scope in scopes if scope.startswith(_WAITING)]
        computes = [scope for scope in scopes if not scope.startswith(_WAITING)]
        if self.nodes.index(node) < max(len(self.nodes) - 1, 1):
            return [*waits, *computes][0]
        return [*computes, *waits][0]
