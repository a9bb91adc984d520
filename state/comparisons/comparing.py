"""Makes comparisons for people, one at a time: asked for, recorded, carried out, its verdict recorded.

It only reads, so there is nothing to confirm and nothing in doubt: what an engine that ended has not finished is over.
The servers work half of the time on one core each; no comparison takes longer than an hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from state.api.caller import Caller
from state.api.messages import Accepted
from state.api.views.comparisons import CompareOutcome
from state.comparing.request import Burden, CompareProgress, CompareRequest, DatabasePlace
from state.comparing.results import Comparison, TableResult
from state.comparisons.events import ComparisonEnded, ComparisonStarted
from state.comparisons.history import Comparisons
from state.config_files.suggestions import not_found
from state.errors import ExitCode, JournalUnavailable, NotFound, RecoveryError, Refused
from state.estate.model import Estate
from state.journal.events import Event
from state.journal.writer import Journal
from state.policy.authority import ACTING, require_role
from state.ports.outside import Outside
from state.units import counted

LIMIT = 3600.0
"""Seconds after which a comparison is given up: a longer one is made with the verb, which can be resumed."""
PACE = Burden(cores=1, share=0.5)
AGAIN = 1.0
"""Seconds until an end that could not be recorded is tried again."""
BROKEN = "an error in the engine, see its log"
OUTCOMES = {
    ExitCode.DONE: CompareOutcome.EQUAL,
    ExitCode.FAILED: CompareOutcome.DIFFERS,
    ExitCode.UNKNOWN: CompareOutcome.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class ComparisonVerdict:
    """How a comparison ended."""

    outcome: CompareOutcome
    reason: str = ""
    tables: Sequence[TableResult] = ()
    seconds: float = 0.0

    def body(self, comparison: str) -> ComparisonEnded:
        """The entry of it."""
        rows, apart = sum(each.differences for each in self.tables), sum(_differs(each) for each in self.tables)
        unknown = sum(bool(each.uncompared or each.open_rows) for each in self.tables)
        said = f"{self.outcome.value}: {counted(rows, 'row')} in {counted(apart, 'table')}"
        if self.outcome is CompareOutcome.EQUAL or not self.tables:
            said = self.outcome.value + (f": {counted(len(self.tables), 'table')}" if self.tables else "")
        if unknown:
            said += f", {unknown} not or not wholly compared"
        message = f"{comparison} {said}" + (f": {self.reason}" if self.reason else "")
        return ComparisonEnded(
            comparison, self.outcome, rows, apart, len(self.tables), unknown, round(self.seconds, 3), self.reason,
            message,
        )  # fmt: skip


def _differs(table: TableResult) -> bool:
    return table.code is ExitCode.FAILED


class Comparing:
    """What people may ask for: a comparison, and its end. `estate` and `outside` are those in force when asked."""

    def __init__(
        self,
        estate: Callable[[], Estate],
        outside: Callable[[], Outside],
        history: Comparisons,
        journal: Journal,
        actor: str,
        moved: Callable[[], None],
    ) -> None:
        self._estate, self._outside = estate, outside
        self._history, self._journal, self._actor, self._moved = history, journal, actor, moved
        self._task: asyncio.Task[None] | None = None
        self._asking = False
        self._ended_by = ""

    async def begin(self) -> None:
        """After a start: what the engine before has not finished is over, and that is recorded."""
        open_ = self._history.running
        if open_ is not None:
            await self._record(
                open_.id, ComparisonVerdict(CompareOutcome.INTERRUPTED, "the engine ended meanwhile"), self._actor
            )

    async def start(self, caller: Caller, a: str, b: str) -> Accepted:
        """Begin a comparison of two nodes, DATABASE/NODE each. Raises Refused, NotFound and JournalUnavailable."""
        require_role(caller, ACTING, "a comparison, which burdens both servers,")
        request = CompareRequest(self._place(a), self._place(b), pace=PACE, listed=0)
        if request.a == request.b:
            raise Refused("two-sides", f"{a} is equal to itself", "Name another node")
        if self._outside().comparing is None:
            raise Refused("able", "this engine cannot compare databases", f"recovery db compare {a} {b}")
        open_ = self._history.running
        if open_ is not None or self._asking:
            fact = f"{open_.id} of {open_.a} and {open_.b} is under way" if open_ else "another one begins now"
            raise Refused("one-comparison", fact, "Wait for its end, or cancel it")
        self._asking = True
        try:
            name, person = self._history.next_id(), caller.person or caller.account
            body = ComparisonStarted(name, a, b, f"{name}: compare {a} with {b}; only reads")
            await self._journal.append(Event(body, person, caller.session))
        finally:
            self._asking = False
        self._ended_by = ""
        self._task = asyncio.create_task(self._live(name, request, person), name=f"comparison {name}")
        return Accepted("", body.message)

    async def cancel(self, caller: Caller) -> Accepted:
        """End the comparison under way. Raises Refused."""
        require_role(caller, ACTING, "ending a comparison")
        open_ = self._history.running
        if open_ is None or self._task is None:
            raise Refused("comparison-open", "no comparison is under way", "Nothing to do")
        self._ended_by = self._ended_by or caller.person or caller.account
        self._task.cancel()
        return Accepted("", f"{open_.id}: cancelled; its sessions are being ended")

    async def close(self) -> None:
        """End the one under way, as this engine ends."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    def _place(self, text: str) -> DatabasePlace:
        databases = self._estate().databases
        try:
            place = DatabasePlace.parse(text)
        except ValueError as error:
            raise NotFound(str(error)) from error
        if place.entry not in databases:
            raise not_found("database", place.entry, databases)
        if place.node not in databases[place.entry].nodes:
            raise not_found(f"node of {place.entry}", place.node, databases[place.entry].nodes)
        return place

    async def _live(self, name: str, request: CompareRequest, person: str) -> None:
        """Carry it out. Whatever happens, its end is recorded."""
        found = ComparisonVerdict(CompareOutcome.FAILED, BROKEN)
        try:
            found = await self._found(name, request)
        except asyncio.CancelledError:
            by = self._ended_by
            found = (
                ComparisonVerdict(CompareOutcome.CANCELLED, f"by {by}")
                if by
                else ComparisonVerdict(CompareOutcome.INTERRUPTED, "the engine ended")
            )
        finally:
            await self._record(name, found, self._ended_by or person)

    async def _found(self, name: str, request: CompareRequest) -> ComparisonVerdict:
        comparing = self._outside().comparing
        assert comparing is not None, "it was looked for before"

        def progress(told: CompareProgress) -> None:
            self._history.told(name, told)
            self._moved()

        try:
            async with asyncio.timeout(LIMIT):
                whole: Comparison = await comparing.compare(request, progress)
        except TimeoutError:
            return ComparisonVerdict(
                CompareOutcome.FAILED, f"not finished within {LIMIT / 3600:g} h: use the verb, it can resume"
            )
        except RecoveryError as error:
            return ComparisonVerdict(CompareOutcome.FAILED, str(error))
        return ComparisonVerdict(
            OUTCOMES[whole.code], "" if whole.tables else "there are no tables", whole.tables, whole.took
        )

    async def _record(self, name: str, found: ComparisonVerdict, actor: str) -> None:
        """The end, as soon as the journal takes it."""
        while True:
            try:
                await self._journal.append(Event(found.body(name), actor))
                return
            except JournalUnavailable:
                await asyncio.sleep(AGAIN)
