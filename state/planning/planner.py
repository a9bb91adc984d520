"""Turns requests into plans: builds the changes, reads every target now, shows what would happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from state.api.card import CardWarning, Rule
from state.api.requests import PlanChange, PlanRequest, PlanRetry, PlanRollback, PlanRunbook, PlanUndo
from state.changes.model import CanFollow, Change, ChangeSpec, LooksAround, Preview
from state.changes.registry import build, change_kind
from state.errors import ReadFailure, Refused
from state.estate.model import Estate
from state.health import Health
from state.planning.library import Library
from state.planning.plan import Draft, Seen, follows
from state.planning.release_fits import fits_rules, fits_warnings
from state.planning.roles import leaders_of
from state.planning.rollback import rollback_draft
from state.planning.sets import overridden, specs_of, together
from state.planning.undoing import still_as_left
from state.ports.outside import Outside
from state.ports.target import Identity, Setting
from state.runs.captured import filled
from state.runs.fold import RunHistory
from state.runs.model import Run
from state.runs.offers import held_steps, named, offers
from state.runs.steps import PlannedStep
from state.verdicts.judge import Judgement
from state.verdicts.releases import ReleasesVerdict

READ_DEADLINE = 4.0
"""Seconds that reading one target may take."""


class Planner:
    """Drafts and previews; reads the outside, never acts on it."""

    def __init__(
        self,
        estate: Estate,
        outside: Outside,
        library: Library,
        history: RunHistory,
        judgement: Callable[[], Judgement] | None = None,
    ) -> None:
        """`judgement` gives all verdicts now; without it nothing is known of services and their releases."""
        self._estate, self._outside, self._library, self._history = estate, outside, library, history
        self._judgement = judgement

    def build(self, spec: ChangeSpec) -> Change:
        """A change from its data. Raises NotFound."""
        return build(spec, self._estate, self._outside)

    async def draft(self, request: PlanRequest) -> Draft:
        """What a request asks for, with the safety rules that it overrides. Raises NotFound, ConfigError or Refused."""
        draft = await self._asked(request)
        return overridden(draft, getattr(request, "overrides", {}), self._estate)

    async def _asked(self, request: PlanRequest) -> Draft:
        """What a request asks for. Raises NotFound or ConfigError when it does not match the estate, Refused where the
        order of its steps follows the roles of a database and they are not certain now."""
        match request:
            case PlanChange(kind, args):
                change = self.build(ChangeSpec(kind, args))
                return Draft(change.title, (change_step(change, "change", 0),), request=request)
            case PlanRunbook(name, params):
                asked = self._library.databases_of(name, params)
                leaders = await leaders_of(asked, self._estate, self._outside, READ_DEADLINE) if asked else {}
                return replace(self._library.draft(name, params, leaders.__getitem__), request=request)
            case PlanRollback():
                return rollback_draft(request, self._estate, self._releases())
            case PlanRetry(run, step):
                return self.retry(run, step)
            case PlanUndo(run):
                return replace(self.undo(self._history.run(run)), request=request)
            case _:
                specs = await specs_of(request, self._estate, self._outside, READ_DEADLINE)
                return await together(request, [self.build(each) for each in specs], self._step, self.see)

    def _step(self, of: Change | ChangeSpec, step: str, index: int) -> PlannedStep:
        return change_step(self.build(of) if isinstance(of, ChangeSpec) else of, step, index)

    def retry(self, name: str, wanted: str) -> Draft:
        """A step of a run as a new instance. Raises Refused unless the run stands at it and it is known not to be
        done."""
        run = self._history.run(name)
        if run.ended:
            raise Refused("run-open", f"{name} has ended", "Start a new run")
        held = held_steps(run)
        last = named(held, wanted)
        if last is None or PlanRetry.do not in offers(run):
            names = ", ".join(s.key for s in held)
            standing = ", ".join(f"{s.key} {s.state.value}" for s in run.standing()) or "no step"
            fact = f"{name} is {run.shown_state().value} and stands at {standing}"
            way_out = f"Retry {names}" if names else "Only a step that failed or is not done can be retried"
            raise Refused("step-held", f"{wanted} is not to be retried: {fact}" if wanted else fact, way_out)
        step = filled(run, last.step)
        if isinstance(step, str):
            raise Refused("step-held", f"{last.key} is not to be sent: {step}", f"Skip {last.key}, or stop {name}")
        title = f"Retry {step.title} in {name}"
        return Draft(title, (step,), run.runbook, run.hash, run.service, run.budget, (name, last.key))

    def undo(self, run: Run) -> Draft:
        """Undo everything a run did, last step first."""
        if not run.ended:
            raise Refused("run-ended", f"{run.id} has not ended", f"Stop {run.id} first, then undo it")
        if run.undone_by:
            done = "has undone it" if run.undone else "is undoing it"
            raise Refused("undo", f"{run.undone_by} {done}", f"Look at {run.undone_by}")
        undos = run.undos()
        if not undos:
            raise Refused("undo", f"{run.id} did nothing that can be undone", "Plan the change you want instead")
        changes = [self.build(undo) for undo in undos]
        steps = tuple(change_step(c, f"undo-{i + 1}", i) for i, c in enumerate(changes))
        return Draft(f"Undo {run.id}: {run.title}", steps, service=run.service, budget=run.budget)

    def healths(self) -> Mapping[str, Health]:
        """The health of every service and database now."""
        return {} if self._judgement is None else self._judgement().healths

    def _releases(self) -> Mapping[str, ReleasesVerdict]:
        return {} if self._judgement is None else self._judgement().releases

    def release_rules(self, seen: Sequence[Seen]) -> tuple[Rule, ...]:
        """Of what leads traffic to a group whether what takes it fits what is there."""
        return fits_rules(seen, self._estate, self._releases())

    def release_warnings(self, seen: Sequence[Seen]) -> tuple[CardWarning, ...]:
        """Of what sets one server whether it would take traffic and does not fit."""
        return fits_warnings(seen, self._estate, self._releases())

    async def still_as_left(self, run: Run, seen: Sequence[Seen]) -> Rule:
        """The verdict whether the targets of an undo are as the run left them."""
        undos = [r for r in self._history.runs.values() if r.undo_of == run.id]
        return await still_as_left(run, undos, seen, self.build, READ_DEADLINE)

    async def see(self, draft: Draft) -> list[Seen]:
        """Read every target of a draft now, at the same time; then, one by one, what follows an earlier change of its
        target, as that one would leave it. With safety rules, which look at several targets, everything that can follow
        does. Raises Refused when a target cannot be identified or read.
        """
        known = [s for s in draft.steps if s.do == "change" and not s.late]  # others have a card when they are reached
        changes = [(s, self.build(ChangeSpec(s.what, s.args))) for s in known]
        ruled = bool(self._estate.rules)
        later = [
            change
            if isinstance(change, CanFollow) and (earlier or (place and (ruled or isinstance(change, LooksAround))))
            else None
            for place, ((_, change), earlier) in enumerate(zip(changes, follows([c for _, c in changes]), strict=True))
        ]
        leading = [self._see(*one) for one, follower in zip(changes, later, strict=True) if follower is None]
        seen = iter(await asyncio.gather(*leading))
        left: list[Setting] = []
        found: list[Seen] = []
        for one, follower in zip(changes, later, strict=True):
            if follower is not None:
                follower.follow(left)
            found.append(next(seen) if follower is None else await self._see(*one))
            left += found[-1].preview.leaves
        return found

    async def _see(self, step: PlannedStep, change: Change) -> Seen:
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


def change_step(change: Change, step: str, index: int) -> PlannedStep:
    """A step of one change outside any runbook. When it does not happen its run ends: nobody planned what follows."""
    return PlannedStep(
        id=step,
        index=index,
        do="change",
        title=change.title,
        timeout=change.timeout,
        what=change.spec.kind,
        args=dict(change.spec.args),
        owner="responder",
        on_failure="stop",
        risk=change_kind(change.spec.kind).risk.value,
    )
