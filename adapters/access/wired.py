"""Where an estate allows access to be given, with the adapters for it: its clusters and its hosts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from adapters.access.host_access import host_access
from adapters.access.pgbouncer import PgBouncer
from adapters.access.postgres_access import PostgresAccess
from adapters.context import AdapterContext
from adapters.databases.postgres_cluster import PostgresCluster
from state.estate.access import AccessEntry
from state.estate.model import Estate
from state.granting.model import host_target
from state.ports.access import CanGrant
from state.ports.database import Database
from state.ports.outside import Outside


def access_targets(
    estate: Estate, databases: Mapping[str, Database], had: Outside, context: AdapterContext
) -> dict[str, CanGrant]:
    """Each cluster whose entry allows it and names an account that acts, the same as before where it is kept; and each
    host that allows it. Raises ConfigError where the files of an authority are not ours alone."""
    found: dict[str, CanGrant] = {}
    for name, entry in estate.databases.items():
        cluster = databases[name]
        if entry.access is None or not isinstance(cluster, PostgresCluster) or cluster.account is None:
            continue
        kept = had.access.get(name) if had.databases.get(name) is cluster else None
        found[name] = kept or PostgresAccess(cluster, cluster.account, entry.access, _poolers(entry.access, context))
    for name, host in estate.hosts.items():
        if host.access is not None:
            command = partial(context.command, name, name)
            found[host_target(name)] = host_access(name, host.access, host, context.base, command)
    return found


def _poolers(entry: AccessEntry, context: AdapterContext) -> list[PgBouncer]:
    """Raises ConfigError for a secret that cannot be read."""
    found = []
    for name, each in entry.poolers.items():
        host, _, port = each.address.rpartition(":")
        found.append(PgBouncer(name, host.strip("[]"), int(port), each.user, context.secret(each.password)))
    return found
