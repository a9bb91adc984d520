"""An estate file becomes an `Estate`, or one ConfigError with every problem and its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from state.config_files.explain import explain
from state.config_files.literal_secrets import HIDDEN, literal_secrets
from state.config_files.located import Located
from state.config_files.paths import Path, select
from state.config_files.quantities import written_for
from state.config_files.references import reference_problems
from state.config_files.suggestions import nearest, one_of
from state.errors import ConfigError, Problem
from state.estate.model import (
    Adapted,
    AnchorEntry,
    BalancerEntry,
    DatabaseEntry,
    Estate,
    FaultsEntry,
    Kinds,
    MonitorEntry,
    SecretRef,
    ZoneEntry,
)
from state.estate.rules import rule_problems

ADAPTED: Mapping[Path, type[Adapted]] = {
    ("databases", "*"): DatabaseEntry,
    ("balancers", "*"): BalancerEntry,
    ("zones", "*"): ZoneEntry,
    ("monitors", "*"): MonitorEntry,
    ("anchors", "*"): AnchorEntry,
    ("faults",): FaultsEntry,
}
"""The paths of entries with an adapter, and the base model of each section."""


def parse_estate(located: Located, kinds: Kinds) -> Estate:
    """The validated estate. Raises ConfigError with every problem, in file order; no connection is made."""
    if not isinstance(located.data, dict):
        raise ConfigError((located.problem((), "", "a mapping that begins with `estate: <name>`"),))
    findings = list(secret_problems(located))
    hidden = [path for path, _ in findings]
    written = written_for(Estate, located.data, model_of=lambda model, entry: _model_of(model, entry, kinds))
    findings += reference_problems(located, written.references)
    estate: Estate | None = None
    try:
        estate = Estate.model_validate(written.data, context=kinds)
    except ValidationError as error:
        findings += explain(located, error, written, open_at=_without_model(located, kinds))
    findings += rule_problems(located)
    findings += _unknown_kinds(located, kinds)
    if estate is not None:
        findings += _secret_references(located, estate, ())
    problems = first_of_each(findings, hidden)
    if problems or estate is None:
        raise ConfigError(problems)
    return estate


def secret_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """A problem for every secret written into the file itself."""
    for path in literal_secrets(located.data):
        message = "a reference to the secret: {file: …}, {env: …} or {command: […]}; secrets must not be in this file"
        yield path, located.problem(path, HIDDEN, message)


def first_of_each(findings: list[tuple[Path, Problem]], hidden: list[Path]) -> tuple[Problem, ...]:
    """One problem per path, from the first rule that finds one, in file order. Under a literal secret no other problem
    is reported: its message could quote the secret."""
    kept: dict[Path, Problem] = {}
    for path, problem in findings:
        covered = any(path != secret and _overlap(path, secret) for secret in hidden)
        if path not in kept and not (covered and problem.value != HIDDEN):
            kept[path] = problem
    return tuple(sorted(dict.fromkeys(kept.values()), key=lambda p: (p.line, p.column)))


def _overlap(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _model_of(model: type[BaseModel], entry: Mapping[str, Any], kinds: Kinds) -> type[BaseModel]:
    special = model.model_for(entry, kinds) if issubclass(model, Adapted) else None
    return special or model


def _without_model(located: Located, kinds: Kinds) -> list[Path]:
    """The entries of an unknown kind."""
    entries = (
        (path, common, entry) for where, common in ADAPTED.items() for path, entry in select(located.data, where)
    )
    return [path for path, common, entry in entries if common.model_for(entry, kinds) is None]


def _unknown_kinds(located: Located, kinds: Kinds) -> Iterator[tuple[Path, Problem]]:
    for pattern, entry in ADAPTED.items():
        valid = sorted(kind for section, kind in kinds if section == entry.section)
        for path, kind in select(located.data, (*pattern, "kind")):
            if isinstance(kind, str) and kind not in valid:
                message = f"an adapter: {one_of(valid)}" if valid else "an adapter, but there is none for this"
                yield path, located.problem(path, repr(kind[:60]), message, nearest(kind, valid))


def _secret_references(located: Located, value: Any, path: Path) -> Iterator[tuple[Path, Problem]]:
    """A secret is read from one place: file, env or command."""
    if isinstance(value, SecretRef):
        present = [name for name in SecretRef.model_fields if getattr(value, name) is not None]
        if len(present) != 1:
            found = " and ".join(present) or "none of them"
            yield path, located.problem(path, found, "exactly one of file, env and command")
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _secret_references(located, getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secret_references(located, item, (*path, key))
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _secret_references(located, item, (*path, index))
