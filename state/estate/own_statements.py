"""Statements of an estate's own: each in one transaction that also records its effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, model_validator

from state.config_files.findings import Finding, refuse
from state.estate.arguments import Value
from state.estate.entry import Entry, Name, SecretRef
from state.estate.own import OwnChange
from state.estate.sql_text import SqlText, Unended
from state.estate.values import DatabaseName, StatementName

Table = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$")]


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
        try:
            text = SqlText(self.statement)
        except Unended as error:
            yield ("statement",), self.statement, f"a statement that ends: {error} does not"
            return
        if text.ends_transaction:
            yield ("statement",), self.statement, "one statement that changes data: the engine begins and ends it"
        elif text.several:
            yield ("statement",), self.statement, "one statement: PostgreSQL takes no second one in the same text"
        elif text.stands_alone:
            yield ("statement",), self.statement, "a statement that PostgreSQL takes within a transaction"
        if "${" in self.statement:
            yield ("statement",), self.statement, "$1, $2, … and `values`: parameters are no part of the text"
        if text.places != set(range(1, len(self.values) + 1)):
            named = ", ".join(f"${place}" for place in sorted(text.places)) or "none"
            yield ("values",), list(self.values), f"one value for each place in the statement ({named})"
        yield from self.undeclared(*((("values", index), each) for index, each in enumerate(self.values)))
        if self.undo is not None:
            yield from self.undeclared((("undo", "args"), self.undo.args))
