"""Turns requests into plans: build the changes, look at every target now, show what would happen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from state.changes.model import Change, ChangeSpec, Preview
from state.changes.registry import CHANGES, build
from state.errors import NotFound, ReadFailure, Refused
from state.estate.model import Estate
from state.planning.library import Library
from state.planning.plan import Draft, Seen
from state.ports.outside import Outside
from state.ports.target import Identity
from state.runs.fold import RunHistory
from state.runs.model import PlannedStep, Run, StepRun

READ_DEADLINE = 4.0
"""Seconds the look at one target may take."""


class Planner:
    """Drafts and previews; reads the outside, never acts on it."""

    def __init__(self, estate: Estate, outside: Outside, library: Library, book: RunHistory) -> None:
        self._estate, self._outside, self._library, self._book = estate, outside, library, book

    def build(self, spec: ChangeSpec) -> Change:
        """A change from its data. Raises NotFound."""
        return build(spec, self._estate, self._outside)

    def draft(self, request: Mapping[str, Any]) -> Draft:
        """What a request asks for. Raises NotFound or ConfigError when it does not fit the estate."""
        match request.get("do"):
            case "change":
                return self._one_change(request)
            case "runbook":
                name, params = str(request.get("name", "")), given(request, "params")
                return replace(self._library.draft(name, params), request=dict(request))
            case "retry":
                return self.retry(str(request.get("run", "")), str(request.get("step", "")))
            case "undo":
                return self.undo(self.run(str(request.get("run", ""))))
            case other:
                raise NotFound(f"cannot plan {other!r}; there are change, runbook, retry and undo")

    def run(self, name: str) -> Run:
        """A run by id. Raises NotFound."""
        found = self._book.runs.get(name)
        if found is None:
            raise NotFound(f"no run {name}")
        return found

    def _one_change(self, request: Mapping[str, Any]) -> Draft:
        kind, args = str(request.get("kind", "")), given(request, "args")
        change = self.build(ChangeSpec(kind, args))
        step = change_step(change, "change", 0)
        return Draft(change.title, (step,), request=dict(request))

    def retry(self, name: str, wanted: str) -> Draft:
        """The step a run stands at, as a new instance. Raises Refused unless it is known not to have come out."""
        run = self.run(name)
        step = run.next()
        if run.ended or step is None:
            raise Refused("run-open", f"{name} has ended", "Start a new run")
        if wanted and wanted != step.id:
            raise Refused("step-order", f"{name} stands at {step.id}, not at {wanted}", f"Retry {step.id}")
        last = run.latest(step.id)
        if last.state.value not in ("failed", "not-done", "stopped"):
            raise Refused(
                "step-held", f"{step.id} is {last.state.value}", "Only a step that did not come out is retried"
            )
        title = f"Retry {step.title} in {name}"
        return Draft(title, (step,), run.runbook, run.hash, run.service, run.budget, (name, last.key))

    def undo(self, run: Run) -> Draft:
        """The reverse of everything a run did, last first."""
        done = [s for s in reversed(run.all_steps()) if _changed(s) and _undo_of(s) is not None]
        if not done:
            raise Refused("undo", f"{run.id} did nothing that can be undone", "Plan the change you want instead")
        changes = [self.build(ChangeSpec(u["kind"], u["args"])) for s in done if (u := _undo_of(s)) is not None]
        steps = tuple(change_step(c, f"undo-{i + 1}", i) for i, c in enumerate(changes))
        return Draft(f"Undo {run.id}: {run.title}", steps, service=run.service, budget=run.budget)

    async def see(self, draft: Draft) -> list[Seen]:
        """Look at every target of a draft now, all at once. Raises Refused when one cannot be proven or read."""
        changes = [s for s in draft.steps if s.do == "change"]
        return list(await asyncio.gather(*(self._see(step) for step in changes)))

    async def _see(self, step: PlannedStep) -> Seen:
        change = self.build(ChangeSpec(step.what, step.args))
        looks: tuple[Identity, Preview]
        try:
            looks = await asyncio.gather(
                change.identify(deadline=READ_DEADLINE), change.preview(deadline=READ_DEADLINE)
            )
        except ReadFailure as error:
            fact = f"{change.name} cannot be read: {error.message} ({error.trouble.value})"
            way_out = "Restore the reading, then preview again; nothing acts on a target that cannot be read"
            raise Refused("fresh-readings", fact, way_out) from error
        return Seen(step, change, *looks)


def given(request: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a request that is an object, or left out. Raises NotFound for anything else."""
    value = request.get(name) or {}
    if not isinstance(value, Mapping):
        raise NotFound(f"{name} holds no names and values")
    return value


def change_step(change: Change, step: str, index: int) -> PlannedStep:
    """A step of one change outside any runbook."""
    return PlannedStep(
        id=step,
        index=index,
        do="change",
        title=change.title,
        timeout=change.timeout,
        what=change.spec.kind,
        args=dict(change.spec.args),
        owner="responder",
        risk=CHANGES[change.spec.kind].risk.value,
    )


def _changed(step: StepRun) -> bool:
    """Whether a step left something behind: done, or half done, save where that may need another way out."""
    half = step.state.value == "failed" and step.intent is not None and step.step.risk != "B3"
    return half or step.state.value == "done"


def _undo_of(step: StepRun) -> Mapping[str, Any] | None:
    undo: Mapping[str, Any] | None = (step.intent or {}).get("undo")
    return undo
