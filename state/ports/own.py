"""Targets of an estate's own changes: commands, calls over HTTP, statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from state.estate.arguments import Value
from state.ports.target import Identity, Receipt


class Output(Protocol):
    """What a target says while it is at work."""

    def lines(self) -> tuple[str, ...]:
        """So far: cleaned, bounded, without the estate's secrets."""


@dataclass(frozen=True, slots=True)
class Exited:
    """How a command ended: its exit code, and in one line each its stdout and its stderr, cleaned and bounded. `whole`:
    nothing of stdout was left out."""

    code: int
    said: str
    warned: str = ""
    whole: bool = True

    def __str__(self) -> str:
        told = f"exit code {self.code}" + (f": {self.said}" if self.said else "")
        return f"{told} (stderr: {self.warned})" if self.warned else told


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """An answer over HTTP: its status, its JSON (None when it is none), and its text in one line, bounded."""

    status: int
    data: Any
    said: str

    def __str__(self) -> str:
        return f"answered {self.status}" + (f": {self.said}" if self.said else "")


class CanCall(Protocol):
    """The origin of one call of the estate. Paths are below the origin."""

    name: str

    async def identify(self, path: str | None, field: str, *, deadline: float) -> Identity:
        """The origin, and the field of the answer to an identity call. Raises ReadFailure."""

    async def send(self, method: str, path: str, body: Any, *, effect: str, deadline: float) -> CallAnswer:
        """Send it once. Raises EffectRefused when nothing was sent, EffectUnknown without a complete answer."""

    async def read(self, path: str, *, deadline: float) -> CallAnswer:
        """GET. Raises ReadFailure without a complete answer."""


class CanTransact(Protocol):
    """The primary of a cluster, for one statement of the estate, and the table where its effects are recorded."""

    name: str

    async def prepare(self, statement: str, values: Sequence[Value], *, deadline: float) -> None:
        """Whether it could be run; it is not. Raises ReadFailure."""

    async def transact(
        self, statement: str, values: Sequence[Value], rows: int | None, *, effect: str, deadline: float
    ) -> Receipt:
        """One transaction with the record of its effect. Raises EffectRefused when it was certainly taken back,
        EffectUnknown when its end is not known."""

    async def recorded(self, effect: str, *, deadline: float) -> bool | None:
        """Whether the effect is recorded; None while its transaction may still be open. Raises ReadFailure."""


class CanRunCommand(Protocol):
    """Where one command of the estate runs: this machine, or a host over ssh."""

    name: str

    def output(self) -> Output:
        """A new place for what one command says."""

    async def identify(self, argv: Sequence[str] | None, *, deadline: float) -> Identity:
        """Where it runs, and what the identity command says. Raises ReadFailure."""

    async def run(self, argv: Sequence[str], output: Output, *, effect: str, deadline: float) -> Receipt:
        """Run it once. Raises EffectRefused when it was not started, EffectUnknown for an unexpected exit code and
        when it did not end within the deadline."""

    async def at_work(self, effect: str) -> Sequence[str]:
        """Processes of an effect that live, as far as they can be seen from here."""

    async def read(self, argv: Sequence[str], *, effect: str, deadline: float) -> Exited:
        """Run a command that only reads. Raises ReadFailure when it did not end by itself."""
