"""An estate file becomes an `Estate`, or one ConfigError with everything that is wrong and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from state.config_files.explain import explain
from state.config_files.literal_secrets import HIDDEN, literal_secrets
from state.config_files.located import Located
from state.config_files.paths import Path, at, select
from state.config_files.quantities import written_for
from state.config_files.suggestions import nearest, one_of
from state.errors import ConfigError, Problem
from state.estate.model import Adapted, BalancerEntry, Estate, FaultsEntry, MonitorEntry, SecretRef, ZoneEntry
from state.estate.rules import rule_problems

Kinds = Mapping[tuple[str, str], type[BaseModel]]
"""The options model of every adapter, by section of the estate and kind: `("balancers", "haproxy")`."""

ADAPTED: Mapping[str, tuple[Path, type[Adapted]]] = {
    "balancers": (("balancers", "*"), BalancerEntry),
    "zones": (("zones", "*"), ZoneEntry),
    "monitors": (("monitors", "*"), MonitorEntry),
    "faults": (("faults",), FaultsEntry),
}
"""Where the entries with an adapter stand, and what they have in common."""


def parse_estate(located: Located, kinds: Kinds) -> Estate:
    """The validated estate. Raises ConfigError with every problem, in file order; no connection is made."""
    if not isinstance(located.data, dict):
        raise ConfigError((located.problem((), "", "a mapping that begins with `estate: <name>`"),))
    findings = list(secret_problems(located))
    hidden = [path for path, _ in findings]
    written = written_for(Estate, located.data)
    estate: Estate | None = None
    try:
        estate = Estate.model_validate(written.data)
    except ValidationError as error:
        findings += explain(located, error, written)
    findings += rule_problems(located)
    findings += _adapter_problems(located, kinds)
    if estate is not None:
        findings += _reference_problems(located, estate, ())
    problems = first_of_each(findings, hidden)
    if problems or estate is None:
        raise ConfigError(problems)
    return estate


def secret_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """A problem for every secret written into the file itself."""
    for path in literal_secrets(located.data):
        message = "a reference to the secret: {file: …}, {env: …} or {command: […]}; it is never written here itself"
        yield path, located.problem(path, HIDDEN, message)


def first_of_each(findings: list[tuple[Path, Problem]], hidden: list[Path]) -> tuple[Problem, ...]:
    """One problem per path, the earliest rule's, in file order. Under a literal secret nothing else is said:
    another rule's words could quote it."""
    kept: dict[Path, Problem] = {}
    for path, problem in findings:
        covered = any(path != secret and _overlap(path, secret) for secret in hidden)
        if path not in kept and not (covered and problem.value != HIDDEN):
            kept[path] = problem
    return tuple(sorted(dict.fromkeys(kept.values()), key=lambda p: (p.line, p.column)))


def _overlap(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _adapter_problems(located: Located, kinds: Kinds) -> Iterator[tuple[Path, Problem]]:
    for section, (pattern, common) in ADAPTED.items():
        valid = sorted(kind for role, kind in kinds if role == section)
        for path, entry in select(located.data, pattern):
            kind = at(entry, ("kind",))
            if not isinstance(kind, str):
                continue
            if (section, kind) in kinds:
                yield from _option_problems(located, path, entry, kinds[section, kind], common)
            else:
                yield _unknown_kind(located, (*path, "kind"), kind, valid)
    managers = sorted(kind for role, kind in kinds if role == "databases")
    for path, kind in select(located.data, ("databases", "*", "kind")):
        if managers and isinstance(kind, str) and kind not in managers:
            yield _unknown_kind(located, path, kind, managers)


def _unknown_kind(located: Located, path: Path, kind: str, valid: list[str]) -> tuple[Path, Problem]:
    message = f"an adapter: {one_of(valid)}" if valid else "an adapter, but there is none for this"
    return path, located.problem(path, repr(kind[:60]), message, nearest(kind, valid))


def _option_problems(
    located: Located, path: Path, entry: dict[str, Any], model: type[BaseModel], common: type[Adapted]
) -> Iterator[tuple[Path, Problem]]:
    options = {key: value for key, value in entry.items() if key not in common.model_fields}
    written = written_for(model, options)
    try:
        valid = model.model_validate(written.data)
    except ValidationError as error:
        yield from explain(located, error, written, path, common.model_fields)
    else:
        yield from _reference_problems(located, valid, path)


def _reference_problems(located: Located, value: Any, path: Path) -> Iterator[tuple[Path, Problem]]:
    """A secret is read from one place: file, env or command."""
    if isinstance(value, SecretRef):
        given = [name for name in SecretRef.model_fields if getattr(value, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            yield path, located.problem(path, found, "exactly one of file, env and command")
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _reference_problems(located, getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _reference_problems(located, item, (*path, key))
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _reference_problems(located, item, (*path, index))
