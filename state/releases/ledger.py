"""The releases of every service, as a fold over the journal."""

from __future__ import annotations

from collections.abc import Iterable

from state.journal.events import Recorded
from state.journal.projection import FoldSetting, Projection
from state.releases.events import ReleaseRecorded
from state.world.release_parts import Release

KEPT = 50
"""So many releases of a service are known; older ones are in the journal."""


class Ledger:
    """The newest releases of each service by digest, in the order in which they were first recorded."""

    def __init__(self, setting: FoldSetting) -> None:
        self.releases: dict[str, dict[str, Release]] = {}
        self._entries: dict[tuple[str, str], tuple[int, int]] = {}
        """The first and the newest entry of each."""
        self._judge = setting.judge

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry: of one digest the last word counts, and its place in the order stays."""
        body = recorded.body
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
        self._judge.released(body.service, self.of(body.service))

    def of(self, service: str) -> tuple[Release, ...]:
        """The releases of a service, the oldest first."""
        return tuple(sorted(self.releases.get(service, {}).values(), key=lambda each: each.order))

    def needs(self) -> Iterable[int]:
        """The entries that it follows from."""
        return {seq for both in self._entries.values() for seq in both}


LEDGER = Projection(Ledger, Ledger, (ReleaseRecorded,), Ledger.fold, needs=Ledger.needs)
