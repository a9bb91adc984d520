"""Where an estate allows access to be given, with the adapters for it."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.access.postgres_access import PostgresAccess
from adapters.databases.postgres_cluster import PostgresCluster
from state.estate.model import Estate
from state.ports.access import CanGrant
from state.ports.database import Database
from state.ports.outside import Outside


def access_targets(estate: Estate, databases: Mapping[str, Database], had: Outside) -> dict[str, CanGrant]:
    """Each cluster whose entry allows it and names an account that acts; of those that are kept, the same as before."""
    found: dict[str, CanGrant] = {}
    for name, entry in estate.databases.items():
        cluster = databases[name]
        if entry.access is None or not isinstance(cluster, PostgresCluster) or cluster.account is None:
            continue
        kept = had.access.get(name) if had.databases.get(name) is cluster else None
        found[name] = kept or PostgresAccess(cluster, cluster.account, entry.access)
    return found
