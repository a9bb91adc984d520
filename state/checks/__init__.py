"""Checks: questions with three answers. Each takes fresh readings and says pass, fail or unknown in words.

No data, a stale value, NaN or an empty answer is unknown; unknown never counts as pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from state.api import Health


@dataclass(frozen=True, slots=True)
class Answer:
    """A check's verdict and the evidence for it, in words."""

    health: Health
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckKind:
    """A registered kind: name, title, argument model, and the pure function over (args, World, estate)."""

    kind: str
    title: str
    args: type[BaseModel]
    ask: Callable[[Any, Any, Any], Answer]
