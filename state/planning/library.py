"""The runbooks an engine has loaded: rows for the screen, drafts for the planner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from state.api.views.runbooks import Param, RunbookRow
from state.changes.registry import change_kind
from state.checks.registry import check_kinds
from state.config_files.arguments import arguments
from state.config_files.suggestions import not_found
from state.errors import Refused
from state.estate.model import Estate
from state.planning.plan import Draft
from state.runbooks.books import whole, whole_hash
from state.runbooks.expand import Concrete, expand
from state.runbooks.model import Runbook
from state.runbooks.outline import blanks, outline, outline_lines, words_of
from state.runbooks.params import substitute
from state.runbooks.related import any_node, candidates, default_of, followed, initial, led_by, related, unfit
from state.runbooks.scope import Leaders, Scope
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

    def draft(self, name: str, params: Mapping[str, Any], leaders: Leaders) -> Draft:
        """A runbook with its parameters filled in and its loops laid out. Raises Refused, NotFound or ConfigError."""
        runbook = self._runbooks.get(name)
        if name in self._broken:
            raise Refused(
                "runbook-holds", f"{name}: {self._broken[name][0]}", "Fix the file; recovery check shows every problem"
            )
        if runbook is None:
            raise not_found("runbook", name, self._runbooks)
        if why := unfit(runbook, self._estate, self._runbooks):
            raise Refused("runbook-applies", f"{name} does not apply here: {why}", "Choose another runbook")
        expanded = expand(runbook, params, self._estate, self._runbooks, leaders)
        given = followed(runbook, params, self._estate, leaders)
        known = self._estate.services.get(expanded.service)
        steps = planned_steps(expanded.steps)
        require_answerable(steps)
        budget = known.rto if known else None
        pinned = whole_hash(runbook, self._runbooks)
        return Draft(_titled(runbook, given), steps, name, pinned, expanded.service, budget)

    def databases_of(self, name: str, params: Mapping[str, Any]) -> tuple[str, ...]:
        """The databases whose roles decide the order of a runbook's steps: they are read before it is drafted."""
        asked: dict[str, None] = {}
        first = any_node(self._estate)

        def ask(database: str) -> str:
            asked[database] = None
            return first(database)

        self.draft(name, params, ask)
        return tuple(asked)

    def _row(self, name: str, runbook: Runbook) -> RunbookRow:
        outlined = list(outline_lines(runbook.steps))
        every = [s for s in whole(runbook, self._runbooks) if s.kind == "change"]
        return RunbookRow(
            name=name,
            title=blanks(runbook.title),
            hash=whole_hash(runbook, self._runbooks),
            steps=len(outlined),
            changes=len(every),
            params=tuple(self._param(p, runbook) for p in runbook.params),
            lint="",
            last="never run",
            outline=tuple(line for line, _ in outlined),
            words=tuple(words_of(step) for _, step in outlined),
            warnings=self._warnings.get(name, ()),
            acts=tuple(dict.fromkeys(s.what for s in every)),
            applies=unfit(runbook, self._estate, self._runbooks),
        )

    def _param(self, name: str, runbook: Runbook) -> Param:
        spec = runbook.params[name]
        default = initial(runbook, name, self._estate) or ""
        able = candidates(runbook, name, self._estate)
        of = led_by(runbook, name)
        leader = runbook.params.get(of)
        belongs: dict[str, tuple[str, ...]] = {}
        follows: dict[str, str] = {}
        if leader is not None:
            for value in candidates(runbook, of, self._estate) or self._known(leader.kind):
                if spec.of:
                    belongs[value] = related(self._estate, spec.kind, leader.kind, value)
                follows[value] = self._following(runbook, name, value, belongs.get(value, ()))
        choices = () if spec.many else spec.choices or able or self._known(spec.kind)
        return Param(name, spec.kind, default, choices, spec.required, spec.title, of, follows, belongs)

    def _following(self, runbook: Runbook, name: str, value: str, names: tuple[str, ...]) -> str:
        """The default of a parameter while the one it follows has a value."""
        spec, of = runbook.params[name], led_by(runbook, name)
        if spec.of or spec.default is None:
            return default_of(spec, names) or ""
        scope = Scope(self._estate, {of: value}, {of: runbook.params[of].kind}, any_node(self._estate))
        if any(scope.meaning(each).live for each in spec.derived):
            return ""
        found = substitute(spec.default, scope)
        return "" if found is None else str(found)

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
        if step.do in ("check", "when") and step.what in checks and not step.late:
            arguments(step.what, checks[step.what].args, step.args)


def planned_steps(steps: Sequence[Concrete]) -> tuple[PlannedStep, ...]:
    """The steps of a run, as they are pinned in the journal."""
    return tuple(_planned(step, index) for index, step in enumerate(steps))


def _planned(concrete: Concrete, index: int) -> PlannedStep:
    step, (why, look_for, if_it_fails) = concrete.step, concrete.prose
    return PlannedStep(
        id=concrete.id,
        index=index,
        do=concrete.do,
        title=step.title or outline(step),
        timeout=step.limit,
        what=step.what,
        args=dict(step.args),
        owner=concrete.owner or "responder",
        on_failure=concrete.on_failure,
        group=concrete.group,
        every=step.every,
        samples=step.samples,
        question=step.decide.question if step.decide else "",
        options=concrete.options,
        loop=concrete.loop,
        item=concrete.item,
        stop_after=concrete.stop_after,
        risk=change_kind(step.what).risk.value if concrete.late and concrete.do == "change" else "B0",
        capture=dict(step.capture),
        late=concrete.late,
        why=why,
        look_for=look_for,
        if_it_fails=if_it_fails,
    )


def _titled(runbook: Runbook, params: Mapping[str, Any]) -> str:
    given = ", ".join(f"{k}={v}" for k, v in params.items() if v not in (None, ""))
    return f"{runbook.title} ({given})" if given else runbook.title
