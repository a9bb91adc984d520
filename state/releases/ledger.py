"""The releases of every service, as a fold over the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from state.journal.events import Recorded
from state.journal.projection import FoldSetting, Projection
from state.releases.events import ReleaseRecorded
from state.runs.events import RunStarted
from state.world.release_parts import LEAVES, Release

KEPT = 50
"""So many releases of a service are known; older ones are in the journal."""


class Ledger:
    """The newest releases of each service by digest, in the order in which they were first recorded, and from which of
    them people went back."""

    def __init__(self, setting: FoldSetting) -> None:
        self.releases: dict[str, dict[str, Release]] = {}
        self._entries: dict[tuple[str, str], tuple[int, int]] = {}
        """The first and the newest entry of each."""
        self._left: dict[tuple[str, str], tuple[int, float, str]] = {}
        """The entry of the newest run that went back from one, when that was, and the run."""
        self._judge = setting.judge

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry: of one digest the last word counts, and its place in the order stays."""
        body = recorded.body
        if isinstance(body, RunStarted):
            self._go_back(recorded, body)
        if not isinstance(body, ReleaseRecorded):
            return
        known = self.releases.setdefault(body.service, {})
        before = known.get(body.digest)
        known[body.digest] = Release(
            body.service, body.digest, body.version, body.schema_min, body.schema_max, body.commit, body.change,
            body.reversible_until, body.blockers, body.needs,
            order=recorded.seq if before is None else before.order,
            at=recorded.at if before is None else before.at,
            actor=recorded.event.actor,
        )  # fmt: skip
        self._entries[body.service, body.digest] = (known[body.digest].order, recorded.seq)
        for old in list(known)[:-KEPT]:
            del known[old], self._entries[body.service, old]
            self._left.pop((body.service, old), None)
        self._judge.released(body.service, self.of(body.service))

    def _go_back(self, recorded: Recorded, body: RunStarted) -> None:
        """A person confirmed that a service leaves releases; the one that it goes to is left no more."""
        leaves, service = body.request.get(LEAVES), str(body.request.get("service", ""))
        if not isinstance(leaves, list | tuple) or not leaves:
            return
        self._left.pop((service, str(body.request.get("to"))), None)
        for digest in map(str, leaves):
            if digest in self.releases.get(service, {}):
                self._left[service, digest] = (recorded.seq, recorded.at, recorded.event.run)
        self._judge.released(service, self.of(service))

    def of(self, service: str) -> tuple[Release, ...]:
        """The releases of a service, the oldest first."""
        found = [self._told(each) for each in self.releases.get(service, {}).values()]
        return tuple(sorted(found, key=lambda each: each.order))

    def _told(self, release: Release) -> Release:
        """With the run that went back from it."""
        _, at, run = self._left.get((release.service, release.digest), (0, 0.0, ""))
        return replace(release, left_in=run, left_at=at)

    def needs(self) -> Iterable[int]:
        """The entries that it follows from."""
        return {seq for both in self._entries.values() for seq in both} | {seq for seq, *_ in self._left.values()}


LEDGER = Projection(Ledger, Ledger, (ReleaseRecorded, RunStarted), Ledger.fold, needs=Ledger.needs)
