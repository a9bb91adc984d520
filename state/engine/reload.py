"""Changed files of the estate: announced on every screen, and taken without a restart when nothing stands on them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from state.api.views.header import EstateChange
from state.engine.calendars import run_out_soon
from state.engine.events import EstateReloaded
from state.engine.setup import FIXED, Differences, EstateFiles, Setup, differences, left_behind, stands_on
from state.errors import Refused
from state.grants.fold import Grants
from state.journal.events import Event, Recorded
from state.journal.projection import FoldSetting, Projection, about_nothing
from state.journal.writer import Journal
from state.planning.submissions import Submissions
from state.runs.fold import RunHistory
from state.units import utc
from state.verdicts.cause_parts import hand
from state.views.context import Alarm, Contribution, ViewContext

LOOK_EVERY = 2.0
"""Seconds between two looks at the files."""
SHOWN = 16
"""Characters of a digest in messages."""


class Pending:
    """What was changed in the files and is not loaded, if anything."""

    def __init__(self, setting: FoldSetting | None = None) -> None:
        self.change: EstateChange | None = None
        self.unrecorded = 0

    def fold(self, recorded: Recorded) -> None:
        """A reload took the files as they were then."""
        self.change = None

    def announce(self, change: EstateChange | None) -> bool:
        """Remember what the files are now; whether that is news."""
        news = change != self.change
        self.change, self.unrecorded = change, self.unrecorded + news
        return news


PENDING = Projection(Pending, Pending, (EstateReloaded,), Pending.fold, subjects=about_nothing)


def contribute(context: ViewContext) -> Contribution:
    """An alarm while the engine decides by other rules than the files have."""
    change = context.of(Pending).change
    if change is None:
        return Contribution()
    since = f"estate, runbook or calendar changed {utc(change.at)}"
    how = f"cannot be loaded: {change.problem}" if change.problem else "not loaded: recovery engine reload"
    steps = "By hand: recovery check tells what is wrong in the files; recovery engine reload takes them when valid."
    return Contribution(alarms=(Alarm(f"{since}, {how}", hand("by hand", steps)),), estate_change=change)


async def nothing_more() -> None:
    """Nothing else follows a reload."""


class Reload:
    """Looks at the files and takes them on request.

    `renew` puts a setup in force: it must not fail, and returns what is still to be closed. `after` is awaited once
    another one is in force.
    """

    def __init__(
        self,
        setup: Setup,
        files: EstateFiles | None,
        renew: Callable[[Setup], Coroutine[Any, Any, None]],
        *,
        pending: Pending,
        history: RunHistory,
        plans: Submissions,
        grants: Grants,
        journal: Journal,
        moved: Callable[[], None],
        after: Callable[[], Awaitable[None]] = nothing_more,
    ) -> None:
        self._after = after
        self.setup, self._files, self._renew = setup, files, renew
        self._pending, self._history, self._plans, self._journal = pending, history, plans, journal
        self._grants = grants
        self._moved = moved
        self._one = asyncio.Lock()

    async def watch(self) -> None:
        """Announce changed files until cancelled."""
        while self._files is not None:
            try:
                await self.look(self._files)
            except Exception as error:  # noqa: BLE001 boundary: no file may end the looking at files
                before = self._pending.change
                at = self._journal.clock.wall() if before is None else before.at
                if self._pending.announce(EstateChange(at, f"the files cannot be looked at ({type(error).__name__})")):
                    self._moved()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self, files: EstateFiles) -> None:
        """Compare the files with what is loaded."""
        now = await asyncio.to_thread(files.look)
        same = now.digest == self.setup.digest
        if self._pending.announce(None if same else EstateChange(now.at, now.problem)):
            self._moved()
        if same and run_out_soon(self.setup.estate, self._journal.clock.wall()):
            await self._work_out_again(files)

    async def _work_out_again(self, files: EstateFiles) -> None:
        """The same files, with their calendars worked out from now on: nothing to record, no rule is another one."""
        async with self._one:
            fresh = await asyncio.to_thread(files.load, self.setup)
            async with self._plans.alone():
                if fresh.digest != self.setup.digest:
                    return
                self.setup = fresh
                closing = self._renew(fresh)
        await closing

    async def take(self, actor: str, session: str) -> str:
        """Load the files and put them in force; what is different, in words.

        Raises ConfigError for invalid files, Refused for what open runs stand on, JournalUnavailable; then everything
        stays as it was.
        """
        if self._files is None:
            raise Refused("estate-files", "this engine was not started from files", "Restart it")
        async with self._one:
            fresh = await asyncio.to_thread(self._files.load, self.setup)
            async with self._plans.alone():  # no run begins between the check and the change
                differs = differences(self.setup, fresh)
                self._require_free(differs)
                self._require_kept(fresh)
                before, after = self.setup.digest[:SHOWN], fresh.digest[:SHOWN]
                if before == after and not differs:  # a calendar may be readable now, byte for byte the same
                    return "nothing has changed"
                message = f"estate {before} → {after}: {differs}"
                body = EstateReloaded(
                    self.setup.digest, fresh.digest, differs.added, differs.removed, differs.changed, message
                )
                await self._journal.append(Event(body, actor, session))
                self.setup = fresh
                closing = self._renew(fresh)
        await closing
        await self._after()
        return message

    def _require_kept(self, fresh: Setup) -> None:
        """Access that is live stays within reach: what the estate does not name any more is watched by nobody."""
        left = [each for each in self._grants.open if left_behind(each.database, self.setup.estate, fresh.estate)]
        if left:
            said = ", ".join(f"{each.id} of {each.person} is live at {each.database}" for each in left)
            way_out = f"End it first: recovery access end {left[0].id}. What leaves its place as it is can be taken now"
            raise Refused("access-live", f"{said}, which these files leave out or have elsewhere", way_out)

    def _require_free(self, differs: Differences) -> None:
        fixed = [name for name in FIXED if name in differs.changed]
        if fixed:
            fact = f"{' and '.join(fixed)} cannot change while an engine runs"
            raise Refused("estate-fixed", fact, "Stop the engine and start one for the other estate")
        needed = {
            run.id: names for run in self._history.open() if (names := stands_on(run, differs, self.setup.estate))
        }
        if needed:
            said = "; ".join(f"{run} stands on {', '.join(names)}" for run, names in needed.items())
            way_out = (
                f"Wait until {' and '.join(needed)} has ended, or stop it; what no run stands on can be taken alone"
            )
            raise Refused("estate-in-use", said, way_out)
