"""A standby cluster that is opened, or opens itself: what its members do is held against what their store says."""

from __future__ import annotations

from state.verdicts.cluster import ClusterFacts
from state.verdicts.votes import PRIMARY, STANDBY_LEADER, manager_role


def opening(facts: ClusterFacts) -> str:
    """What is about to happen, since a member is not what the configuration makes of it; empty where all agree.

    Patroni goes by the configuration in its store, and without it by the file that each member keeps of it: a member
    may follow another word than the others do."""
    told = {name: m for name, m in facts.managers.items() if m is not None and m.standby_set is not None}
    yes, no = (sorted(name for name, m in told.items() if m.standby_set is way) for way in (True, False))
    for name, m in told.items():
        if m.role == STANDBY_LEADER and not m.standby_set:
            return (
                f"{name} leads a standby cluster, and its configuration has no standby_cluster (any more): it promotes"
                " itself"
            )
        if m.standby_set and manager_role(m.role, m.state) == PRIMARY:
            return (
                f"{name} accepts writes, and its configuration makes it a standby cluster: Patroni ends its writes, and"
                " what it wrote is on no other cluster"
            )
    if yes and no:
        return f"the configuration of {', '.join(yes)} has standby_cluster, that of {', '.join(no)} has not"
    return ""
