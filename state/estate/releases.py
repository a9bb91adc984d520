"""What an estate says of a service's releases: where its schema is read, how a migration of it is undone, and how an
artifact is deployed again."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from state.estate.entry import Entry, ObjectName
from state.estate.own_checks import Query
from state.estate.values import CallName, CommandName, DatabaseName, OwnCheckName, ServiceName, SiteName, StatementName

DIGEST_PARAM = "digest"
"""The parameter of a command that deploys an artifact."""


VERSION_PARAM, FROM_PARAM, SERVICE_PARAM = "version", "from", "service"
"""The parameters of what undoes migrations: the version to go back to, and, where it has them, the version that is
there and the service."""


class SchemaUndo(Entry):
    """What undoes migrations: one command, call or statement of the estate with the parameter `version`, the version to
    go back to. Its `loses_data` must be false: between two markers of releases it loses nothing."""

    command: CommandName | None = None
    call: CallName | None = None
    statement: StatementName | None = None

    @property
    def named(self) -> tuple[str, str]:
        """Which of them it is, and its name; empty names nothing."""
        pairs = (("command", self.command), ("call", self.call), ("statement", self.statement))
        return next(((what, name) for what, name in pairs if name is not None), ("", ""))


class SchemaEntry(Entry):
    """The version of a schema: a query at the primary of a database, in a transaction that only reads. It must give one
    row; its first column is the version, whole numbers with dots. `undo`, where migrations can be undone, says how."""

    database: DatabaseName
    query: Query
    undo: SchemaUndo | None = None


class ServiceReleases(Entry):
    """Of a service whose releases can be rolled back.

    `schema` is where its schema's version is read. `needs` are checks of the estate that must pass before a roll-back.
    `redeploy` is a command of the estate that deploys the artifact of its parameter `digest`, for a release that no
    colour runs any more; its `read` must say done only once every instance runs it, and neither done nor not done where
    the artifact is not there.
    """

    model_config = ConfigDict(populate_by_name=True)
    read_schema: SchemaEntry | None = Field(default=None, alias="schema")
    needs: tuple[OwnCheckName, ...] = ()
    redeploy: CommandName | None = None


class InstanceEntry(Entry):
    """One instance that tells what it runs: its service, its site, and its server's name at the site's balancers."""

    site: SiteName
    service: ServiceName
    server: ObjectName
