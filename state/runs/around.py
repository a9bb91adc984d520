"""What is looked at before and after an effect, beside it: it neither permits nor refuses anything."""

from __future__ import annotations

from typing import Protocol

from state.changes.model import ChangeSpec


class Around(Protocol):
    """Told of each effect; `kept` is the only one that is waited for, and not for long."""

    def before(self, change: ChangeSpec, effect: str) -> None: ...
    async def kept(self, effect: str) -> None: ...
    def left(self, effect: str) -> None: ...
    def after(self, change: ChangeSpec, run: str, step: str, actor: str, effect: str) -> None: ...


class NothingAround:
    """Looks at nothing."""

    def before(self, change: ChangeSpec, effect: str) -> None:
        """Nothing is read."""

    async def kept(self, effect: str) -> None:
        """Nothing is waited for."""

    def left(self, effect: str) -> None:
        """Nothing was read."""

    def after(self, change: ChangeSpec, run: str, step: str, actor: str, effect: str) -> None:
        """Nothing is read."""
