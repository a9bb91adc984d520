"""Checks: questions with three answers. Each takes fresh readings and answers pass, fail or unknown, with evidence.

No data, a stale value, NaN or an empty answer is unknown; unknown never counts as pass. A check that follows a
change accepts only readings younger than the step: see `ask`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.estate.model import Estate, HandStep
from state.health import Health
from state.verdicts.evidence import younger_than
from state.world.world import World


@dataclass(frozen=True, slots=True)
class Answer:
    """A check's verdict, its evidence as text, and what it read: numbers and names that a runbook may capture."""

    health: Health
    evidence: tuple[str, ...]
    figures: Mapping[str, str | float] = field(default_factory=dict)


class CheckArgs(BaseModel):
    """Base of every check's arguments: unknown ones are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class CheckKind:
    """A registered kind: name, title, argument model, and the pure function over (args, world, estate, now).

    The function gets a world with only the readings that count. Names the estate does not have raise NotFound.
    `reads` are the sections of the estate that it reads besides what its arguments name. `by_hand` is how it is read
    without this product. `figures` are what its answers have when they pass, with the kind of parameter each is.
    """

    kind: str
    title: str
    args: type[CheckArgs]
    judge: Callable[[Any, World, Estate, float], Answer]
    reads: tuple[str, ...] = ()
    by_hand: Callable[[Any, Estate], Sequence[HandStep]] = lambda _args, _estate: ()
    figures: Mapping[str, str] = field(default_factory=dict)

    def ask(
        self, args: BaseModel, world: World, estate: Estate, now_mono: float, not_before_mono: float = float("-inf")
    ) -> Answer:
        """The answer now, from readings taken at or after `not_before_mono` (both monotonic seconds)."""
        counted = world if not_before_mono == float("-inf") else younger_than(world, not_before_mono)
        return self.judge(args, counted, estate, now_mono)


def unknown(*evidence: str) -> Answer:
    """No answer: there is no fresh evidence."""
    return Answer(Health.UNKNOWN, evidence)


def answered(passed: bool, *evidence: str, **figures: str | float) -> Answer:
    """Pass or fail, from fresh evidence."""
    return Answer(Health.PASS if passed else Health.FAIL, evidence, figures)
