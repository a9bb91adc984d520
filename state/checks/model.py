"""Checks: questions with three answers. Each takes fresh readings and says pass, fail or unknown in words.

No data, a stale value, NaN or an empty answer is unknown; unknown never counts as pass. A check that follows a
change accepts only readings younger than the step: see `ask`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.estate.model import Estate
from state.health import Health
from state.verdicts.evidence import younger_than
from state.world.world import World


@dataclass(frozen=True, slots=True)
class Answer:
    """A check's verdict and the evidence for it, in words."""

    health: Health
    evidence: tuple[str, ...]


class CheckArgs(BaseModel):
    """Base of every check's arguments: unknown ones are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class CheckKind:
    """A registered kind: name, title, argument model, and the pure function over (args, world, estate, now).

    The function sees a world that holds only readings that count. Names the estate does not have raise NotFound.
    """

    kind: str
    title: str
    args: type[CheckArgs]
    judge: Callable[[Any, World, Estate, float], Answer]

    def ask(
        self, args: BaseModel, world: World, estate: Estate, now_mono: float, not_before_mono: float = float("-inf")
    ) -> Answer:
        """The answer now, from readings taken at or after `not_before_mono` (both monotonic seconds)."""
        counted = world if not_before_mono == float("-inf") else younger_than(world, not_before_mono)
        return self.judge(args, counted, estate, now_mono)


def unknown(*evidence: str) -> Answer:
    """No evidence: neither yes nor no."""
    return Answer(Health.UNKNOWN, evidence)


def told(holds: bool, *evidence: str) -> Answer:
    """Yes or no, by fresh evidence."""
    return Answer(Health.PASS if holds else Health.FAIL, evidence)
