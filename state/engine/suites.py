"""Runs integrity suites: while a step asks for one, and around a switch of a database's leader."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from state.changes.model import ChangeSpec
from state.checks.integrity import IntegrityArgs, suite_key, summary
from state.checks.model import Answer, unknown
from state.checks.registry import check_kinds
from state.clock import Clock
from state.config_files.arguments import arguments
from state.errors import JournalUnavailable, NotFound, ReadFailure, Trouble
from state.estate.model import Estate
from state.health import Health
from state.journal.events import Event
from state.ports.integrity import CanLookWhole
from state.ports.outside import Outside
from state.runs.events import SwitchVerified
from state.runs.model import Run, StepRun
from state.runs.steps import PlannedStep
from state.world.integrity_parts import IntegrityReading
from state.world.observed import Observed, ReadError
from state.world.readings import Reading
from state.world.world import World

ASKED_FOR = 10.0
"""Seconds after the last question in which a suite goes on; later nobody waits for it."""
LIMIT = 3600.0
KEEPING = 2.0
"""Seconds in which the state before a switch is read. The switch does not wait longer."""
LOOKS = (3.0, 12.0, 30.0)
"""Seconds before each look after a switch: standbys need some to follow. The first one that finds nothing counts."""
WITHIN = 10.0
MOST_LINES, LONGEST_LINE = 60, 300
AGAIN = 3600.0
"""Seconds after a switch in which an engine that starts looks after it again, where the one before ended too early."""
SWITCHES = ("database.switchover", "database.leave-site", "database.failover", "database.promote")
InForce = Callable[[], tuple[Estate, Outside]]
"""The estate in force and what it reaches."""
RecordEvent = Callable[[Event], Awaitable[object]]


class Suites:
    """One task for each suite that is asked for, and for each switch."""

    def __init__(self, setup: InForce, world: World, clock: Clock, record: RecordEvent) -> None:
        self._setup, self._world, self._clock, self._record = setup, world, clock, record
        self._checks = check_kinds()
        self._seen: dict[str, Observed[Reading]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wanted: dict[str, float] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._after: set[asyncio.Task[None]] = set()

    def ask(self, step: PlannedStep, not_before: float) -> Answer:
        """The answer to a check step now, from readings that are not from before that instant."""
        kind = self._checks[step.what]
        try:
            args = arguments(step.what, kind.args, step.args)
            return kind.ask(args, self._with(args, not_before), self._setup()[0], self._clock.mono(), not_before)
        except NotFound as error:
            return unknown(str(error))

    def _with(self, args: object, not_before: float) -> World:
        """The world of a check: for a suite with its findings, which are asked for anew where they are older than that.
        What is not known yet is told so."""
        if not isinstance(args, IntegrityArgs):
            return self._world
        key, now = suite_key(args), self._clock.mono()
        self._wanted[key] = now
        seen = self._seen.get(key)
        old = seen is None or seen.mono is None or seen.mono < not_before
        if key not in self._tasks and (old or (seen is not None and seen.error is not None)):
            self._tasks[key] = asyncio.create_task(self._run(key, args), name=key)
        shown = seen if seen is not None else Observed(key, LIMIT)
        return World({**self._world.observed, key: shown}, self._world.trends)

    async def _run(self, key: str, args: IntegrityArgs) -> None:
        started, at = self._clock.mono(), self._clock.wall()
        suite = self._setup()[1].integrity.get(args.database)
        new: Observed[Reading] = Observed(key, LIMIT)
        before = self._seen.get(key, new)
        try:
            if suite is None:
                raise ReadFailure(Trouble.ERROR, f"the servers of {args.database} cannot be asked")
            reading = await self._while_wanted(key, suite.look(skip=args.skip, within=args.within))
            self._seen[key] = before.succeeded(reading, at, started)
        except ReadFailure as error:
            self._seen[key] = before.failed(ReadError(error.trouble, error.message, self._clock.wall()))
            await asyncio.sleep(1.0)  # what fails at once is asked again, not without end at once
        except Exception as error:  # noqa: BLE001 boundary: a defect of a suite must not pass for an answer
            message = f"{type(error).__name__} in the integrity suite of {args.database}"
            self._seen[key] = before.failed(ReadError(Trouble.ERROR, message, self._clock.wall()))
            await asyncio.sleep(1.0)
        finally:
            self._tasks.pop(key, None)

    async def _while_wanted(self, key: str, looking: Awaitable[IntegrityReading]) -> IntegrityReading:
        """Until it has ended, or nobody has asked for some time. Raises ReadFailure then."""
        task = asyncio.ensure_future(looking)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=1.0)
                if not task.done() and self._clock.mono() - self._wanted[key] > ASKED_FOR:
                    raise ReadFailure(Trouble.TIMEOUT, "nobody waited for the suite any more")
            return task.result()
        finally:
            task.cancel()

    def before(self, change: ChangeSpec, effect: str) -> None:
        """Begin to read how a cluster is before its leader is switched."""
        suite = self._suite(change)
        if suite is not None:
            self._keeping[effect] = asyncio.create_task(suite.keep(effect, deadline=KEEPING), name=f"keep {effect}")

    async def kept(self, effect: str) -> None:
        """Wait until that has ended; it has a deadline of its own."""
        if (task := self._keeping.get(effect)) is not None:
            await asyncio.wait({task}, timeout=KEEPING)

    def left(self, effect: str) -> None:
        """Nothing was sent: what was read is not needed."""
        if (task := self._keeping.pop(effect, None)) is not None:
            task.cancel()

    def after(self, change: ChangeSpec, run: str, step: str, actor: str, effect: str) -> None:
        """Look whether the cluster is sound now that its leader was switched, and record it with the run."""
        keeping, suite = self._keeping.pop(effect, None), self._suite(change)
        if suite is None:
            return
        looking = self._verified(suite, keeping, str(change.args["database"]), run, step, actor, effect)
        task = asyncio.create_task(looking, name=f"integrity after {effect}")
        self._after.add(task)
        task.add_done_callback(self._after.discard)

    async def recall(self, runs: Iterable[Run], actor: str) -> None:
        """Look again after each switch of these runs of which no look is recorded; of one that is long over, or whose
        servers cannot be asked any more, record that nobody looked."""
        for run in runs:
            for step in [each for instances in run.instances.values() for each in instances if _owed(each)]:
                assert step.intent is not None
                assert step.outcome is not None
                change, age = step.intent.change, self._clock.wall() - step.outcome.at
                if -AGAIN < age < AGAIN and self._suite(change) is not None:
                    self.after(change, run.id, step.key, run.actor, step.effect)
                    continue
                name = str(change.args["database"])
                said = f"whether {name} was sound after it is not known: nobody looked, the engine ended"
                body = SwitchVerified(name, step.effect, Health.UNKNOWN.value, (), said)
                with suppress(JournalUnavailable):
                    await self._record(Event(body, actor, run=run.id, step=step.key))

    def _suite(self, change: ChangeSpec) -> CanLookWhole | None:
        """That of a switch; None of another change, and where the servers cannot be asked."""
        database = change.args.get("database") if change.kind in SWITCHES else None
        return self._setup()[1].integrity.get(str(database)) if database is not None else None

    async def _verified(
        self,
        suite: CanLookWhole,
        keeping: asyncio.Task[None] | None,
        database: str,
        run: str,
        step: str,
        actor: str,
        effect: str,
    ) -> None:
        reading, why = None, ""
        for pause in LOOKS:
            await asyncio.sleep(pause)
            try:
                reading = await suite.since(effect, within=WITHIN)
            except Exception as error:  # noqa: BLE001 boundary: what cannot be looked at is recorded as unknown
                reading, why = None, f"{type(error).__name__}"
                continue
            if not {each.health for each in reading.lines} & {Health.FAIL, Health.UNKNOWN}:
                break
        if keeping is not None:
            keeping.cancel()
        suite.forget(effect)
        body = _body(database, effect, reading, why)
        with suppress(JournalUnavailable):  # the run itself says what the journal lacks
            await self._record(Event(body, actor, run=run, step=step))

    async def close(self) -> None:
        """End everything."""
        tasks = [*self._tasks.values(), *self._keeping.values(), *self._after]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _owed(step: StepRun) -> bool:
    """Whether it may have switched a leader, its outcome is recorded, and no look afterwards is."""
    switched = step.intent is not None and step.intent.change.kind in SWITCHES and step.sent
    return switched and step.outcome is not None and not step.integrity_said


def _body(database: str, effect: str, reading: IntegrityReading | None, why: str) -> SwitchVerified:
    if reading is None:
        said = f"whether {database} is sound after it is not known: the suite could not be run ({why})"
        return SwitchVerified(database, effect, Health.UNKNOWN.value, (), said)
    kinds = {each.health for each in reading.lines}
    order = (Health.FAIL, Health.UNKNOWN, Health.WARN, Health.PASS)
    worst = next((each for each in order if each in kinds), Health.UNKNOWN)
    ranked = sorted(reading.lines, key=lambda each: order.index(each.health))[:MOST_LINES]
    lines = tuple(
        (
            each.health.value,
            each.asked,
            each.where[:LONGEST_LINE],
            each.fact[:LONGEST_LINE],
            each.way_out[:LONGEST_LINE],
        )
        for each in ranked
    )
    left = f"; left out: {', '.join(reading.left_out)}" if reading.left_out else ""
    said = f"integrity of {database} after the switch: {summary(reading.lines)}{left}"
    return SwitchVerified(database, effect, worst.value, lines, said)
