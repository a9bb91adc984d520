"""Where the backups and the archived WAL of a database are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from state.config_files.findings import Finding, refuse
from state.estate.entry import Entry, Seconds
from state.estate.own import LOCAL, Argv, wrong_programs
from state.estate.values import CommandName, HostOrLocal

Stanza = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
Folder = Annotated[str, Field(pattern=r"^/[^\x00-\x1f\x7f'\"\\$`%]{0,250}$")]
"""An absolute path, without the signs that a shell (in double quotes too) or a PostgreSQL setting would read."""
MOST_REPOS = 256


class BackupsEntry(Entry):
    """Backups of one database, read on this machine (`local`) or on a host of `hosts`.

    `pgbackrest`: its `command` as far as options of every call go, its `stanza` and `repo`. `archive`: folders of WAL
    and of plain base backups with their manifests. `waldump` is the pg_waldump of that host: without it the time of the
    last archived commit is not known. `proven_by` is the command that proves a
    restore; one that it proved longer ago than `prove_every` counts no more.
    """

    kind: Literal["pgbackrest", "archive"]
    on: HostOrLocal = LOCAL
    command: Argv = ("pgbackrest",)
    stanza: Stanza | None = None
    repo: int = Field(default=1, ge=1, le=MOST_REPOS)
    wal: Folder | None = None
    base: Folder | None = None
    waldump: Folder | None = None
    every: Seconds = 60.0
    timeout: Seconds = 30.0
    stale_after: Seconds = 200.0
    proven_by: CommandName | None = None
    prove_every: Seconds = 92 * 86_400.0

    @model_validator(mode="after")
    def _sound(self) -> BackupsEntry:
        refuse(type(self), self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        yield from wrong_programs({("command",): self.command})
        if self.kind == "pgbackrest" and self.stanza is None:
            yield ("stanza",), self.stanza, "the stanza of this database"
        if self.kind == "archive":
            for name in ("wal", "base"):
                if getattr(self, name) is None:
                    yield (name,), None, f"the folder of {'WAL' if name == 'wal' else 'base backups'}"
        others = ("wal", "base") if self.kind == "pgbackrest" else ("stanza",)
        for name in others:
            if getattr(self, name) is not None:
                yield (name,), getattr(self, name), f"nothing here: it is of the other kind than {self.kind}"
        if self.stale_after <= self.every + self.timeout:
            yield ("stale_after",), self.stale_after, "more than every and timeout together"
