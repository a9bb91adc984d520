"""What every adapter gets when it is built, and the polled source that wraps it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Protocol

from adapters import secrets
from adapters.concealed import Concealed
from adapters.net.origin import ClientCertificate, tls_context
from adapters.net.tunnel import Tunnel
from adapters.secrets import Secret
from state.errors import ConfigError, Problem, ReadFailure
from state.estate.model import Polling, SecretRef
from state.host.trust import require_ours
from state.ports.own import Output
from state.ports.target import Receipt
from state.world.readings import Reading


async def keep_nothing() -> None:
    """Closes a source without a connection: nothing to do."""


class ReadSource(Protocol):
    """An adapter's own read, with its deadline in seconds."""

    def __call__(self, *, deadline: float) -> Awaitable[Reading]: ...


@dataclass(slots=True)
class Polled:
    """A `state.ports.source.Source`: a key, its interval and deadline in seconds, and the adapter's own read. `steady`:
    asked as often while it fails; for what may come back and do harm unseen, as a server that writes."""

    key: str
    every: float
    deadline: float
    limit: float
    ask: ReadSource
    end: Callable[[], Awaitable[None]] = keep_nothing
    hide: Callable[[str], str] = str
    steady: bool = False

    async def read(self) -> Reading:
        """One reading within the deadline. Raises ReadFailure, in whose text no secret of the estate is: a target may
        say what it was sent."""
        try:
            return await self.ask(deadline=self.deadline)
        except ReadFailure as failure:
            raise ReadFailure(failure.trouble, self.hide(failure.message)) from failure.__cause__

    async def close(self) -> None:
        """Close what the source has open; never raises, never waits long."""
        await self.end()


CA = "a file of CA certificates in PEM"


class Hosts(Protocol):
    """The ways to the hosts of an estate. `to` raises KeyError for an unknown one."""

    def to(self, name: str) -> Tunnel: ...


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """How a command that only reads ended: its exit code, its whole stdout as it came, and its stderr in one line."""

    code: int
    body: bytes
    warned: str


class HostCommand(Protocol):
    """A command at one place, such as `adapters.commands.command.OwnCommand`."""

    async def ask(self, argv: Sequence[str], *, deadline: float) -> WholeAnswer: ...
    async def run(self, argv: Sequence[str], output: Output, *, effect: str, deadline: float) -> Receipt: ...
    def output(self) -> Output: ...


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """The estate's folder and polling settings; resolves secrets.

    `watched` has for each monitor the services of the estate as they are called there, `hosts` the way to each host,
    and `commands` makes a command of a name at a host, or at `local`.
    """

    base: Path
    polling: Polling
    watched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: Hosts | None = None
    commands: Callable[[str, str], HostCommand] | None = None
    _one: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)
    _read: dict[SecretRef, Secret] = field(default_factory=dict, init=False, repr=False, compare=False)

    def secret(self, ref: SecretRef | None) -> Secret | None:
        """The secret behind a reference, read once for all that name it. Raises ConfigError."""
        if ref is None:
            return None
        with self._one:
            if ref not in self._read:
                self._read[ref] = secrets.resolve(ref, self.base)
            return self._read[ref]

    def hide(self, text: str) -> str:
        """A text without the secrets that were read here."""
        return Concealed(self._read.values()).hide(text)

    def way(self, host: str | None) -> Tunnel | None:
        """The way through a host of the estate; None for no host. Raises ConfigError for an unknown one."""
        if not host:
            return None
        try:
            return None if self.hosts is None else self.hosts.to(host)
        except KeyError:
            raise misconfigured("hosts", repr(host), "a host of the estate") from None

    def command(self, name: str, on: str) -> HostCommand:
        """A command at a host of the estate, or at `local`. Raises ConfigError for an unknown host."""
        try:
            if self.commands is not None:
                return self.commands(name, on)
        except KeyError:
            pass
        raise misconfigured(name, repr(on), "a host of the estate that commands are run at, or local")

    def client(self, cert: str | None, key: str | None) -> ClientCertificate | None:
        """A certificate to show, with a key that only this account or root may read. Raises ConfigError."""
        if cert is None or key is None:
            return None
        client = ClientCertificate(self.base / cert, self.base / key)
        require_ours(client.cert)
        secrets.require_private(client.key)
        try:
            tls_context(None, client=client)
        except OSError as error:
            message = error.strerror or str(error)
            expected = "a certificate and its key in PEM, without a passphrase"
            raise misconfigured(f"{client.cert}, {client.key}", message, expected) from error
        return client

    def authorities(self, entry: str, ca: str | None) -> Path | None:
        """The file of CA certificates that an entry names; relative names start at the estate's folder. Raises
        ConfigError unless it is ours and of use."""
        if ca is None:
            return None
        file = self.base / ca
        require_ours(file)
        try:
            tls_context(file)
        except OSError as error:  # ssl.SSLError is one
            raise misconfigured(f"{entry}.ca", f"{file}: {error.strerror or error}", CA) from error
        return file

    def source(
        self,
        key: str,
        ask: ReadSource,
        end: Callable[[], Awaitable[None]] = keep_nothing,
        *,
        steady: bool = False,
    ) -> Polled:
        """A source with the estate's polling settings."""
        pace = self.polling
        return Polled(key, pace.every, pace.deadline, pace.stale_after, ask, end, self.hide, steady)


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as host and port. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def misconfigured(place: str, value: str, expected: str) -> ConfigError:
    """A ConfigError for one finding that only the adapter can see."""
    return ConfigError((Problem(place, 0, 0, value, expected),))
