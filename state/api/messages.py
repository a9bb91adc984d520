"""The engine's answers to requests: hello (who calls), accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.errors import Refusal

API_VERSION = 3
"""Consoles refuse an engine of another version."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The engine's first answer to a console: version, estate, the caller as the kernel reports it, and its rights.

    `barred` is why this caller can start nothing, as each request would be refused.
    """

    version: int
    estate: str
    environment: str
    person: str
    roles: tuple[str, ...]
    barred: Refusal | None
    engine_pid: int
    mono: float
    wall: float

    @property
    def may_act(self) -> bool:
        """Whether this caller can start anything."""
        return self.barred is None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submitted plan became a run. `certificate` is what a login is opened with besides a private key; public."""

    run: str
    message: str
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Retained:
    """What retention erased, or would erase: how many payloads, and of the entries that are old enough how many are
    kept, by the reason."""

    erased: int
    kept: Mapping[str, int]
    message: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class ChainProof:
    """What checking a journal from its first entry on has shown. Nothing is proven while `problem` is not empty.

    `torn` is why an export ends too early. Of the valid entries `erased` are without payload, and the last one has the
    hash `head`. `known` is the entry with the hash that was asked for, 0 when none was. `sealed` is the last entry that
    a seal names, after so many `periods`, the first with the key `root`; `anchored` the last that an anchor names.
    """

    problem: str
    torn: str
    entries: int
    head: str
    erased: int
    known: int
    sealed: int = 0
    periods: int = 0
    root: str = ""
    anchored: int = 0
