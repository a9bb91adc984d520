"""What every target of an effect has: an identity that is verified, and answers to effects.

Deadlines of all ports are seconds from the call. Reads raise ReadFailure; effects raise EffectRefused (certain that
nothing happened) or EffectUnknown (anything may have happened), and return a Receipt for every answer that was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from state.units import rfc3339

UNREADABLE = "unreadable"
"""The value of an identity's fact when the target did not answer."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The verified identity of a target, over the connection that will act; compared fact by fact."""

    target: str
    facts: Mapping[str, str]

    def difference(self, other: Identity) -> str:
        """The first fact that differs, as text; empty when all are equal."""
        for name, value in self.facts.items():
            if other.facts.get(name) != value:
                return f"{self.target}: {name} was {value}, is {other.facts.get(name, UNREADABLE)}"
        return ""


@runtime_checkable
class ActsAt(Protocol):
    """A target that says where its effects go, in the same words for everybody on this host who could send them there.

    Two engines that act at one place do not see each other's runs: each counts the other's servers as serving.
    """

    def acts_at(self) -> tuple[str, ...]:
        """Every place, as kind and address."""


def began(epoch: float) -> str:
    """When a target's process began, as a fact of its identity: RFC 3339, to the millisecond."""
    return rfc3339(epoch) or f"{epoch:.3f}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the target answered to an effect: a stable code for people and tests, and its message."""

    code: str
    message: str
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing an effect set on a target: where (names from the outside in), what, and to which value.

    `Setting(("edge-east", "checkout", "blue"), "weight", "100")`.
    """

    place: tuple[str, ...]
    name: str
    value: str
