"""Runs a command that only reads, where the backups are, and takes all that it says, up to a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adapters.commands.command import NOT_BEGUN, SSH_ENDED
from adapters.commands.output import KeptOutput
from adapters.commands.process import Ended, NotStarted, TakesOutput
from adapters.concealed import Concealed
from state.errors import ReadFailure, Trouble

MOST_BYTES = 24 << 20
"""Of one answer: the names of some 250,000 segments, which is 4 TB of WAL."""


class HasPlace(Protocol):
    """Where it runs: this machine or a host."""

    async def started(
        self, argv: Sequence[str], effect: str, said: TakesOutput, errors: TakesOutput | None = None, *, deadline: float
    ) -> Ended: ...


class WholeOutput:
    """Everything that was said, or as much as may be kept."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most, self._data, self.cut = most, bytearray(), False
        self.notes: list[str] = []

    def add(self, data: bytes) -> None:
        """Take what came."""
        room = self._most - len(self._data)
        self.cut = self.cut or len(data) > room
        self._data += data[:room]

    @property
    def data(self) -> bytes:
        """What was kept."""
        return bytes(self._data)


class StoreAsked:
    """Asks one place; the names of commands are for people."""

    def __init__(self, name: str, place: HasPlace, remote: bool, concealed: Concealed) -> None:
        self._name, self._place, self._remote, self._concealed = name, place, remote, concealed

    async def say(self, argv: Sequence[str], *, deadline: float) -> bytes:
        """The stdout of a command that ends with 0. Raises ReadFailure for everything else."""
        output, errors = WholeOutput(), KeptOutput(self._concealed)
        try:
            ended = await self._place.started(argv, "", output, errors, deadline=max(0.5, deadline))
        except (NotStarted, ValueError, OSError) as error:
            raise ReadFailure(Trouble.ERROR, f"{self._name}: {argv[0]} cannot be started: {error}") from error
        if ended.code is None:
            raise ReadFailure(Trouble.TIMEOUT, f"{self._name}: {argv[0]} did not end within {deadline:.1f} s")
        if self._remote and ended.code == SSH_ENDED:
            raise ReadFailure(Trouble.UNREACHABLE, f"{self._name}: ssh ended with {SSH_ENDED}: {errors.line()}")
        if not ended.begun:
            raise ReadFailure(Trouble.DENIED, f"{self._name}: {NOT_BEGUN}: {errors.line()}")
        if ended.code != 0:
            said = errors.line() or output.data[:200].decode(errors="replace")
            raise ReadFailure(Trouble.ERROR, f"{self._name}: {argv[0]} ended with {ended.code}: {said}")
        if output.cut:
            raise ReadFailure(Trouble.ERROR, f"{self._name}: {argv[0]} says more than {MOST_BYTES >> 20} MiB")
        return output.data
