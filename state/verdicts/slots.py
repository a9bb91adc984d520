"""Replication slots: whose they are, what they keep, and the ones whose consumer has lost its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from state.units import megabytes
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.lag import lsn
from state.verdicts.past import SLOTS_TOLD_FOR
from state.world.postgres_parts import ReplicationSlot

KEEPS_MUCH = 1 << 30
"""Bytes from which the WAL kept for nobody is told of a leader."""
KEEPS_ASIDE = 4 * (16 << 20)
"""The same of a standby, whose slots a manager moves on: so many bytes behind it and no movement is nobody's."""
STILL = 30.0
"""Seconds without any movement after which a slot of a standby counts as left behind."""


@dataclass(frozen=True, slots=True)
class SlotFault:
    """What is wrong with one slot. `lost`: its consumer cannot go on; `twice`: it reads on a standby and has a place at
    the primary too; `cost`: a change of the writer has cost what its consumer lacks; else it keeps WAL or soon loses
    it."""

    node: str
    slot: ReplicationSlot
    lost: bool
    message: str
    twice: bool = False
    cost: bool = False


def consumer(facts: ClusterFacts, slot: ReplicationSlot) -> str:
    """Whose slot it is: a standby of the estate, or the subscriber of a logical slot."""
    if slot.slot_type == "logical":
        where = ", ".join(filter(None, (slot.plugin, f"database {slot.database}" if slot.database else "")))
        return f"the subscriber of {slot.name}" + (f" ({where})" if where else "")
    for node in facts.nodes.values():
        receiver = node.postgres.receiver if node.postgres is not None else None
        used = receiver is not None and receiver.slot == slot.name
        if used or slot.name in (node.node, node.node.lower().replace("-", "_").replace(".", "_")):
            return f"standby {node.node}"
    return "its standby, which the estate does not have,"


def retained(node: NodeFacts, slot: ReplicationSlot) -> int | None:
    """Bytes of WAL that it keeps at its server; None = not known."""
    head = node.postgres.held if node.postgres is not None else None
    return None if head is None or slot.restart_lsn is None else max(0, head - slot.restart_lsn)


def slot_words(facts: ClusterFacts, slot: ReplicationSlot, kept: int | None) -> str:
    """One slot for people."""
    if slot.lost:
        return _lost(facts, slot)
    if slot.temporary and slot.synced:
        return "not ready: a promotion here drops it, and its consumer loses changes"
    anew = f", made anew: skipped {megabytes(slot.skipped[1] - slot.skipped[0])}" if slot.skipped is not None else ""
    held = f"keeps {megabytes(kept)}" if kept is not None else "position unknown"
    if slot.wal_status == "unreserved":
        held += f", {_left(slot)}"
    elif slot.wal_status not in (None, "reserved"):
        held += f", WAL {slot.wal_status}"
    if slot.slot_type == "logical" and slot.failover is False and not slot.temporary:
        held += ", not kept by a failover"
    return f"{'in use' if slot.active else 'inactive'}, {held}{anew}"


def slot_faults(facts: ClusterFacts) -> tuple[SlotFault, ...]:
    """Every slot of a server that answers which is lost, soon will be, or keeps WAL for nobody."""
    found = []
    for node in facts.nodes.values():
        for slot in node.postgres.slots if node.postgres is not None else ():
            message = _fault(facts, node, slot)
            if message:
                twice = bool(_second_place(facts, node, slot))
                found.append(SlotFault(node.node, slot, slot.lost, message, twice, slot.skipped is not None))
    return (*found, *_missed(facts))


def _missed(facts: ClusterFacts) -> Iterator[SlotFault]:
    """Logical slots that a former writer had and that its successor lacks, or that were made anew there: by the
    journal, since no server tells it. What the readings of this process tell more exactly is left to them."""
    primary = facts.primary
    if primary is None or primary.postgres is None:
        return
    there = {each.name: each for each in primary.postgres.slots}
    for past in facts.past.slots:
        slot = there.get(past.name)
        old = facts.wall is not None and facts.wall - past.at >= SLOTS_TOLD_FOR
        if old or (past.anew is None) is (slot is not None) or (slot is not None and (slot.skipped or slot.lost)):
            continue
        slot = slot or ReplicationSlot(past.name, "logical", False, None, None)
        seen = f"confirmed to {lsn(past.lsn)}" if past.lsn is not None else "how far it was is not known"
        if past.anew is None:
            message = (
                f"slot {past.name}, which {past.node} had when it was last read to write ({seen}), is not on"
                f" {primary.node}: {consumer(facts, slot)} lacks what comes after"
            )
        else:
            message = (
                f"slot {past.name} was made anew on {primary.node}, at {lsn(past.anew)} or before:"
                f" {consumer(facts, slot)} lacks what it had not read on {past.node} ({seen} when that was last read)"
            )
        yield SlotFault(primary.node, slot, False, message, cost=True)


def _fault(facts: ClusterFacts, node: NodeFacts, slot: ReplicationSlot) -> str:
    reading = node.postgres
    assert reading is not None
    name = f"slot {slot.name} on {node.node}"
    if slot.lost:
        return f"{name}: {_lost(facts, slot)}"
    if slot.wal_status == "unreserved":
        return f"{name}: {_left(slot)} for {consumer(facts, slot)}"
    if slot.skipped is not None:
        begin, end = slot.skipped
        return (
            f"{name} was made anew: {megabytes(end - begin)} of changes, {lsn(begin)} to {lsn(end)}, were never sent to"
            f" {consumer(facts, slot)}"
        )
    if elsewhere := _second_place(facts, node, slot):
        return (
            f"{name} is read by {consumer(facts, slot)} on a standby, and {elsewhere} has a slot of that name: what is"
            " between the two is skipped or comes twice"
        )
    kept = retained(node, slot)
    if slot.active or slot.temporary or kept is None:
        return ""
    if not reading.in_recovery:
        whom = consumer(facts, slot)
        return f"{name} keeps {megabytes(kept)} of WAL for {whom}, which does not take it" if kept >= KEEPS_MUCH else ""
    stands = slot.still is not None and slot.still >= STILL
    if kept >= KEEPS_ASIDE and stands and not slot.synced:
        return f"{name} keeps {megabytes(kept)} of WAL on a standby, and nothing moves it on"
    return ""


def _second_place(facts: ClusterFacts, node: NodeFacts, slot: ReplicationSlot) -> str:
    """The primary that has a slot of this name too, while a consumer reads from one on a standby that nothing keeps in
    step with it; else empty."""
    reading, primary = node.postgres, facts.primary
    own = slot.slot_type == "logical" and slot.active and slot.synced is not True
    if not own or reading is None or not reading.in_recovery or primary is None or primary.postgres is None:
        return ""
    alike = [each for each in primary.postgres.slots if each.slot_type == "logical" and each.name == slot.name]
    return primary.node if alike else ""


def _left(slot: ReplicationSlot) -> str:
    if slot.safe_wal_size and slot.safe_wal_size > 0:
        return f"WAL unreserved, it is lost with {megabytes(slot.safe_wal_size)} more of WAL at a checkpoint"
    return "WAL unreserved, it is lost at the next checkpoint"


def _lost(facts: ClusterFacts, slot: ReplicationSlot) -> str:
    reason = slot.invalidation or ("conflict with recovery" if slot.conflicting else "its WAL was removed")
    remedy = "resynchronised" if slot.slot_type == "logical" else "rebuilt"
    return f"lost ({reason}): {consumer(facts, slot)} must be {remedy}"
