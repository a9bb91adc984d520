"""Rules about people: one human being has one name, one key and one account, as far as a file can tell."""

from __future__ import annotations

from collections.abc import Iterator

from state.config_files.located import Located
from state.config_files.paths import Path, at, select
from state.config_files.references import defined
from state.errors import Problem
from state.estate.authority import MOST_AUTHORITY
from state.estate.people import key_blob


def people_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Every problem with its path."""
    yield from _names(located)
    yield from _keys(located)
    yield from _shared(located)
    rules = at(located.data, ("policies", "authority"))
    if isinstance(rules, dict) and len(rules) > MOST_AUTHORITY:
        path: Path = ("policies", "authority")
        yield path, located.problem(path, str(len(rules)), f"at most {MOST_AUTHORITY} rules", key=True)


def _names(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Two names that differ in letter case only are one person to everybody who reads them."""
    seen: dict[str, str] = {}
    for name in defined(located.data, "people"):
        first = seen.setdefault(name.casefold(), name)
        if first != name:
            path: Path = ("people", name)
            message = f"another name: {first!r} differs in letter case only, and would be taken for the same person"
            yield path, located.problem(path, repr(name[:60]), message, key=True)
        same = at(located.data, ("people", name, "same_as"))
        if isinstance(same, str) and (same == name or at(located.data, ("people", same, "same_as")) is not None):
            path = ("people", name, "same_as")
            message = "a person who has no same_as: one entry is the person, the others name it"
            yield path, located.problem(path, repr(same[:60]), message)


def _keys(located: Located) -> Iterator[tuple[Path, Problem]]:
    """A key belongs to one person: a signature must tell who made it."""
    owners: dict[bytes, str] = {}
    for path, public in select(located.data, ("people", "*", "keys", "*", "public")):
        if not isinstance(public, str):
            continue
        try:
            blob = key_blob(public)
        except ValueError:
            continue  # told by the model
        person = str(path[1])
        first = owners.setdefault(blob, person)
        if first != person:
            message = f"a key of one person only; {first!r} already has it: write same_as where both are one person"
            yield path, located.problem(path, "the same public key", message)


def _shared(located: Located) -> Iterator[tuple[Path, Problem]]:
    """A shared account belongs to nobody."""
    owned = {account for _, account in select(located.data, ("people", "*", "accounts", "*"))
             if isinstance(account, str)}  # fmt: skip
    for path, account in select(located.data, ("policies", "shared_accounts", "*")):
        if isinstance(account, str) and account in owned:
            message = "an account that no person has alone: remove it here, or below people"
            yield path, located.problem(path, repr(account[:60]), message)
