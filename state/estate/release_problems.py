"""Rules on what deploys an artifact again and on what undoes a migration: parameters, readings, the same database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from state.config_files.literal_secrets import shown
from state.config_files.located import Located
from state.config_files.paths import Path, at, select
from state.errors import Problem
from state.estate.releases import DIGEST_PARAM, FROM_PARAM, SERVICE_PARAM, VERSION_PARAM

UNDOERS = {"command": "commands", "call": "http_calls", "statement": "sql_calls"}
"""What can undo a migration, and the section that has it."""
GIVEN = (VERSION_PARAM, FROM_PARAM, SERVICE_PARAM)


def release_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Every problem with its path."""
    for path, name in select(located.data, ("services", "*", "releases", "redeploy")):
        command = at(located.data, ("commands", name)) if isinstance(name, str) else None
        if isinstance(command, dict):  # else it is told by another rule
            expected = _redeploys(command)
            if expected:
                yield path, located.problem(path, shown((), name), expected)
    for path, schema in select(located.data, ("services", "*", "releases", "schema")):
        if isinstance(schema, dict) and isinstance(schema.get("undo"), dict):
            yield from _undo(located, (*path, "undo"), schema)


def _redeploys(command: Mapping[str, Any]) -> str:
    """What was expected of what deploys an artifact again: it takes the digest, and a reading proves what runs."""
    if DIGEST_PARAM not in (command.get("params") or {}):
        return "a command with the parameter digest"
    return "" if isinstance(command.get("read"), dict) else "a command with a read, which proves what runs"


def _undo(located: Located, path: Path, schema: Mapping[str, Any]) -> Iterator[tuple[Path, Problem]]:
    undo = schema["undo"]
    named = [what for what in UNDOERS if undo.get(what) is not None]
    if len(named) != 1:
        found = " and ".join(named) or "none of them"
        yield path, located.problem(path, found, "exactly one of command, call and statement")
        return
    what, name = named[0], undo[named[0]]
    entry = at(located.data, (UNDOERS[what], name)) if isinstance(name, str) else None
    if isinstance(entry, dict):  # else it is told by another rule
        expected = _undoes(what, entry, schema)
        if expected:
            yield (*path, what), located.problem((*path, what), shown((), name), expected)


def _undoes(what: str, entry: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What was expected of what undoes a migration."""
    params = entry.get("params")
    if not isinstance(params, dict) or VERSION_PARAM not in params:
        return f"a {what} with the parameter {VERSION_PARAM}, the version to go back to"
    open_ = [n for n, p in params.items() if n not in GIVEN and isinstance(p, dict) and p.get("default") is None]
    if open_:
        return f"a {what} whose parameter {open_[0]} has a default: only version, from and service are given"
    if what == "statement":
        same = entry.get("database") == schema.get("database")
        return "" if same else f"a statement at {schema.get('database')}, where the schema is read"
    return "" if isinstance(entry.get("read"), dict) else f"a {what} with a read, which proves that it is done"
