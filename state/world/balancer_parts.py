"""What a load balancer says of itself and its servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a balancer's backend. `weight` is the effective absolute weight, 0 to 256.

    `drained` is in force; `aside` means that the server's own health check set it, not an operator.
    `agent`: a program beside the server tells the balancer its weight, again and again; `agent_says` is its word where
    it holds the server out of rotation, which a passing health check does not lift. `backup`: it takes nothing while
    another server of its backend serves. `checked`: a check has answered, so that `up` is evidence; a server without a
    check, or before its first answer, is in rotation all the same. `follows`: the server (`backend/name`) whose state
    it has, also in maintenance and drain. `unresolved`: it is out because its name has no address. `throttle`: percent
    of its weight that it has while it warms up. `check_off`: it has a health check, which is switched off. `failing`:
    it is up, and its last check failed; so many more and it is down (HAProxy: `UP 2/3`).
    """

    backend: str
    name: str
    address: str
    status: str
    weight: int
    configured_weight: int
    drained: bool
    maintenance: bool
    up: bool
    sessions: int
    queued: int
    check: str
    requests: int
    errors_5xx: int
    agent: bool = False
    aside: bool = False
    agent_says: str = ""
    backup: bool = False
    checked: bool = True
    follows: str = ""
    unresolved: bool = False
    throttle: int = 100
    check_off: bool = False
    failing: bool = False

    @property
    def serving(self) -> bool:
        """Whether it is in rotation: up, not taken out and with a weight. A backup then still waits for its turn."""
        return self.up and not self.drained and not self.maintenance and self.weight > 0


class NextReads(StrEnum):
    """Whether the next process of a balancer reads the file in which its settings are saved."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SavedSettings:
    """The file in which the settings of a balancer are saved for its next process, held against its present ones.

    `path` is as the estate names it. `lost`: by `backend/server`, what that process would have instead, as
    `weight 100`, empty where it has no such server; a server that is not there keeps what it has. `edited` are those
    that the configuration on the disk has otherwise than the process. `barred`: by backend, why its file is not read
    though it is configured. `kept` are the backends of which the file has settings
    that are not the configured ones. `reads`: by backend, whether that process reads it; what is not there is unknown,
    and `unknown` says why. `trouble`: why the file cannot be read; it is taken to have nothing then.
    """

    path: str
    lost: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    reads: Mapping[str, NextReads] = field(default_factory=dict)
    unknown: str = ""
    trouble: str = ""
    edited: frozenset[str] = frozenset()
    barred: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StickTable:
    """What a balancer remembers of whom it led where: how many entries, and a digest of each; None of a table that is
    too large to be read. `full`: a new entry takes the place of another one."""

    used: int
    entries: frozenset[str] | None = None
    full: bool = False


@dataclass(frozen=True, slots=True)
class BalancerReading:
    """One balancer process: its identity (`process` = pid and start, so a restart is visible) and all its servers.

    `servers` is keyed `backend/server`. `empty` are the backends that are there and have no server,
    `maps` the keys and values of the maps that are read, in their order. `frontends` has the state of each place where
    it takes connections; `listens` are the names that are frontend and backend (`listen` of HAProxy).
    `tables` are the stick tables that the estate names and that could be read.
    `leaving`: processes that a reload left behind and that still serve; None = not known.
    `saved`: what its next process takes over; None where the estate names no file for it.
    """

    name: str
    version: str
    process: str
    started_at: float
    servers: Mapping[str, Server] = field(default_factory=dict)
    empty: frozenset[str] = frozenset()
    maps: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    frontends: Mapping[str, str] = field(default_factory=dict)
    listens: frozenset[str] = frozenset()
    leaving: int | None = None
    tables: Mapping[str, StickTable] = field(default_factory=dict)
    saved: SavedSettings | None = None
    _found: dict[str, tuple[Server, ...]] = field(default_factory=dict, init=False, compare=False, repr=False)

    def of(self, backend: str) -> tuple[Server, ...]:
        """The servers of one backend, in the balancer's order; found once a reading."""
        found = self._found.get(backend)
        if found is None:
            found = self._found[backend] = tuple(s for s in self.servers.values() if s.backend == backend)
        return found
