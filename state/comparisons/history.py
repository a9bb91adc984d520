"""Which comparisons there were, as a fold over the journal, and how far the one under way is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from state.api.views.comparisons import CompareOutcome, ComparisonRow
from state.comparing.request import CompareProgress
from state.comparisons.events import ComparisonEnded, ComparisonStarted
from state.journal.events import Recorded
from state.journal.projection import FoldSetting, Projection

KEPT = 20
"""So many comparisons are known; older ones are in the journal."""


class Comparisons:
    """The newest comparisons by id, in their order. `moving` while one is under way: its progress is no entry."""

    def __init__(self, setting: FoldSetting) -> None:
        self.rows: dict[str, ComparisonRow] = {}
        self._entries: dict[str, list[int]] = {}
        self.moving = False

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry. Raises KeyError for the end of a comparison that is not known."""
        body = recorded.body
        if isinstance(body, ComparisonStarted):
            self.rows[body.comparison] = _begun(body, recorded)
            self._entries[body.comparison] = [recorded.seq]
            for old in list(self.rows)[:-KEPT]:
                del self.rows[old], self._entries[old]
        elif isinstance(body, ComparisonEnded):
            if body.comparison not in self.rows and self._older(body.comparison):
                return
            self.rows[body.comparison] = _ended(self.rows[body.comparison], body, recorded)
            self._entries[body.comparison].append(recorded.seq)
        self.moving = self.running is not None

    def _older(self, comparison: str) -> bool:
        """Whether a comparison is one of those that are known no more."""
        return bool(self.rows) and _number(comparison) < min(map(_number, self.rows))

    @property
    def running(self) -> ComparisonRow | None:
        """The one under way."""
        return next((row for row in self.rows.values() if row.outcome is CompareOutcome.RUNNING), None)

    def next_id(self) -> str:
        """The id of the next one."""
        return f"C-{max(map(_number, self.rows), default=0) + 1}"

    def told(self, comparison: str, progress: CompareProgress) -> None:
        """How far it is."""
        row = self.rows.get(comparison)
        if row is not None and row.outcome is CompareOutcome.RUNNING:
            self.rows[comparison] = replace(
                row, rows=progress.differences, compared=progress.done, seconds=progress.seconds,
                share=progress.share, left=progress.left, table=progress.table,
            )  # fmt: skip

    def needs(self) -> Iterable[int]:
        """The entries that it follows from."""
        return [seq for seqs in self._entries.values() for seq in seqs]


def _number(comparison: str) -> int:
    return int(comparison.removeprefix("C-"))


def _begun(body: ComparisonStarted, recorded: Recorded) -> ComparisonRow:
    return ComparisonRow(
        body.comparison, body.a, body.b, recorded.event.actor, CompareOutcome.RUNNING, recorded.at, None,
        rows=0, tables=0, compared=0, unknown=0, seconds=0.0, reason="", share=0.0, left=None, table="",
    )  # fmt: skip


def _ended(row: ComparisonRow, body: ComparisonEnded, recorded: Recorded) -> ComparisonRow:
    return replace(
        row, outcome=body.outcome, ended_at=recorded.at, rows=body.rows, tables=body.tables, compared=body.compared,
        unknown=body.unknown, seconds=body.seconds, reason=body.reason, share=0.0, left=None, table="",
    )  # fmt: skip


COMPARISONS = Projection(
    Comparisons, Comparisons, (ComparisonStarted, ComparisonEnded), Comparisons.fold, needs=Comparisons.needs
)
