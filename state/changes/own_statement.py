"""Statements of an estate's own: one transaction that records its effect; done is when the effect is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from state.api.card import Diff
from state.changes.hands import statement_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.changes.own import OwnArgs, OwnEffect, entry_of, related_names, values_for
from state.estate.arguments import filled
from state.estate.model import Estate, Name
from state.estate.own_statements import SqlCallEntry
from state.ports.database import Database
from state.ports.outside import Outside
from state.ports.own import CanTransact
from state.ports.target import Identity, Receipt

KIND = "sql.call"
RECORDED = {True: Finding.DONE, False: Finding.NOT_DONE, None: Finding.UNKNOWN}
SAID = {True: "its effect is recorded", False: "its effect is not recorded", None: "its transaction is still open"}
LONGEST_VERB = 200
LOCKED = Late(0.0, 0.0, "PostgreSQL: a transaction keeps its advisory lock until it has ended")
"""It holds the lock of its effect from its first statement on; "not recorded" is said only when that is free."""


class StatementArgs(OwnArgs):
    """A statement of the estate, and the values of its parameters."""

    statement: Name


class RunStatement(OwnEffect):
    """Run one statement."""

    def __init__(
        self,
        args: StatementArgs,
        entry: SqlCallEntry,
        target: CanTransact,
        cluster: Database,
        undo: ChangeSpec | None,
        group: Sequence[str],
    ) -> None:
        super().__init__(ChangeSpec(KIND, args.model_dump()), "sql_calls", entry, undo, group, LOCKED)
        self._entry, self._target, self._cluster = entry, target, cluster
        self._answered = ""
        values = values_for(KIND, entry.params, args.args)
        self._values = tuple(filled(each, values) for each in entry.values)
        text = " ".join(entry.statement.split())
        self.verb = f"run {text[:LONGEST_VERB]}{'…' if len(text) > LONGEST_VERB else ''}"
        told = ", ".join(f"{name} {value}" for name, value in values.items())
        self.title = (entry.title or f"Run {args.statement}") + (f" ({told})" if told else "")

    async def identify(self, *, deadline: float) -> Identity:
        """The cluster and its leader."""
        return self.defined(await self._cluster.identify(deadline=deadline))

    async def preview(self, *, deadline: float) -> Preview:
        """What would be run; it is prepared at the primary, and not run."""
        await self._target.prepare(self._entry.statement, self._values, deadline=deadline)
        return self.previewed(
            verb=self.verb,
            facts={"statement": self._entry.statement, "values": list(self._values)},
            diff=Diff(self.subject, "not run", f"run and recorded in {self._entry.record}, {self._rows()}"),
            already=False,
            read=True,
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """One transaction, once."""
        receipt = await self._target.transact(
            self._entry.statement, self._values, self._entry.rows, effect=effect, deadline=deadline
        )
        self._answered = receipt.message
        return receipt

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Whether the effect is recorded at the primary."""
        recorded = await self._target.recorded(self.effect, deadline=deadline)
        said = f"{self.name}: {SAID[recorded]} in {self._entry.record}"
        return ReadBack(RECORDED[recorded], (f"{said}: {self._answered}" if recorded and self._answered else said,))

    def _rows(self) -> str:
        return "however many rows it changes" if self._entry.rows is None else f"with {self._entry.rows} rows"


def build(args: StatementArgs, estate: Estate, outside: Outside) -> RunStatement:
    """The change for one request. Raises NotFound for an unknown statement and for unsuitable values."""
    entry = entry_of("statement", args.statement, estate.sql_calls)
    undo: ChangeSpec | None = None
    if entry.undo is not None:
        values = values_for(KIND, entry.params, args.args)
        undo = ChangeSpec(KIND, {"statement": entry.undo.statement, "args": filled(entry.undo.args, values)})
    target, cluster = outside.sql_calls[args.statement], outside.databases[entry.database]
    undone_by = {name: each.undo.statement for name, each in estate.sql_calls.items() if each.undo is not None}
    return RunStatement(args, entry, target, cluster, undo, related_names(args.statement, undone_by))


KINDS = (ChangeKind(KIND, "Run a statement of the estate", StatementArgs, Risk.B3, build, statement_by_hand),)
