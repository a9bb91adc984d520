"""The migrations of the lab's schema, as a migration tool has them: one row for each that was applied."""

from __future__ import annotations

from adapters.lab.cluster import SQL_ERRORS, Cluster
from adapters.lab.errors import LabError, LabUnknownError
from adapters.lab.topology import CONTRACTED, SCHEMA_VERSION

VERSIONS = (SCHEMA_VERSION, CONTRACTED)


class SchemaMoves:
    """Reads and moves the version of the schema at the primary."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def version(self) -> int:
        """The newest migration that is applied. Raises LabError."""
        try:
            rows = await self._cluster.query(await self._primary(), "select max(version) from schema_migrations")
        except SQL_ERRORS as error:
            raise LabError(f"the primary does not answer: {type(error).__name__}") from error
        return int(rows[0][0])

    async def move(self, version: int) -> str:
        """Apply or undo what leads to a version. Raises LabError for one that is none, LabUnknownError without an
        answer."""
        if version not in VERSIONS:
            raise LabError(f"no migration leads to {version}: {' and '.join(map(str, VERSIONS))} are known")
        primary = await self._primary()
        try:
            await self._cluster.query(primary, "delete from schema_migrations where version > $1", version)
            insert = "insert into schema_migrations (version) values ($1) on conflict do nothing"
            await self._cluster.query(primary, insert, version)
        except SQL_ERRORS as error:
            raise LabUnknownError(f"the primary gave no answer: {type(error).__name__}") from error
        return f"the schema is at {version}"

    async def _primary(self) -> str:
        primary = await self._cluster.primary()
        if primary is None:
            raise LabError("no node is the primary now")
        return primary
