"""What an estate says of a service's releases: where its schema is read, and how an artifact is deployed again."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from state.estate.entry import Entry, ObjectName
from state.estate.own_checks import Query
from state.estate.values import CommandName, DatabaseName, OwnCheckName, ServiceName, SiteName

DIGEST_PARAM = "digest"
"""The parameter of a command that deploys an artifact."""


class SchemaEntry(Entry):
    """The version of a schema: a query at the primary of a database, in a transaction that only reads. It must give one
    row; its first column is the version, whole numbers with dots."""

    database: DatabaseName
    query: Query


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
