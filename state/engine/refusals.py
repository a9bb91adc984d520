"""Refused requests in the journal: each account's first one at once, what follows as one entry for each minute.

Who may do nothing could otherwise fill the journal, and with it the disk, by asking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from state.api.caller import Caller
from state.clock import Clock
from state.engine.events import RequestRefused
from state.errors import Refused
from state.journal.events import Said
from state.units import counted

WINDOW = 60.0
"""Seconds for which the refusals of one account are counted."""
MOST_ACCOUNTS = 256
"""Accounts counted at a time; for one more the oldest is recorded early."""
MOST_NAMED = 5
"""Rules named in an entry."""

Note = Callable[[Said, Caller], Awaitable[None]]


@dataclass(slots=True)
class _Window:
    caller: Caller
    since: float
    rules: Counter[str] = field(default_factory=Counter)


class Refusals:
    """Counts them by account. `note` records an entry that nothing depends on."""

    def __init__(self, note: Note, clock: Clock) -> None:
        self._note, self._clock = note, clock
        self._open: dict[int, _Window] = {}

    async def refused(self, caller: Caller, error: Refused) -> None:
        """A request was refused."""
        window = self._open.get(caller.uid)
        if window is not None:
            window.rules[error.rule] += 1
            return
        if len(self._open) >= MOST_ACCOUNTS:
            await self._end(next(iter(self._open)))
        self._open[caller.uid] = _Window(caller, self._clock.mono())
        await self._note(RequestRefused(f"{_named(caller)}: {error}"), caller)

    async def record(self, *, all_of_them: bool = False) -> None:
        """Record the counts whose time is over. An account that goes on has its next entry a window later."""
        now = self._clock.mono()
        for uid in [u for u, w in self._open.items() if all_of_them or now - w.since >= WINDOW]:
            await self._end(uid)

    async def _end(self, uid: int) -> None:
        window = self._open.pop(uid)
        total = sum(window.rules.values())
        if not total:
            return
        if len(self._open) < MOST_ACCOUNTS:
            self._open[uid] = _Window(window.caller, self._clock.mono())
        named = ", ".join(f"{rule} {number}" for rule, number in window.rules.most_common(MOST_NAMED))
        seconds = self._clock.mono() - window.since
        told = counted(total, "more refused request", "more refused requests")
        await self._note(RequestRefused(f"{_named(window.caller)}: {told} in {seconds:.0f} s: {named}"), window.caller)


def _named(caller: Caller) -> str:
    return caller.person or caller.account
