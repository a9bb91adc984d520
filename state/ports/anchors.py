"""Places outside of this host that keep anchors of the journal."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class AnchorPlace(Protocol):
    """Keeps lines. The same line again does no harm: a line that was not confirmed is sent again."""

    async def look(self, *, deadline: float) -> str:
        """Ask the place without leaving anything there; what that showed. Raises ReadFailure."""

    async def keep(self, line: str, *, deadline: float) -> None:
        """Have a line kept, and confirmed as far as the place confirms anything. Raises ReadFailure."""


@runtime_checkable
class CanReadAnchors(Protocol):
    """A place that also says what it has."""

    async def kept(self, *, deadline: float) -> bytes:
        """The newest lines, as the place has them. Raises ReadFailure."""
