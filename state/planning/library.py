"""The runbooks an engine has loaded: rows for the screen, drafts for the planner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from state.api.views.runbooks import Param, RunbookRow
from state.checks.registry import check_kinds
from state.config_files.arguments import arguments
from state.config_files.suggestions import not_found
from state.errors import Refused
from state.estate.model import Estate
from state.planning.plan import Draft
from state.runbooks.model import Runbook, Step, flat, render, service_of
from state.runbooks.related import default_of, followed, initial, related
from state.runs.steps import PlannedStep


class Library:
    """Loaded runbooks by name; `warnings` are the linter's for each, `broken` is why others were not loaded."""

    def __init__(
        self,
        runbooks: Mapping[str, Runbook],
        estate: Estate,
        warnings: Mapping[str, tuple[str, ...]],
        broken: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self._runbooks, self._estate, self._warnings, self._broken = runbooks, estate, warnings, broken

    def rows(self) -> dict[str, RunbookRow]:
        """One row for each runbook."""
        rows = {name: self._row(name, runbook) for name, runbook in self._runbooks.items()}
        for name, problems in self._broken.items():
            rows[name] = RunbookRow(name, "cannot be loaded", "", 0, 0, (), "; ".join(problems), "never run", ())
        return rows

    def draft(self, name: str, params: Mapping[str, Any]) -> Draft:
        """A runbook with its parameters filled in. Raises NotFound or ConfigError."""
        runbook = self._runbooks.get(name)
        if name in self._broken:
            raise Refused(
                "runbook-holds", f"{name}: {self._broken[name][0]}", "Fix the file; recovery check shows every problem"
            )
        if runbook is None:
            raise not_found("runbook", name, self._runbooks)
        params = followed(runbook, params, self._estate)
        service = service_of(runbook, params)
        known = self._estate.services.get(service)
        steps = planned_steps(render(runbook, params))
        require_answerable(steps)
        budget = known.rto if known else None
        return Draft(_titled(runbook, params), steps, name, runbook.hash, service, budget)

    def _row(self, name: str, runbook: Runbook) -> RunbookRow:
        steps = [s for s in flat(runbook.steps) if s.kind != "parallel"]
        return RunbookRow(
            name=name,
            title=runbook.title,
            hash=runbook.hash,
            steps=len(steps),
            changes=sum(s.kind == "change" for s in steps),
            params=tuple(self._param(p, runbook) for p in runbook.params),
            lint="",
            last="never run",
            outline=tuple(_outline(s) for s in steps),
            warnings=self._warnings.get(name, ()),
            acts=tuple(dict.fromkeys(s.what for s in steps if s.kind == "change")),
        )

    def _param(self, name: str, runbook: Runbook) -> Param:
        spec = runbook.params[name]
        default = initial(runbook, name, self._estate) or ""
        leader = runbook.params.get(spec.of)
        belongs: dict[str, tuple[str, ...]] = {}
        if leader is not None:
            values = leader.choices or self._known(leader.kind)
            belongs = {value: related(self._estate, spec.kind, leader.kind, value) for value in values}
        follows = {value: default_of(spec, names) or "" for value, names in belongs.items()}
        choices = spec.choices or self._known(spec.kind)
        return Param(name, spec.kind, default, choices, spec.required, spec.title, spec.of, follows, belongs)

    def _known(self, kind: str) -> tuple[str, ...]:
        """The names of this estate that are valid for a kind of parameter, for forms and completion."""
        estate = self._estate
        traffic = [s.traffic for s in estate.services.values() if s.traffic]
        names: dict[str, tuple[str, ...]] = {
            "service": tuple(estate.services),
            "balancer": tuple(estate.balancers),
            "database": tuple(estate.databases),
            "node": tuple(n for d in estate.databases.values() for n in d.nodes),
            "zone": tuple(estate.zones),
            "backend": tuple(dict.fromkeys(t.backend for t in traffic)),
            "colour": tuple(dict.fromkeys(c for t in traffic for c in t.colours)),
        }
        return names.get(kind, ())


def require_answerable(steps: Sequence[PlannedStep]) -> None:
    """Raises UnsuitableArgument for a check that could never be asked with what its parameters were given."""
    checks = check_kinds()
    for step in steps:
        if step.do == "check" and step.what in checks:
            arguments(step.what, checks[step.what].args, step.args)


def planned_steps(steps: tuple[Step, ...]) -> tuple[PlannedStep, ...]:
    """Rendered steps, flattened: the members of a parallel group have its name."""
    planned: list[PlannedStep] = []
    firsts: dict[str, str] = {}
    for step in steps:
        members = step.parallel or (step,)
        firsts[step.id] = members[0].id
        for member in members:
            group = step.id if step.parallel else ""
            planned.append(_planned(member, len(planned), group, step))
    return tuple(replace(p, options=tuple((k, firsts.get(v, v)) for k, v in p.options)) for p in planned)


def _planned(step: Step, index: int, group: str, parent: Step) -> PlannedStep:
    decision = step.decide
    return PlannedStep(
        id=step.id,
        index=index,
        do=step.kind,
        title=step.title or _outline(step),
        timeout=step.limit,
        what=step.what,
        args=dict(step.args),
        owner=step.owner or parent.owner or "responder",
        on_failure=parent.on_failure if group and "on_failure" not in step.model_fields_set else step.on_failure,
        group=group,
        every=step.every,
        samples=step.samples,
        question=decision.question if decision else "",
        options=tuple(decision.options.items()) if decision else (),
    )


def _outline(step: Step) -> str:
    if step.title:
        return step.title
    if step.kind == "wait":
        return f"wait {step.limit:.0f} s"
    if step.decide is not None:
        return step.decide.question
    return f"{step.what} " + " ".join(str(v) for v in step.args.values() if v is not None)


def _titled(runbook: Runbook, params: Mapping[str, Any]) -> str:
    given = ", ".join(f"{k}={v}" for k, v in params.items() if v not in (None, ""))
    return f"{runbook.title} ({given})" if given else runbook.title
