"""Which backends of the balancers see a change of a database in their health checks."""

from __future__ import annotations

from state.estate.model import Estate


def unsettled_by(database: str, estate: Estate) -> frozenset[str]:
    """The backends (`balancer/backend`) whose servers may be called up or down by their checks once servers or roles of
    a database are others: those that lead to it, and those of each service that depends on it, also through others."""
    frontends = estate.databases[database].frontends
    found = {f"{balancer}/{backend}" for balancer in estate.balancers for backend in frontends}
    reached = [database]
    for name in reached:
        for service, entry in estate.services.items():
            if name not in entry.depends_on or service in reached:
                continue
            reached.append(service)
            if entry.traffic is not None:
                found |= {f"{balancer}/{entry.traffic.backend}" for balancer in entry.traffic.balancers}
    return frozenset(found)
