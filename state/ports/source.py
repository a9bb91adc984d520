"""What is polled."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from state.world.readings import Reading


class Source(Protocol):
    """One thing that is polled: `key` is `role:name`, e.g. `postgres:n1`; times in seconds."""

    key: str
    every: float
    deadline: float
    limit: float

    async def read(self) -> Reading: ...
    async def close(self) -> None: ...


@runtime_checkable
class Steady(Protocol):
    """A source that may be asked as often while it fails: `steady` says so."""

    steady: bool
