"""The shipped runbooks held against any estate: each lints without a word, and where it applies it is laid out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from adapters.files.read import read_yaml
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.config_files.located import Located
from state.estate.model import Estate
from state.runbooks.expand import expand
from state.runbooks.model import Runbook
from state.runbooks.parse import lint_runbook, structure_of
from state.runbooks.related import any_node, candidates, related, unfit

CHANGES, CHECKS = change_kinds(), check_kinds()
ARGUMENTS = {**{name: kind.args for name, kind in CHANGES.items()}, **{n: kind.args for n, kind in CHECKS.items()}}
FOLDER = Path(__file__).parents[2] / "config" / "runbooks"


@cache
def files() -> Mapping[str, Located]:
    """Every shipped runbook, by the name of its file."""
    return {path.stem: read_yaml(path) for path in sorted(FOLDER.glob("*.yaml"))}


@cache
def books() -> Mapping[str, Runbook]:
    """The same as runbooks."""
    found = {name: structure_of(located) for name, located in files().items()}
    return {name: book for name, book in found.items() if book is not None}


def held_against(estate: Estate) -> dict[str, str]:
    """Lint all of them, lay out those that apply in every way their names allow; which do not apply, and why."""
    without: dict[str, str] = {}
    for name, located in files().items():
        runbook, warnings = lint_runbook(located, estate, CHANGES, CHECKS, books())
        assert [str(each) for each in warnings] == [], name
        why = unfit(runbook, estate, books())
        if why:
            without[name] = why
            continue
        ways = list(given(runbook, estate))
        assert ways, f"{name} applies, and nothing can be given to it"
        for params in ways:
            lay_out(runbook, params, estate)
    return without


def lay_out(runbook: Runbook, params: Mapping[str, Any], estate: Estate) -> None:
    """Every check and change of the steps has arguments that its kind takes."""
    for each in expand(runbook, params, estate, books(), any_node(estate)).steps:
        if each.step.what:
            ARGUMENTS[each.step.what].model_validate(dict(each.step.args))


def given(runbook: Runbook, estate: Estate, most: int = 3) -> Iterator[dict[str, Any]]:
    """Some ways to give what is required."""
    leading = {n: s for n, s in runbook.params.items() if s.required and not s.of}
    values = [_names(runbook, name, estate) for name in leading]
    for chosen in itertools.islice(itertools.product(*values), most):
        params = dict(zip(leading, chosen, strict=True))
        for name, spec in runbook.params.items():
            if spec.required and spec.of:
                names = related(estate, spec.kind, runbook.params[spec.of].kind, params[spec.of])
                params[name] = names[-1]
        yield params


def _names(runbook: Runbook, name: str, estate: Estate) -> tuple[str, ...]:
    spec = runbook.params[name]
    names = candidates(runbook, name, estate) or ("web1",)
    return (",".join(names[:2]),) if spec.many else names
