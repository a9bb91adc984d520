"""Who else knows of a risky effect: asked once its intent is durable, and told of its outcome."""

from __future__ import annotations

from typing import Protocol


class Witness(Protocol):
    """Places outside of this host that have the journal's newest entry."""

    async def before(self, risk: str) -> str:
        """An intent of this risk class is durable. Why its effect must not be sent; empty when it may."""

    def after(self, risk: str) -> None:
        """Its outcome is durable."""


class NoWitness:
    """Nobody is told."""

    async def before(self, risk: str) -> str:
        """It may be sent."""
        del risk
        return ""

    def after(self, risk: str) -> None:
        """Nothing happens."""
