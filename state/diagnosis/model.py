"""What `recovery check --connect` finds out: one question about one target, its answer, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from state.diagnosis.tls import tls_way_out
from state.errors import ExitCode, ReadFailure, Trouble
from state.health import Health
from state.text import cut_middle

SHOWN = 240
"""So many cells of a reason are kept: a part of it is the target's own text, of any length."""


class Asked(StrEnum):
    """What is asked of a target, in the order people read it."""

    FILES = "files"
    """Secrets and certificates of this entry: there, with the right mode and owner."""
    TRANSPORT = "transport"
    """What the estate waives."""
    NAME = "name"
    """Names that must lead somewhere: hosts, and what the estate refers to at the target."""
    REACHED = "reached"
    CERTIFICATE = "certificate"
    CREDENTIAL = "credential"
    IDENTIFIED = "identified"
    ROLE = "role"
    RIGHTS = "rights"
    """What this account may do there and what it may not, tried without effect."""
    RELOAD = "reload"
    """Whether what is set there is kept by its next process."""
    CLOCK = "clock"


class Can(StrEnum):
    """Whether an account can do something at a target. What was not shown is unknown."""

    YES = "can"
    NO = "cannot"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Ability:
    """What an answer shows of an account of the estate: the one that reads, or the one that acts."""

    identity: Literal["read", "act"]
    does: str
    can: Can


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One answer. `target` is `section/entry`, or a part of it as `section/entry/part`; `next` is empty for a pass.
    `ability` is set where the answer shows one."""

    target: str
    asked: Asked
    health: Health
    reason: str
    next: str = ""
    ability: Ability | None = None

    def shows(self, does: str, can: Can | None = None, *, reads: bool = False) -> Diagnosis:
        """The same answer, which shows whether an account can do something there. Unless `can` says so, a pass shows
        that it can, an unknown answer nothing, and any other that it cannot."""
        known = can or {Health.PASS: Can.YES, Health.UNKNOWN: Can.UNKNOWN}.get(self.health, Can.NO)
        return replace(self, ability=Ability("read" if reads else "act", does, known))


@dataclass(frozen=True, slots=True)
class Subject:
    """One target; makes its answers."""

    target: str

    def part(self, name: str) -> Subject:
        """A part of it, such as a node."""
        return Subject(f"{self.target}/{name}")

    def passes(self, question: Asked, reason: str) -> Diagnosis:
        return Diagnosis(self.target, question, Health.PASS, cut_middle(reason, SHOWN))

    def warns(self, question: Asked, reason: str, way_out: str) -> Diagnosis:
        return Diagnosis(self.target, question, Health.WARN, cut_middle(reason, SHOWN), way_out)

    def fails(self, question: Asked, reason: str, way_out: str) -> Diagnosis:
        return Diagnosis(self.target, question, Health.FAIL, cut_middle(reason, SHOWN), way_out)

    def unknown(self, question: Asked, reason: str, way_out: str) -> Diagnosis:
        return Diagnosis(self.target, question, Health.UNKNOWN, cut_middle(reason, SHOWN), way_out)

    def failure(self, failure: ReadFailure, *, at: Asked = Asked.REACHED) -> Diagnosis:
        """Why there was no usable answer. No answer in time says nothing: unknown, not failed."""
        if way_out := tls_way_out(failure.message):
            return self.fails(at, failure.message, way_out)
        match failure.trouble:
            case Trouble.DENIED:
                way_out = "give the account what it is refused, or name another one in the estate"
                return self.fails(Asked.CREDENTIAL, failure.message, way_out)
            case Trouble.TIMEOUT:
                way_out = "look whether a firewall drops what this host sends, or try --within with more seconds"
                return self.unknown(at, failure.message, way_out)
            case Trouble.UNREACHABLE:
                return self.fails(at, failure.message, "look whether it runs, and whether the address is right")
            case Trouble.EMPTY:
                return self.unknown(at, failure.message, "look whether the address is right and it has data")
            case Trouble.ERROR:
                return self.fails(at, failure.message, "look whether the address leads to the right target")


def in_reading_order(found: Iterable[Diagnosis]) -> list[Diagnosis]:
    """By target as they were found first, then by question; each answer once."""
    rows = list(dict.fromkeys(found))
    targets = {target: place for place, target in enumerate(dict.fromkeys(row.target for row in rows))}
    questions = {question: place for place, question in enumerate(Asked)}
    return sorted(rows, key=lambda row: (targets[row.target], questions[row.asked]))


def counts(found: Iterable[Diagnosis]) -> Mapping[Health, int]:
    """How many answers of each kind."""
    rows = [row.health for row in found]
    return {health: rows.count(health) for health in (Health.PASS, Health.WARN, Health.FAIL, Health.UNKNOWN)}


def exit_code(found: Iterable[Diagnosis]) -> ExitCode:
    """1 when an answer fails, else 3 when one is unknown or nothing was asked, else 0."""
    number = counts(found)
    if number[Health.FAIL]:
        return ExitCode.FAILED
    return ExitCode.UNKNOWN if number[Health.UNKNOWN] or not sum(number.values()) else ExitCode.DONE
