"""What an engine is built from, and what differs between two of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from state.estate.model import Estate
from state.planning.library import Library
from state.ports.outside import Outside
from state.runs.model import Run

WIRED = ("balancers", "databases", "monitors", "zones")
"""Sections whose entries are served by adapters."""
NAMED = ("sites", "people", "services", *WIRED)
"""Sections of named entries."""
SINGLE = ("policies", "polling", "faults", "runbooks")
"""Sections without names."""
FIXED = ("estate", "environment")
"""What makes another engine of it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The estate with its adapters and runbooks. `digest` is of all files, `runbooks` the hash of each by name."""

    estate: Estate
    outside: Outside
    library: Library
    digest: str = ""
    runbooks: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class FilesNow:
    """The files as they are now: their digest, when they were changed (seconds since 1970), and why they cannot be
    loaded, empty when they can."""

    digest: str
    at: float
    problem: str = ""


class EstateFiles(Protocol):
    """Where the estate comes from. Both block for as long as files and the commands of secrets take."""

    def look(self) -> FilesNow:
        """The state of the files; cheap while none was touched."""

    def load(self, now: Setup) -> Setup:
        """Read all files; adapters of entries that are the same are kept. Connects to nothing. Raises ConfigError,
        also for a runbook that was valid before."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Names as `section/name`, sections without names as themselves, runbooks as `runbook/name`."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        said = [("added", self.added), ("removed", self.removed), ("changed", self.changed)]
        return "; ".join(f"{what} {', '.join(names)}" for what, names in said if names) or "nothing differs"


def differences(before: Setup, now: Setup) -> Differences:
    """What is different, by name."""
    old, new = dict(_entries(before)), dict(_entries(now))
    return Differences(
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
        tuple(name for name in new if name in old and old[name] != new[name]),
    )


def _entries(setup: Setup) -> Iterator[tuple[str, Any]]:
    for section in NAMED:
        for name, entry in getattr(setup.estate, section).items():
            yield f"{section}/{name}", entry
    for section in (*FIXED, *SINGLE):
        yield section, getattr(setup.estate, section)
    for name, digest in (setup.runbooks or {}).items():
        yield f"runbook/{name}", digest


def stands_on(run: Run, differs: Differences) -> tuple[str, ...]:
    """What of the differences an open run needs as it was: its targets, service and runbook, and every name in the
    arguments of its steps. When readings are made at another pace, every adapter is another one."""
    names = {run.service, run.runbook, *(part for target in run.targets for part in target.split("/"))}
    for step in run.steps:
        names |= set(_texts(step.args))
    names.discard("")
    needed = [name for name in (*differs.removed, *differs.changed) if _entry(name) in names]
    return (*needed, *(name for name in differs.changed if name == "polling" or (name == "faults" and run.targets)))


def _entry(name: str) -> str:
    section, _, entry = name.partition("/")
    return entry if section in ("services", "runbook", *WIRED) else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        yield from value.split("/")
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
