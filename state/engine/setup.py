"""What an engine is built from, and what differs between two of these."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from state.changes.floors import services_of
from state.checks.registry import check_kinds
from state.estate.model import Estate
from state.granting.model import host_of_target
from state.planning.library import Library
from state.ports.outside import Outside
from state.runs.model import Run

WIRED = ("balancers", "databases", "monitors", "zones")
"""Sections whose entries are served by adapters."""
OWN = ("hosts", "commands", "http_calls", "sql_calls", "checks", "windows")
"""Sections of what is an estate's own."""
NAMED = ("sites", "people", "services", *WIRED, *OWN, "anchors", "rules")
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


def stands_on(run: Run, differs: Differences, estate: Estate) -> tuple[str, ...]:
    """What of the differences an open run needs as it was in the estate so far: its targets with the services on them,
    its service and runbook, every name in the arguments of its steps, what those depend on, and what its checks read.
    When readings are made at another pace, every adapter is another one."""
    names = {run.service, run.runbook, *(part for target in run.targets for part in target.split("/"))}
    for balancer, _, backend in (target.partition("/") for target in run.targets):
        names |= set(services_of(estate, balancer, backend))
    checks, read = check_kinds(), set[str]()
    for step in run.steps:
        names |= set(_texts(step.args))
        read |= set(checks[step.what].reads) if step.what in checks else set()
    names = _with_needs(estate, names - {""})
    needed = [
        name for name in (*differs.removed, *differs.changed) if _entry(name) in names or name.partition("/")[0] in read
    ]
    return (*needed, *(name for name in differs.changed if name == "polling" or (name == "faults" and run.targets)))


def left_behind(place: str, before: Estate, now: Estate) -> bool:
    """Whether a place where access is live is no longer reached where it was, after the change: its end could not be
    proven."""
    host = host_of_target(place)
    if host:
        was, there = before.hosts.get(host), now.hosts.get(host)
        moved = was is not None and there is not None and (was.address, was.port) != (there.address, there.port)
        return was is not None and (there is None or there.access is None or moved)
    old, new = before.databases.get(place), now.databases.get(place)
    if old is None:
        return False
    if new is None or getattr(new, "access", None) is None:
        return True
    now_at = {node: getattr(each, "postgres", None) for node, each in new.nodes.items()}
    return any(now_at.get(node) != getattr(each, "postgres", None) for node, each in old.nodes.items())


def _with_needs(estate: Estate, names: set[str]) -> set[str]:
    """Names with everything that the services among them depend on, also through others."""
    reached = list(names)
    for name in reached:
        needs: tuple[str, ...] = estate.services[name].depends_on if name in estate.services else ()
        needs += (estate.commands[name].on,) if name in estate.commands else ()
        reached += [need for need in needs if need not in reached]
    return set(reached)


def _entry(name: str) -> str:
    section, _, entry = name.partition("/")
    return entry if section in ("services", "runbook", *WIRED, *OWN) else ""


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


async def closed(sources: Coroutine[Any, Any, None], before: Outside, now: Outside) -> None:
    """Close what another setup no longer uses."""
    await sources
    if before.connections is not None and before.connections is not now.connections:
        await before.connections.close()
