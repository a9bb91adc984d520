"""Targets of an estate's own changes: commands, calls over HTTP, statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from state.ports.target import Identity, Receipt


class Output(Protocol):
    """What a target says while it is at work."""

    def lines(self) -> tuple[str, ...]:
        """So far: cleaned, bounded, without the estate's secrets."""


@dataclass(frozen=True, slots=True)
class Exited:
    """How a command ended: its exit code and its output in one line, cleaned and bounded."""

    code: int
    said: str

    def __str__(self) -> str:
        return f"exit code {self.code}" + (f": {self.said}" if self.said else "")


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

    async def read(self, argv: Sequence[str], *, effect: str, deadline: float) -> Exited:
        """Run a command that only reads. Raises ReadFailure when it did not end by itself."""
