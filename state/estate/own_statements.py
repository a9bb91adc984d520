"""Statements of an estate's own: each in one transaction that also records its effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, model_validator

from state.config_files.findings import Finding, refuse
from state.estate.arguments import Value
from state.estate.entry import Entry, Name, SecretRef
from state.estate.own import OwnChange
from state.estate.values import DatabaseName, StatementName

Table = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$")]
_CONTROL = re.compile(
    r"\s*(begin|start|commit|end|rollback|abort|savepoint|release|prepare|set|reset)\b", re.IGNORECASE
)
_PLACE = re.compile(r"\$([0-9]+)")


class UndoStatement(Entry):
    """The statement that takes another one back."""

    statement: StatementName
    args: Mapping[Name, Value] = Field(default_factory=dict)


class SqlCallEntry(OwnChange):
    """A statement of one's own at the primary of a database cluster, by an account of its own.

    `values` are what stands for `$1`, `$2` and so on. `record` is a table with the column `effect text primary key`:
    the transaction adds the effect there, and done is when it is there. `rows` is how many rows it must change; with
    another number everything is taken back.
    """

    database: DatabaseName
    dbname: str | None = None
    user: str
    password: SecretRef | None = None
    statement: Annotated[str, Field(min_length=1, max_length=10_000)]
    values: tuple[Value, ...] = ()
    record: Table
    rows: int | None = Field(default=None, ge=0)
    undo: UndoStatement | None = None

    @model_validator(mode="after")
    def _sound(self) -> SqlCallEntry:
        refuse(type(self), self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        if _CONTROL.match(self.statement):
            yield ("statement",), self.statement, "one statement that changes data: the engine begins and ends it"
        if "${" in self.statement:
            yield ("statement",), self.statement, "$1, $2, … and `values`: parameters are no part of the text"
        places = {int(number) for number in _PLACE.findall(self.statement)}
        if places != set(range(1, len(self.values) + 1)):
            yield ("values",), self.values, f"as many values as the statement has places: {len(places)}"
        yield from self.undeclared(*((("values", index), each) for index, each in enumerate(self.values)))
        if self.undo is not None:
            yield from self.undeclared((("undo", "args"), self.undo.args))
