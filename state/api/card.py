"""The consequence card, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from state.health import Health


class Confirm(StrEnum):
    """How a plan is confirmed, by risk class: B1 a `y`; B2 the nonce; B3 nonce and the target's name."""

    YES = "y"
    NONCE = "nonce"
    NONCE_AND_NAME = "nonce+name"


@dataclass(frozen=True, slots=True)
class CardLine:
    """One line of a consequence card: what kind of fact, its words, and how it stands."""

    label: str
    message: str
    health: Health | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """The consequence card: everything a person must see before an effect.

    `facts` are CardLines in the order verb, object, identity, before → after, checks, policy, loss, reversal.
    `refusals` non-empty means it cannot be submitted; each says rule, fact and way out.
    """

    plan: str
    title: str
    risk: str
    confirm: Confirm
    nonce: str
    name: str
    loss_to_type: str
    fingerprint: str
    arm: float
    expires: float
    facts: tuple[CardLine, ...]
    changes: tuple[str, ...]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...] = field(default=())
