"""What every adapter gets when it is built, and the polled source that wraps it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from adapters import secrets
from adapters.secrets import Secret
from state.errors import ConfigError, Problem
from state.estate.model import Polling, SecretRef
from state.world.readings import Reading


async def keep_nothing() -> None:
    """Closes a source without a connection: nothing to do."""


class ReadSource(Protocol):
    """An adapter's own read, with its deadline in seconds."""

    def __call__(self, *, deadline: float) -> Awaitable[Reading]: ...


@dataclass(slots=True)
class Polled:
    """A `state.ports.source.Source`: a key, its interval and deadline in seconds, and the adapter's own read."""

    key: str
    every: float
    deadline: float
    limit: float
    ask: ReadSource
    end: Callable[[], Awaitable[None]] = keep_nothing

    async def read(self) -> Reading:
        """One reading within the deadline. Raises ReadFailure."""
        return await self.ask(deadline=self.deadline)

    async def close(self) -> None:
        """Close what the source has open; never raises, never waits long."""
        await self.end()


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """The estate's folder and polling settings; resolves secrets.

    `watched` has for each monitor the services of the estate as they are called there.
    """

    base: Path
    polling: Polling
    watched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def secret(self, ref: SecretRef | None) -> Secret | None:
        """The secret behind a reference. Raises ConfigError."""
        return None if ref is None else secrets.resolve(ref, self.base)

    def private(self, name: str) -> Path:
        """A file that only this account or root may read, such as a key. Raises ConfigError."""
        secrets.require_private(self.base / name)
        return self.base / name

    def path(self, name: str | None) -> Path | None:
        """A file of the estate; relative names start at the estate's folder."""
        return None if name is None else self.base / name

    def source(
        self,
        key: str,
        ask: ReadSource,
        end: Callable[[], Awaitable[None]] = keep_nothing,
    ) -> Polled:
        """A source with the estate's polling settings."""
        pace = self.polling
        return Polled(key, pace.every, pace.deadline, pace.stale_after, ask, end)


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as host and port. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def misconfigured(place: str, value: str, expected: str) -> ConfigError:
    """A ConfigError for one finding that only the adapter can see."""
    return ConfigError((Problem(place, 0, 0, value, expected),))
