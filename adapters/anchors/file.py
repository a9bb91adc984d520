"""Anchors in a file on another host, by ssh. There it should be one that the account can only add to (`chattr +a`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from adapters.context import AdapterContext, HostCommand
from state.errors import ReadFailure, Trouble
from state.estate.model import AnchorEntry
from state.estate.values import HostName

KIND = "file"
ADD = 'printf "%s\\n" "$1" >> "$2" && sync "$2" && tail -n 20 "$2"'
"""The last lines are told, so that what is there is proven, not only that something ended."""
MAY = 'test -f "$1" && test -w "$1" || { test ! -e "$1" && test -w "$(dirname "$1")"; }'
NEWEST = 300
"""Lines that are read: as many as one answer may have."""


class FileAnchorOptions(AnchorEntry):
    """`host` of the estate's hosts, and the whole `path` of the file there."""

    host: HostName
    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]{1,500}$")]

    @property
    def through(self) -> Sequence[str]:
        return (self.host,)


OPTIONS = FileAnchorOptions


class AnchorFile:
    """Fulfils AnchorPlace and CanReadAnchors."""

    def __init__(self, name: str, command: HostCommand, path: str) -> None:
        self._name, self._command, self._path = name, command, path

    async def look(self, *, deadline: float) -> str:
        """Whether the account there may write the file."""
        answer = await self._command.ask(["sh", "-c", MAY, "anchor", self._path], deadline=deadline)
        if answer.code:
            raise ReadFailure(Trouble.DENIED, f"{self._name}: the account there may not write {self._path}")
        return f"the account there may write {self._path}"

    async def keep(self, line: str, *, deadline: float) -> None:
        """Add a line and read it back."""
        answer = await self._command.ask(["sh", "-c", ADD, "anchor", line, self._path], deadline=deadline)
        if answer.code or line.encode() not in answer.body:
            raise ReadFailure(Trouble.ERROR, f"{self._name}: {answer.warned or 'the line is not there afterwards'}")

    async def kept(self, *, deadline: float) -> bytes:
        """The newest lines."""
        answer = await self._command.ask(["tail", "-n", str(NEWEST), self._path], deadline=deadline)
        if answer.code:
            raise ReadFailure(Trouble.ERROR, f"{self._name}: {answer.warned}")
        return answer.body


def build(name: str, options: FileAnchorOptions, context: AdapterContext) -> AnchorFile:
    """The place. Raises ConfigError."""
    return AnchorFile(f"anchors.{name}", context.command(f"anchors.{name}", options.host), options.path)
