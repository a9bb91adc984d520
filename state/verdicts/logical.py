"""Logical replication: subscriptions whose apply fails or stands still, and how far each is behind its publisher."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from state.units import counted, megabytes
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.world.postgres_parts import Publication, ReplicationSlot, Subscription

UNCOPIED = 30.0
"""Seconds without a process that copies, after which tables that are not copied count as left behind; one that fails is
started again after 5 s (wal_retrieve_retry_interval)."""
GONE = 10.0
"""Seconds without a worker after which a subscription that is enabled counts as standing still."""


@dataclass(frozen=True, slots=True)
class SubscriptionFault:
    """What is wrong with one subscription."""

    node: str
    subscription: Subscription
    message: str


@dataclass(frozen=True, slots=True)
class Publisher:
    """The other end: the slot of that name, and the server that has it."""

    database: str
    node: NodeFacts
    slot: ReplicationSlot

    @property
    def behind(self) -> int | None:
        """Bytes of its WAL that the subscriber has not confirmed; None = not known."""
        written = self.node.postgres.write_lsn if self.node.postgres is not None else None
        confirmed = self.slot.confirmed_lsn
        return None if written is None or confirmed is None else max(0, written - confirmed)


def subscription_faults(facts: ClusterFacts) -> tuple[SubscriptionFault, ...]:
    """Every subscription of a server that accepts writes which does not go on. On a standby none runs."""
    found = []
    for node in facts.writers:
        for each in node.postgres.subscriptions if node.postgres is not None else ():
            said = _fault(each)
            if said:
                message = f"subscription {each.name} on {node.node} (database {each.database}) {said}"
                found.append(SubscriptionFault(node.node, each, message))
    return tuple(found)


def _fault(each: Subscription) -> str:
    errors = counted(each.errors, "error")
    if each.failing:
        return f"fails again and again to apply, {errors} so far"
    if not each.enabled:
        return f"is disabled after {errors}" if each.errors else ""
    if each.stopped is not None and each.stopped >= GONE:
        return "has no worker: nothing is applied"
    if each.uncopied and each.idle is not None and each.idle >= UNCOPIED:
        are = "is not copied: nothing copies it" if each.uncopied == 1 else "are not copied: nothing copies them"
        return f"applies, and {counted(each.uncopied, 'table')} of it {are} now"
    return ""


def publisher_of(facts: ClusterFacts, each: Subscription, clusters: Iterable[ClusterFacts]) -> Publisher | None:
    """The server of another system that has the subscription's slot; None where none or several are known."""
    own = {n.postgres.system_id for n in facts.nodes.values() if n.postgres is not None}
    found = [
        Publisher(other.name, node, slot)
        for other in clusters
        for node in other.writers
        if node.postgres is not None and node.postgres.system_id not in own
        for slot in node.postgres.slots
        if slot.slot_type == "logical" and slot.name == each.slot
    ]
    return found[0] if len(found) == 1 else None


def readers_of(
    facts: ClusterFacts, node: NodeFacts, each: Publication, clusters: Iterable[ClusterFacts]
) -> list[tuple[Publisher, Subscription]]:
    """The subscriptions of the estate that read a publication of a node, each with its slot there."""
    others = tuple(clusters)
    found = []
    for other in others:
        for at in other.writers:
            for wanted in at.postgres.subscriptions if at.postgres is not None else ():
                publisher = publisher_of(other, wanted, others) if each.name in wanted.publications else None
                if publisher is not None and publisher.database == facts.name and publisher.node is node:
                    in_it = publisher.slot.database in ("", each.database)
                    found += [(Publisher(other.name, at, publisher.slot), wanted)] if in_it else []
    return found


def publication_words(each: Publication, readers: Sequence[tuple[Publisher, Subscription]], end: int | None) -> str:
    """One publication for people; `end` is how far its server has written."""
    what = "all tables" if each.tables is None else counted(each.tables, "table")
    said = []
    for at, wanted in readers:
        confirmed = at.slot.confirmed_lsn
        behind = "an unknown part" if end is None or confirmed is None else megabytes(max(0, end - confirmed))
        said.append(f"{wanted.name} of {at.database}/{at.node.node} {behind} behind")
    return f"{what} of {each.database}; read by {', '.join(said) or 'no subscription of the estate'}"


def subscription_words(each: Subscription, publisher: Publisher | None) -> str:
    """One subscription for people."""
    said = _fault(each) or (f"copies, {counted(each.uncopied, 'table')} to go" if each.uncopied else "")
    said = said or ("applies" if each.running else "disabled" if not each.enabled else "starts")
    if publisher is None:
        return f"{said}; slot {each.slot or 'none'} is at no database of the estate, or at several"
    behind = "an unknown part" if publisher.behind is None else megabytes(publisher.behind)
    return f"{said}; {behind} behind {publisher.database}/{publisher.node.node} (slot {each.slot})"
