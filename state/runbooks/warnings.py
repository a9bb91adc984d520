"""What is unwise in a runbook and yet valid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from state.config_files.paths import Path
from state.errors import Problem
from state.estate.model import Estate
from state.runbooks.books import Books, whole
from state.runbooks.model import Runbook, placeholders
from state.runbooks.params import placeholders_in
from state.runbooks.related import candidates, leads_to, related
from state.runbooks.steps import Step


@dataclass(frozen=True, slots=True)
class _Placed:
    """A step with its path, its place in the order, the conditions it is under, and what the items around it are of."""

    path: Path
    step: Step
    order: tuple[int, ...]
    under: frozenset[str]
    items: Mapping[str, str]


def lint_warnings(runbook: Runbook, estate: Estate, books: Books) -> Iterator[Problem]:
    """Changes that no later check verifies or that are not of the run's service, decisions without a timeout, checks
    without time to spare, parameters that no step uses."""
    located = runbook.located
    steps = list(_walk(runbook.steps, ("steps",), (), frozenset(), {}))
    checks = [each for each in steps if _proves(each.step, books)]
    for each in steps:
        path, step = each.path, each.step
        if step.change and not any(c.order > each.order and c.under <= each.under for c in checks):
            message = "a check in a later step: nothing verifies that the change worked"
            yield located.problem((*path, "change"), f"change {step.id!r}", message)
        if step.change:
            yield from _foreign(runbook, estate, each)
        if step.kind == "check" and step.samples > 1 and (step.samples - 1) * step.every == step.limit:
            message = "time to spare: it passes only if its first reading comes at once"
            yield located.problem((*path, "samples"), f"{step.samples} passes in {step.limit:g} s", message)
        if step.decide and step.timeout is None:
            message = "a timeout: the longest time people may take"
            yield located.problem((*path, "decide"), f"decision {step.id!r}", message, key=True)
    used = {name.partition(".")[0] for _, name in placeholders(runbook)} | {name for _, name in placeholders(runbook)}
    used |= {spec.of for spec in runbook.params.values()}
    for name in runbook.params:
        if name not in used:
            yield located.problem(("params", name), f"parameter {name!r}", f"a step that uses ${{{name}}}", key=True)


def _proves(step: Step, books: Books) -> bool:
    called = books.get(step.runbook) if step.runbook else None
    return bool(step.check) or (called is not None and any(each.check for each in whole(called, books)))


def _walk(
    steps: Sequence[Step], path: Path, order: tuple[int, ...], under: frozenset[str], items: Mapping[str, str]
) -> Iterator[_Placed]:
    for index, step in enumerate(steps):
        here, place = (*path, index), (*order, index)
        below = under | {step.id} if step.when is not None else under
        yield _Placed(here, step, place, below, items)
        for inner, member in enumerate(step.parallel):
            yield _Placed((*here, "parallel", inner), member, place, below, items)
        if step.steps:
            named = placeholders_in(step.each, ()) if isinstance(step.each, str) else []
            source = named[0][1].partition(".")[0] if named else ""
            inside = {**items, step.item: items.get(source, source)}
            yield from _walk(step.steps, (*here, "steps"), place, below, inside)


def _foreign(runbook: Runbook, estate: Estate, each: _Placed) -> Iterator[Problem]:
    """A change of a backend or database that need not belong to the service that the run is for."""
    wanted = placeholders_in(runbook.service, ())
    service = wanted[0][1].partition(".")[0] if wanted else ""
    given = runbook.params.get(service)
    possible = [runbook.service or ""] if given is None else list(given.choices or candidates(runbook, service, estate))
    for argument in ("backend", "database"):
        written = each.step.args.get(argument)
        if not runbook.service or not isinstance(written, str):
            continue
        names = [name.partition(".")[0] for _, name in placeholders_in(written, ())]
        if names:
            source = each.items.get(names[0], names[0])
            belongs = given is not None and (leads_to(runbook, source, service) or leads_to(runbook, service, source))
        else:
            belongs = all(written in related(estate, argument, "service", name) for name in possible)
        if not belongs:
            message = (
                f"a {argument} of the service that the run is for: a parameter with of: {service or 'its service'}"
            )
            yield runbook.located.problem((*each.path, "with", argument), repr(written), message)
