"""Asks the place where the backups are, by commands that only read."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.commands.command import OwnCommand
from state.errors import ReadFailure, Trouble

MOST_BYTES = 24 << 20
"""Of one answer: the names of some 250,000 segments, which is 4 TB of WAL."""
SHOWN = 200
"""Bytes of an answer that tell why it is none."""


class StoreAsked:
    """Asks one place."""

    def __init__(self, command: OwnCommand) -> None:
        self._command = command

    async def say(self, argv: Sequence[str], *, deadline: float) -> bytes:
        """The stdout of a command that ends with 0. Raises ReadFailure for everything else."""
        answer = await self._command.ask(argv, deadline=max(0.5, deadline), most=MOST_BYTES)
        if answer.code != 0:
            said = answer.warned or answer.body[:SHOWN].decode(errors="replace")
            raise ReadFailure(Trouble.ERROR, f"{self._command.name}: {argv[0]} ended with {answer.code}: {said}")
        return answer.body
