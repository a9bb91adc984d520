"""Whether Patroni's store (the DCS: etcd, Consul, ZooKeeper) answers its managers, and since when not."""

from __future__ import annotations

from dataclasses import dataclass

from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.votes import PRIMARY, manager_role
from state.world.readings import PatroniReading

TTL = 30.0
LOOP_WAIT = 10.0
"""Patroni's defaults, in seconds, where its configuration was not read."""
NO_CLUSTER_SECONDS = 3.0
"""Managers that cannot show the cluster have lost the store when their last contact is older than this."""
LATE_SECONDS = 5.0
"""A manager has contact once in `loop_wait`; one that still shows the cluster may be so late."""


@dataclass(frozen=True, slots=True)
class StoreSilence:
    """`since_mono` is the newest contact of any manager, on the engine's clock in whole seconds, None = not known.

    `ends_mono` is when the lock of a leader has ended, `ttl` after that contact.
    """

    since_mono: float | None
    ends_mono: float | None


def store_silence(facts: ClusterFacts) -> StoreSilence | None:
    """Silent by the word of every manager that answers; one that has contact proves the store, none prove nothing."""
    answered = [n for n in facts.nodes.values() if n.patroni is not None]
    followers = [m for n in answered if (m := n.patroni) is not None and manager_role(m.role, m.state) != PRIMARY]
    # A leader shows the cluster from its cache, so the others say first that the store is gone.
    blind = bool(followers) and not any(m.members for m in followers)
    if not answered or not all(_without(n, facts.now_mono, blind=blind) for n in answered):
        return None
    last = [at for n in answered if (at := _contact(n)) is not None]
    if not last:
        return StoreSilence(None, None)
    ttl = max(n.patroni.ttl or TTL for n in answered if n.patroni is not None)
    return StoreSilence(max(last), max(last) + ttl)


def _without(node: NodeFacts, now_mono: float, *, blind: bool) -> bool:
    manager, last = node.patroni, _contact(node)
    if manager is None or manager.failsafe:
        return manager is not None
    if last is None:
        return False
    shows = bool(manager.members) and not blind
    return now_mono - last > ((manager.loop_wait or LOOP_WAIT) + LATE_SECONDS if shows else NO_CLUSTER_SECONDS)


def _contact(node: NodeFacts) -> float | None:
    seen, manager = node.patroni_seen, node.patroni
    if seen is None or seen.mono is None or manager is None or manager.dcs_age is None:
        return None
    return round(seen.mono - manager.dcs_age)


def stepped_down(facts: ClusterFacts) -> str:
    """The node that every other manager still names as the leader, while its own manager and its own server say that it
    is a standby; empty when there is none. Its lock ends by itself, unless the store takes no writes."""
    named = {_named(m) for n, m in facts.managers.items() if m is not None and _named(m) != n}
    holder = named.pop() if len(named) == 1 else ""
    node = facts.nodes.get(holder)
    if node is None or node.postgres is None or node.patroni is None or not node.postgres.in_recovery:
        return ""
    return "" if manager_role(node.patroni.role, node.patroni.state) == PRIMARY else holder


def _named(manager: PatroniReading) -> str:
    """The leader of a manager's list of members."""
    return next((m.name for m in manager.members if manager_role(m.role, "running") == PRIMARY), "")
