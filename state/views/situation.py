"""The situation as every screen shows it: causes with their instants and next steps, clocks, runs that touch a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from state.api.run_states import RunState
from state.api.views.causes import Cause, NextKind, NextStep
from state.api.views.header import RtoClock
from state.api.views.runbooks import RunbookRow
from state.detection.detector import Detector
from state.detection.onsets import Onsets, row_key
from state.estate.model import Estate
from state.health import Health
from state.runs.fold import RunHistory
from state.runs.model import Run
from state.verdicts.judge import Judgement
from state.verdicts.priority import Priority, recovery_order
from state.verdicts.situation import Place, Since, situation

ASKS = (RunState.WAITING, RunState.PAUSED)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is wrong now. `clocks` are the objectives of services, and of failing databases by what needs them;
    `runs` the open runs by the service or database that they touch."""

    causes: tuple[Cause, ...]
    places: tuple[Place, ...]
    order: tuple[Priority, ...]
    clocks: Mapping[str, RtoClock]
    runs: Mapping[str, tuple[str, ...]]


def picture(
    judgement: Judgement, detector: Detector, onsets: Onsets, history: RunHistory, library: Mapping[str, RunbookRow]
) -> Picture:
    """Put together what the readings, the journal and the library say."""
    estate, healths, recorded = judgement.estate, judgement.healths, detector.shown
    begun: dict[str, float] = {}
    for cause in judgement.causes:
        known = [s for s in (onsets.since(cause.key), cause.since_mono) if s is not None]
        if known and healths.get(cause.name) is cause.health:
            begun[cause.name] = min(known)

    def since(name: str, health: Health) -> float | None:
        clock = recorded.get(name)
        if health is Health.FAIL and clock is not None and clock.ended_mono is None:
            return clock.started_mono
        instants = [s for s in (onsets.since(row_key(name, health)), begun.get(name)) if s is not None]
        return min(instants, default=judgement.now_mono if health is Health.FAIL else None)

    clocks = recorded | _clocks(estate, healths, since, recorded)
    order = recovery_order(estate, healths, clocks, judgement.now_mono)
    causes = [c if c.since_mono is not None else replace(c, since_mono=onsets.since(c.key)) for c in judgement.causes]
    found = situation(estate, judgement.clusters, judgement.services, causes, order, since)
    runs = _touching(history.open(), (*estate.services, *estate.databases))
    steps = {c.key: _step(c.name, c.next, history, runs, library) for c in found.causes}
    arranged = tuple(replace(c, next=steps[c.key]) for c in found.causes)
    places = tuple(replace(p, next=_step(p.name, p.next, history, runs, library)) for p in found.places)
    return Picture(arranged, places, order, clocks, runs)


def _clocks(
    estate: Estate, healths: Mapping[str, Health], since: Since, recorded: Mapping[str, RtoClock]
) -> dict[str, RtoClock]:
    """The clock of what fails and is not recorded yet; a database has the objective of its most urgent service."""
    found: dict[str, RtoClock] = {}
    for name, health in healths.items():
        known = recorded.get(name)
        if health is not Health.FAIL or (known is not None and known.ended_mono is None):
            continue
        if name in estate.services:
            target = estate.services[name].rto
        else:
            targets = [s.rto for s in estate.services.values() if name in s.depends_on]
            if not targets:
                continue
            target = min(targets)
        began = since(name, health)
        if began is not None:
            found[name] = RtoClock(name, began, target, None)
    return found


def _touching(runs: Sequence[Run], names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The open runs by what they are about: their service, and what the arguments of their steps name."""
    found: dict[str, tuple[str, ...]] = {}
    for run in runs:
        named = {run.service, *(str(v) for step in run.steps for v in step.args.values())}
        for name in names:
            if name in named:
                found[name] = (*found.get(name, ()), run.id)
    return found


def _step(
    name: str,
    step: NextStep | None,
    history: RunHistory,
    runs: Mapping[str, tuple[str, ...]],
    library: Mapping[str, RunbookRow],
) -> NextStep | None:
    """A run that is under way comes before a new one; the runbook that proves a change before the bare change."""
    if step is None:
        return None
    for each in reversed(runs.get(name, ())):
        run = history.runs[each]
        acts = step.kind is NextKind.CHANGE or any(planned.do == "change" for planned in run.steps)
        if run.service == name and acts:
            word = "asks" if run.shown_state() in ASKS else f"is {run.shown_state().value}"
            return NextStep(NextKind.RUN, run.id, {}, "d", f"{run.id} {word}", f"{run.title}.")
    if step.kind is not NextKind.CHANGE:
        return step
    for row in library.values():
        params = {p.name: p for p in row.params}
        needed = {p.name for p in row.params if p.required and not p.default}
        if not (row.lint or row.applies) and step.name in row.acts and needed <= set(step.arguments):
            arguments = {k: v for k, v in step.arguments.items() if k in params}
            return replace(step, kind=NextKind.RUNBOOK, name=row.name, arguments=arguments)
    return step
