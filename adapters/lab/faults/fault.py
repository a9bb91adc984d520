"""What a fault of the lab is: its injection, its undo, and a reading that confirms the undo."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from adapters.lab.targets import Bench


class Fault(ABC):
    """One kind of fault. Times are seconds: `seconds` by default, never more than `limit`, then it is undone."""

    name: ClassVar[str]
    description: ClassVar[str]
    undo_text: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    seconds: ClassVar[float] = 120
    limit: ClassVar[float] = 600
    settles_within: ClassVar[float] = 45  # seconds within which a reading must confirm the undo

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    @abstractmethod
    async def choose(self, target: str | None) -> str:
        """The name of the target; the default target when none was given. Raises LabError."""

    @abstractmethod
    async def inject(self, target: str) -> None:
        """Inject the fault; return when it is in effect. Raises LabError."""

    @abstractmethod
    async def undo(self, target: str) -> None:
        """Start the undo; may be called again. Raises LabError."""

    @abstractmethod
    async def undone(self, target: str) -> bool:
        """Read whether the state is as before the fault."""
