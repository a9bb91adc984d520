"""What the managers of a cluster say together: tags, sync membership, limits, a hand-over to come."""

from __future__ import annotations

from dataclasses import dataclass

from state.verdicts.cluster import ClusterFacts
from state.verdicts.votes import PRIMARY, STANDBY_LEADER, manager_role
from state.world.manager_parts import ScheduledSwitchover, StoreReading, SyncMode
from state.world.readings import PatroniMember, PatroniReading

IN_SYNC = ("sync_standby", "quorum_standby")
DEFAULT_MAXIMUM_LAG = 1_048_576
"""Patroni's default maximum_lag_on_failover, bytes."""


@dataclass(frozen=True, slots=True)
class Managed:
    """One cluster by the managers that answer. `rows` are all that they list of each member.

    `in_sync` are the members that the last published list has; None where the managers keep no such list.
    """

    readings: tuple[PatroniReading, ...]
    rows: dict[str, list[PatroniMember]]
    in_sync: frozenset[str] | None
    maximum_lag: int
    lock_holder: str
    scheduled: ScheduledSwitchover | None

    def lists(self, node: str) -> bool:
        """Whether any manager lists the node."""
        return bool(self.rows.get(node))

    def any_tag(self, node: str, tag: str) -> bool:
        """Whether any manager lists the node with this tag: of two answers, the one that forbids counts."""
        return any(getattr(row, tag) for row in self.rows.get(node, ()))

    def tags(self, node: str) -> tuple[str, ...]:
        """Its tags in words, those that differ from the usual."""
        switches = ("nofailover", "nosync", "noloadbalance")
        found = [tag for tag in switches if self.any_tag(node, tag)]
        if self.priority(node) not in (0, 1):
            found.append(f"failover_priority {self.priority(node)}")
        if source := self.source(node):
            found.append(f"replicatefrom {source}")
        return (*found, "pending restart") if self.any_tag(node, "pending_restart") else tuple(found)

    def priority(self, node: str) -> int:
        """Which of equal nodes leads: the higher one."""
        return min((row.priority for row in self.rows.get(node, ())), default=1)

    def forbids(self, node: str) -> str:
        """The tag by which it never leads, as it is set; empty where it may."""
        rows = [row for row in self.rows.get(node, ()) if row.nofailover]
        if not rows:
            return ""
        lowest = min(row.priority for row in rows)
        return "nofailover" if lowest > 0 else f"failover_priority {lowest}"

    def source(self, node: str) -> str:
        """The member from which a node is told to stream; empty = the leader."""
        return next((row.replicatefrom for row in self.rows.get(node, ()) if row.replicatefrom), "")


def managed(facts: ClusterFacts) -> Managed:
    """What the managers that answer say together."""
    readings = tuple(m for m in facts.managers.values() if m is not None)
    rows: dict[str, list[PatroniMember]] = {}
    for reading in readings:
        for row in reading.members:
            rows.setdefault(row.name, []).append(row)
    limits = [m.maximum_lag for m in readings if m.maximum_lag is not None]
    leaders = {m.name for r in readings for m in r.members if manager_role(m.role, "running") == PRIMARY}
    scheduled = next((m.scheduled for m in readings if m.scheduled is not None), None)
    return Managed(
        readings,
        rows,
        _in_sync(readings, rows, facts.store),
        min(limits, default=DEFAULT_MAXIMUM_LAG),
        leaders.pop() if len(leaders) == 1 else "",
        scheduled,
    )


def _in_sync(
    readings: tuple[PatroniReading, ...], rows: dict[str, list[PatroniMember]], store: StoreReading | None
) -> frozenset[str] | None:
    """Who is in the published list: those in it by every manager that lists the node, and by the store if asked.

    A standby cluster has none: nobody there commits, and a list from before is only left over."""
    if any(m.role == STANDBY_LEADER for m in readings):
        return None
    listed = {name for name, each in rows.items() if each and all(row.role in IN_SYNC for row in each)}
    if store is not None and store.in_sync:
        listed &= set(store.in_sync)
    modes = {m.sync_mode for m in readings if m.sync_mode is not None}
    on = any(mode is not SyncMode.OFF for mode in modes)
    any_role = any(row.role in IN_SYNC for each in rows.values() for row in each)
    return frozenset(listed) if rows and (on or any_role) else None
