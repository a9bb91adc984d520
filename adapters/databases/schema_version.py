"""The version of a service's schema, read at the primary of its database.

A version alone does not say that its migrations ended well: golang-migrate writes it before it begins, and a way down
that failed leaves the version that it was to reach. So what the tools themselves mark is asked beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from adapters.context import keep_nothing
from adapters.databases.postgres import PostgresNode
from adapters.databases.statements import Session, queried
from state.errors import ReadFailure, Trouble
from state.estate.releases import SchemaEntry
from state.text import clean
from state.units import counted
from state.world.release_parts import SchemaReading, schema_key

LONGEST = 60
LIKE_DATES = 8
"""Digits from which on versions are taken to be of one length, as dates and times are: such texts are in order."""
TEXTS = frozenset({"text", "varchar", "bpchar"})
MARKS = {"dirty": False, "success": True}
"""Columns of golang-migrate and Flyway, and their value where a migration has ended well."""
MARKED = {"schema_migrations": "dirty", "flyway_schema_history": "success"}
"""The tables that have them."""
_TABLE = re.compile(r'"?(schema_migrations|flyway_schema_history)\b"?', re.IGNORECASE)
_LARGEST = re.compile(r"\bmax\s{0,9}\(", re.IGNORECASE)
COLUMN = """
select 1 from pg_catalog.pg_attribute
where attrelid = pg_catalog.to_regclass($1) and attname = $2 and atttypid = 'pg_catalog.bool'::pg_catalog.regtype
  and not attisdropped
"""


class SchemaSource:
    """Asks the primary of a cluster."""

    close = staticmethod(keep_nothing)

    def __init__(self, service: str, entry: SchemaEntry, servers: Sequence[PostgresNode]) -> None:
        self._service, self._entry, self._servers = service, entry, servers

    async def read(self, *, deadline: float) -> SchemaReading:
        """The version in the one row. Raises ReadFailure without a primary, for anything but one version, and where a
        migration has not ended well."""
        query = self._entry.query
        async with queried(self._servers, deadline=deadline) as session:
            prepared = await session.prepare(query)
            kinds, rows = [each.type.name for each in prepared.get_attributes()], await prepared.fetch()
            marked = await _marked(session, query)
        if len(rows) != 1 or not kinds or rows[0][0] is None:
            many = counted(len(rows), "row")
            raise ReadFailure(Trouble.EMPTY, f"the query gives {many}, not one with the schema's version")
        if mark := marked or next(filter(None, (_told(name, value) for name, value in rows[0].items())), ""):
            raise ReadFailure(Trouble.ERROR, f"a migration has not ended well: {mark}")
        return SchemaReading(self._service, _version(rows[0][0], query, by_text=kinds[0] in TEXTS))


def _version(value: Any, query: str, *, by_text: bool) -> str:
    """A version as it is compared. Raises ReadFailure."""
    said = str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    if schema_key(said) is None:
        told = clean(said, LONGEST) or type(value).__name__
        raise ReadFailure(Trouble.ERROR, f"{told} is no version of a schema: whole numbers with dots")
    if by_text and _LARGEST.search(query) and not (said.isdecimal() and len(said) >= LIKE_DATES):
        way_out = "of a number, as max(version::bigint)"
        raise ReadFailure(
            Trouble.ERROR, f"the version is a text, of which max() takes 9 for more than 10: ask for it {way_out}"
        )
    return said


def _told(name: str, value: Any) -> str:
    """What a column of the row says against the version."""
    return f"{name} is {str(value).lower()}" if name in MARKS and value is not MARKS[name] else ""


def _schema(before: str) -> str:
    """The schema and the point that a text ends with, empty where it ends otherwise."""
    if not before.endswith("."):
        return ""
    at = len(before) - 1
    while at and (before[at - 1].isalnum() or before[at - 1] in '_"'):
        at -= 1
    return before[at:] if at < len(before) - 1 else ""


async def _marked(session: Session, query: str) -> str:
    """What the tool's own table says against the version, where the query reads one."""
    for found in _TABLE.finditer(query):
        table, column = f"{_schema(query[: found.start()])}{found[0]}", MARKED[found[1].lower()]
        if not await session.fetchval(COLUMN, table, column):
            continue
        wrong = column if MARKS[column] is False else f"not {column}"
        if many := await session.fetchval(f"select count(*) from {table} where {wrong}"):  # noqa: S608
            return f"{table} has {many} with {column} {str(not MARKS[column]).lower()}"
    return ""
