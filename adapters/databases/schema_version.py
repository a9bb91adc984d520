"""The version of a service's schema, read at the primary of its database."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from adapters.context import keep_nothing
from adapters.databases.postgres import PostgresNode
from adapters.databases.statements import first_column
from state.errors import ReadFailure, Trouble
from state.estate.releases import SchemaEntry
from state.text import clean
from state.world.release_parts import SchemaReading, schema_key

LONGEST = 60


class SchemaSource:
    """Asks the primary of a cluster."""

    close = staticmethod(keep_nothing)

    def __init__(self, service: str, entry: SchemaEntry, servers: Sequence[PostgresNode]) -> None:
        self._service, self._entry, self._servers = service, entry, servers

    async def read(self, *, deadline: float) -> SchemaReading:
        """The version in the one row. Raises ReadFailure without a primary, and for anything but one version."""
        rows = await first_column(self._servers, self._entry.query, deadline=deadline)
        if len(rows) != 1 or rows[0] is None:
            raise ReadFailure(Trouble.EMPTY, f"the query gives {len(rows)} rows, not one with the schema's version")
        value = rows[0]
        said = str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
        if schema_key(said) is None:
            told = clean(said, LONGEST) or type(value).__name__
            raise ReadFailure(Trouble.ERROR, f"{told} is no version of a schema: whole numbers with dots")
        return SchemaReading(self._service, said)
