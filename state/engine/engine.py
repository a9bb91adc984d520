"""The engine: keeps the world current, plans, runs, records. Everything else sends requests (`state.api.service`)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

from state.api.caller import Caller, Identified, KernelAccount
from state.api.card import Card
from state.api.messages import API_VERSION, Accepted, ChainProof, Hello, Retained
from state.api.requests import ControlRequest, Pause, PlanRequest, PlanUndo, Stop, Submission
from state.api.views.journal import JournalRow
from state.api.views.runbooks import RunbooksView
from state.audit.auditing import Auditing
from state.capabilities import load_events, parts
from state.changes.model import Change, ChangeSpec
from state.changes.safety import judged_by
from state.clock import Clock
from state.comparisons.comparing import Comparing
from state.comparisons.history import Comparisons
from state.engine.attached import Attached
from state.engine.deciding import Deciding
from state.engine.events import EngineStarted, EngineStopped
from state.engine.keeper import Keeper
from state.engine.life import GAP
from state.engine.noticing import Noticing
from state.engine.poller import Poller
from state.engine.refusals import Refusals
from state.engine.reload import Pending, Reload
from state.engine.restoring import Restoring
from state.engine.retaining import Retaining
from state.engine.session_log import SessionLog
from state.engine.setup import EstateFiles, Setup, closed
from state.engine.suites import Suites
from state.engine.topics import Topics
from state.errors import JournalUnavailable, Refused
from state.estate.model import Estate
from state.grants.fold import Grants
from state.grants.keeping import Granting
from state.journal.events import Event, Recorded, Said
from state.journal.format import Sealer, unseal_any
from state.journal.projection import Folds, FoldSetting
from state.journal.store import JournalStore
from state.journal.writer import Journal
from state.planning.library import Library
from state.planning.planner import Planner
from state.planning.standing import barred
from state.policy.authority import ACTING, require_role
from state.policy.identity import identify
from state.ports.keys import SealKeys
from state.ports.outside import Outside
from state.ports.sessions import KeepsSessions
from state.releases.ledger import Ledger
from state.releases.recording import Recording
from state.runs.amending import Amending
from state.runs.archive import Archive
from state.runs.control import RunControls
from state.runs.effects import Effects
from state.runs.executor import Executor
from state.runs.fault_points import Reach, ignore_point
from state.runs.fold import RunHistory
from state.runs.leases import Leases
from state.runs.stops import Stops
from state.verdicts.judge import Judge, Judgement
from state.views.journal import chain_proof, journal_row
from state.views.runbooks import view_of
from state.views.trends import observe_trends
from state.world.observed import Observed
from state.world.readings import Reading
from state.world.world import World

TICK = 0.25
"""Seconds between two ticks; also how soon a suspended process is detected."""
TELEMETRY = 1.0
"""Seconds between two updates of consoles for readings only; changed verdicts and entries are sent at once."""


class Engine:
    """Implements `state.api.service.EngineService` for one estate.

    `setup` is what the parts are from, with its digest, and `files` where a later one is read; without them nothing
    can be reloaded. `pid` is shown to people, `node` names this journal's host; the account `uid` that runs it may
    always stop it.
    """

    def __init__(
        self,
        estate: Estate,
        outside: Outside,
        store: JournalStore,
        clock: Clock,
        library: Library,
        *,
        node: str,
        pid: int,
        uid: int,
        reach: Reach = ignore_point,
        setup: Setup | None = None,
        files: EstateFiles | None = None,
        keys: SealKeys | None = None,
        sessions: KeepsSessions | None = None,
    ) -> None:
        self.estate, self.outside, self.clock, self.pid, self.uid = estate, outside, clock, pid, uid
        self.boot, self.world, self._store, self._actor = secrets.token_hex(8), World(), store, f"engine@{node}"
        load_events()
        judge = self._judge = Judge(estate, self.world, clock.wall)
        setting = FoldSetting(estate, judge, clock, self.boot, self._actor)
        self.folds = Folds(tuple(parts("projections")), setting)
        self.history = self.folds.of(RunHistory)
        self.journal = Journal(store, Sealer(node, self.boot), clock)
        self.journal.on_recorded = self._recorded
        self._noticing = Noticing(self.folds, self.journal, clock)
        self._planner = Planner(estate, outside, library, self.history, self._judgement)
        leases, now = Leases(self.history, self.journal, clock), (lambda: self.estate, lambda: self.outside)
        self._suites = Suites(lambda: (self.estate, self.outside), self.world, clock, self.journal.append)
        self._audit = Auditing(lambda: (self.estate, self.outside), keys, self.journal, store, self.folds, clock, node)
        about = (self._suites, lambda targets: judged_by(targets, self.estate), self._audit.anchoring)
        effects = Effects(self._build, self.journal, clock, reach, *about)
        self.executor = Executor(effects, self.journal, clock, self._suites.ask, leases, self._actor)
        self.attached, self.sessions = Attached(clock, self._move), SessionLog(sessions, clock, lambda: self._version)
        deciding = Deciding(*now, self.folds, clock, lambda: self.attached.people)
        self.plans = deciding.submissions(self._planner, leases, self.journal, self.executor)
        self.approvals = deciding.approving(self.plans, self.journal, self._actor)
        self.personal = deciding.personal(self.journal)
        self._stops = Stops(self.history, self.journal, self.executor, self._actor)
        self.controls = RunControls(self.history, self.journal, self.executor, self._stops)
        self.amending = Amending(self._build, self.history, self.journal, clock, self._actor)
        self.comparing = Comparing(*now, self.folds.of(Comparisons), self.journal, self._actor, self._move)
        told = (self.journal, self._actor, self._move, clock, self._audit.anchoring)
        self.granting = Granting(now[1], self.folds.of(Grants), *told)
        self.approvals.ends_access = self.granting.end
        self.releases = Recording(now[0], self.folds.of(Ledger), self.journal)
        self._topics = Topics(judge, self.folds, self.journal, library, clock, self.attached)
        self._restoring = Restoring(store, self.journal, self.folds, self._fold)
        self._keeper = Keeper(store, self.journal, self._restoring, self._note, self._topics.checked, self._move)
        self._archive, self._refusals = Archive(store, setting), Refusals(self._note, clock)
        self._retaining = Retaining(store, self.journal, self.folds, clock, self.boot, self._keeper.whole)
        self._poller = Poller(outside.sources, self.world, clock, self._on_observed)
        self._reload = Reload(
            setup or Setup(estate, outside, library), files, self._renew, pending=self.folds.of(Pending),
            history=self.history, plans=self.plans, grants=self.folds.of(Grants), journal=self.journal,
            moved=self._move, after=self.approvals.enforce,
        )  # fmt: skip
        self._version, self._content, self._moved, self.ended = 0, 0, asyncio.Event(), asyncio.Event()
        self.lag, self._ticked, self._woken, self._tasks = 0.0, clock.mono(), clock.mono(), list[asyncio.Task[None]]()

    async def start(self) -> None:
        """Fold the journal, record the start, read the world, continue the runs that had not ended."""
        begun = await self._restoring.restore()
        self.journal.unread = self.history.doubt or self.journal.unread
        await self._keeper.begin(begun)
        told = ("engine started", f"pid {self.pid}", self._restoring.refused)
        await self._note(EngineStarted(", ".join(filter(None, told))))
        await self.approvals.enforce()
        await self._stops.recall()
        await self.plans.tell_not_undone()
        await self._suites.recall(self.history.runs.values(), self._actor)
        await self.comparing.begin()
        self._poller.start()
        keeping = (self._keeper.prove(), self._keeper.beat(), self._keeper.watch(), *self._audit.watches())
        lasting = (self.amending.watch(), self._tick(), *keeping, self._reload.watch(), self.granting.watch())
        self._tasks = [asyncio.create_task(each) for each in lasting]
        for run in self.history.open():
            self.executor.start(run, restarted=True)

    async def run(self) -> None:
        """Wait until a person with the right asks the engine to end."""
        await self.ended.wait()

    async def stop(self) -> None:
        """Leave runs in their state (the journal has it), record the end, close every source."""
        await self.executor.close()
        await self._suites.close()
        await self.comparing.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._poller.close()
        await self._refusals.record(all_of_them=True)
        await self._note(EngineStopped("engine stopped"))
        await self._audit.close()
        if self.outside.connections is not None:
            await self.outside.connections.close()
        await self._restoring.save()
        self._archive.close()
        self._store.close()

    def hello(self, caller: Caller) -> Hello:
        """Who the caller is, and this engine's version and clocks."""
        return Hello(
            version=API_VERSION,
            estate=self.estate.estate,
            environment=self.estate.environment,
            person=caller.person or caller.account,
            roles=("observer",) if caller.read_only else caller.roles or ("observer",),
            barred=barred(caller, self.estate.policies),
            engine_pid=self.pid,
            mono=self.clock.mono(),
            wall=self.clock.wall(),
        )

    def who(self, account: KernelAccount, login: KernelAccount | None = None) -> Identified:
        """Who calls, by the accounts of the people of the estate."""
        return identify(self.estate, account, login)

    def accounts(self) -> Sequence[str]:
        """Those of all people."""
        return [account for person in self.estate.people.values() for account in person.accounts]

    def attach(self, caller: Caller, console: str, screen: str) -> str:
        """A console follows the stream; answers with its key, empty when it is not listed."""
        return self.attached.come(caller, console, screen)

    def look(self, caller: Caller, console: str, screen: str) -> None:
        """A console shows another screen."""
        self.attached.look(caller, console, screen)

    def detach(self, key: str) -> None:
        """A console has left."""
        self.attached.go(key)

    def mono(self) -> float:
        """This engine's monotonic clock."""
        return self.clock.mono()

    def view(self, topic: str) -> Any:
        """The current view of a topic."""
        return self._topics.view(topic, self._content)

    async def changed(self, seen: int) -> int:
        """Wait for a version other than `seen`."""
        while self._version == seen:
            await self._moved.wait()
        return self._version

    async def preview(self, caller: Caller, request: PlanRequest) -> Card:
        """Read the targets and show a card; nothing is changed."""
        if isinstance(request, PlanUndo) and self.history.let_go(request.run):
            self.history.hold(await self._archive.find(request.run))
        return await self.plans.preview(caller, request)

    async def submit(self, caller: Caller, request: Submission) -> Accepted:
        """Start what a card showed."""
        self._void_after_gap(self.clock.mono())
        try:
            if request.person:
                caller = await self.personal.proven(
                    caller, request, lambda who: self.plans.opened(who, request.plan).card
                )
            return await self.plans.submit(caller, request)
        except Refused as error:
            await self._refusals.refused(caller, error)
            raise

    async def run_view(self, run: str) -> RunbooksView:
        """One run with its steps, also one that ended long ago. Raises NotFound."""
        if not self.history.let_go(run):
            return view_of(self.history.run(run))
        found = {each.id: each for each in await self._archive.find(run)}
        return view_of(found[run] if run in found else self.history.run(run))

    async def control(self, caller: Caller, run: str, request: ControlRequest) -> Accepted:
        """Pause, resume, skip, stop or decide."""
        if not isinstance(request, Pause | Stop):
            self.approvals.require_present(run)
        return await self.controls.apply(caller, run, request)

    async def stop_all(self, caller: Caller) -> Accepted:
        """Start nothing new in any run. Never refused because of the journal."""
        self._require_ending(caller, "stopping")
        self.plans.halt(caller.person or caller.account)
        runs = self.history.open()
        for run in runs:
            self._stops.halt(run)
        told = await asyncio.gather(*(self._stops.stop(caller, run, "stop of everything") for run in runs))
        message = f"stopping {', '.join(r.id for r in runs)}" if runs else "nothing is running"
        return Accepted("", "; ".join(dict.fromkeys([message, *filter(None, told)])))

    async def reload(self, caller: Caller) -> Accepted:
        """Take the changed files of the estate; open runs continue, streams stay, plans shown before are void."""
        self._require_ending(caller, "reloading the estate")
        return Accepted("", await self._reload.take(caller.person or caller.account, caller.session))

    async def reload_by_signal(self) -> str:
        """The same, asked for by the service manager. Raises RecoveryError."""
        return await self._reload.take(self._actor, "")

    def _judgement(self) -> Judgement:
        return self._judge.at(self.clock.mono())

    def _build(self, spec: ChangeSpec) -> Change:
        return self._planner.build(spec)  # of the setup in force, also in runs that began under a former one

    def _renew(self, setup: Setup) -> Coroutine[Any, Any, None]:
        """Put another setup in force between two instants; the journal, its folds and open runs stay."""
        before, self.estate, self.outside = self.outside, setup.estate, setup.outside
        self._judge.renew(setup.estate)
        self._planner = Planner(setup.estate, setup.outside, setup.library, self.history, self._judgement)
        self.plans.renew(setup.estate, self._planner)
        self._topics.renew(setup.library)
        closing = self._poller.renew(setup.outside.sources)
        self._move()
        return closed(closing, before, setup.outside)

    async def shut_down(self, caller: Caller) -> Accepted:
        """End this engine; open runs keep their state and continue when an engine starts again."""
        self._require_ending(caller, "ending the engine")
        self.ended.set()
        return Accepted("", f"engine {self.pid} is ending")

    def _require_ending(self, caller: Caller, doing: str) -> None:
        """Only those who may act may stop things, and the account that could kill this process anyway."""
        if caller.read_only or caller.uid != self.uid:
            require_role(caller, ACTING, doing)

    def journal_rows(self, after: int, limit: int) -> Sequence[JournalRow]:
        """Entries with their messages."""
        self.journal.require_answers()
        return [journal_row(unseal_any(e)) for e in self._store.rows(after, limit)]

    async def journal_export(self) -> AsyncIterator[bytes]:
        """Entries as an offline verifier reads them."""
        async for line in self._keeper.export():
            yield line

    async def journal_verify(self, known: str = "") -> ChainProof:
        """Whether the stored journal is whole, valid and readable, up to the head this engine knows."""
        return chain_proof(await self._keeper.answer(known), known)

    async def journal_retain(self, caller: Caller, *, dry_run: bool) -> Retained:
        """Erase the details of old entries by the policy of the estate in force. Raises Refused."""
        require_role(caller, ("commander",), "erasing details of entries")
        person = caller.person or caller.account
        return await self._retaining.retain(self.estate, person, caller.session, dry_run=dry_run)

    def _on_observed(self, key: str, before: Observed[Reading], now: Observed[Reading]) -> None:
        if now.value is not None and now.error is None:
            observe_trends(self.world, key, now.value, before)
            self.folds.on_reading(now)
        self._content += 1
        if (before.error is None) != (now.error is None):
            self._move()

    def _recorded(self, recorded: Recorded) -> None:
        self._fold(recorded)
        if recorded.event.run:
            self.executor.wake(recorded.event.run)
        self._move()

    def _fold(self, recorded: Recorded) -> None:
        problem = self.folds.fold(recorded)
        if problem and not self.journal.unread:
            self.journal.unread = problem

    def _move(self) -> None:
        self._version += 1
        self._content += 1
        self._woken = self.clock.mono()
        self._moved.set()
        self._moved = asyncio.Event()

    async def _tick(self) -> None:
        last = self._ticked = self.clock.mono()
        while True:
            await asyncio.sleep(TICK)
            now = self.clock.mono()
            self.lag = max(0.0, now - last - TICK)
            self._void_after_gap(now)
            last = self._ticked = now
            await self._noticing.tick(now)
            await self._stops.record()
            await self._refusals.record()
            self._content += 1
            if self.history.moving or now - self._woken >= TELEMETRY or self.folds.urgent:
                self._move()

    def _void_after_gap(self, now: float) -> None:
        """After a suspension of this process, plans shown before it are void: their readings are from before."""
        if now - self._ticked > GAP:
            self.plans.void()
            self.executor.after_suspension()
            self.approvals.after_suspension()

    async def _note(self, body: Said, caller: Caller | None = None) -> None:
        """Record an entry that no request depends on: without a journal it is lost, and effects are refused."""
        actor, session = (caller.person or caller.account, caller.session) if caller else (self._actor, "")
        try:
            await self.journal.append(Event(body, actor, session))
        except JournalUnavailable:
            return
