"""Files become an estate with its runbooks: for the engine's start and for checks that connect to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.outside import kinds
from state.checks.registry import CHECKS

from adapters.files import read_yaml, runbook_paths
from state.changes.registry import CHANGES
from state.errors import ConfigError, Problem
from state.estate import Estate
from state.estate_file import parse_estate
from state.runbook import Runbook
from state.runbook_file import lint_runbook


@dataclass(frozen=True, slots=True)
class Loaded:
    """An estate, its runbooks by name, and what the linter thinks unwise in them."""

    estate: Estate
    runbooks: Mapping[str, Runbook]
    warnings: Mapping[str, tuple[str, ...]]


def load(estate_file: Path) -> Loaded:
    """Read everything. Raises ConfigError with every problem of every file."""
    estate = parse_estate(read_yaml(estate_file), kinds())
    problems: list[Problem] = []
    found: dict[str, Runbook] = {}
    places: dict[str, Path] = {}
    warnings: dict[str, tuple[str, ...]] = {}
    for path in runbook_paths(estate_file, estate.runbooks):
        try:
            runbook, unwise = lint_runbook(read_yaml(path), estate, CHANGES, CHECKS)
        except ConfigError as error:
            problems += error.problems
            continue
        name = runbook.runbook
        if name in places:
            problems.append(Problem(str(path), 1, 1, name, f"another name; {places[name]} has this one"))
        found[name], places[name] = runbook, path
        warnings[name] = tuple(str(problem) for problem in unwise)
    if problems:
        raise ConfigError(tuple(problems))
    return Loaded(estate, found, warnings)


def problems_of(estate_file: Path) -> tuple[Problem, ...]:
    """Every problem of an estate and its runbooks, or none."""
    try:
        load(estate_file)
    except ConfigError as error:
        return error.problems
    return ()
