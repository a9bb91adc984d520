"""Logical slots across a change of the writer and a restart of the engine: what no server tells is in the journal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from state.detection.slots import EVERY, SLOTS, LogicalSlotsSeen
from state.health import Health
from state.verdicts.past import SLOTS_TOLD_FOR
from state.world.postgres_parts import ReplicationSlot
from tests.unit.night import Night, cluster
from tests.unit.verdict_world import MB

NODES = ("n1", "n2", "n3")


def slot(name: str = "cdc", confirmed: int = 40 * MB, **facts: Any) -> ReplicationSlot:
    made = ReplicationSlot(name, "logical", True, 100 * MB, "reserved", "pgoutput", "shop", confirmed_lsn=confirmed)
    return replace(made, **facts)


def led(night: Night, leader: str, timeline: int, **slots: tuple[ReplicationSlot, ...]) -> None:
    """The cluster with these slots by node."""
    for node, reading in cluster(leader, timeline).items():
        night.put(f"postgres:orders/{node}", replace(reading, slots=slots.get(node, ())))


def told(night: Night) -> list[tuple[Health, str]]:
    return [(each.health, each.what) for each in night.causes() if "/slot/" in each.key]


LACKS = (
    "slot cdc, which n1 had when it was last read to write (confirmed to 0/2625A00), is not on n2: the subscriber of"
    " cdc lacks what comes after"
)


@pytest.mark.parametrize("runs", [True, False])
def test_replication_trap_36_a_slot_that_a_failover_lost_is_told_also_when_no_engine_ran(
    night: Night, *, runs: bool
) -> None:
    led(night, "n1", 1, n1=(slot(),))
    night.sleep(5)
    assert [each.names for each in night.bodies(LogicalSlotsSeen)] == [frozenset({"cdc"})]  # type: ignore[attr-defined]
    assert told(night) == []
    if not runs:
        night.restart()
    led(night, "n2", 2)
    night.sleep(5)
    assert told(night) == [(Health.WARN, LACKS)]
    (cause,) = [each for each in night.causes() if "/slot/" in each.key]
    assert cause.next is not None
    assert "Copy its tables anew" in cause.next.message
    night.restart()
    night.sleep(5)
    assert told(night) == [(Health.WARN, LACKS)], "after one more restart too"
    assert len(night.bodies(LogicalSlotsSeen)) == 2, "and it is recorded once"
    night.clock.now += SLOTS_TOLD_FOR
    night.sleep(5)
    assert told(night) == [], "for a day"


def test_replication_trap_36_a_slot_that_was_made_anew_while_no_engine_ran_is_told(night: Night) -> None:
    led(night, "n1", 1, n1=(slot(),))
    night.sleep(5)
    night.restart()
    led(night, "n2", 2, n2=(slot(confirmed=47 * MB),))
    night.sleep(5)
    ((health, what),) = told(night)
    assert health is Health.WARN
    assert what == (
        "slot cdc was made anew on n2, at 0/2CD29C0 or before: the subscriber of cdc (pgoutput, database shop) lacks"
        " what it had not read on n1 (confirmed to 0/2625A00 when that was last read)"
    )


def test_a_slot_that_came_back_after_the_failover_is_told_with_where_it_begins(night: Night) -> None:
    led(night, "n1", 1, n1=(slot(),))
    night.sleep(5)
    led(night, "n2", 2)
    night.sleep(15)
    night.restart()
    led(night, "n2", 2, n2=(slot(confirmed=47 * MB),))
    night.sleep(15)
    ((_, what),) = told(night)
    assert "was made anew on n2, at 0/2CD29C0 or before" in what
    led(night, "n2", 2, n2=(slot(confirmed=47 * MB, skipped=(40 * MB, 46 * MB)),))
    night.sleep(2)
    ((_, what),) = told(night)
    assert "6.0 MB of changes" in what, "what the readings tell more exactly is said once"


@pytest.mark.parametrize(
    ("copies", "after"),
    [
        ({"n2": (slot(failover=True, synced=True),)}, {"n2": (slot(confirmed=47 * MB),)}),
        ({"n2": (slot(),), "n3": ()}, {"n2": (slot(confirmed=39 * MB),)}),
    ],
)
def test_a_slot_that_the_candidate_had_is_not_lost(
    night: Night, copies: dict[str, tuple[ReplicationSlot, ...]], after: dict[str, tuple[ReplicationSlot, ...]]
) -> None:
    led(night, "n1", 1, n1=(slot(),), **copies)
    night.sleep(5)
    night.restart()
    led(night, "n2", 2, **after)
    night.sleep(15)
    assert told(night) == []


def test_one_that_is_not_ready_on_the_candidate_is_none(night: Night) -> None:
    led(night, "n1", 1, n1=(slot(),), n2=(slot(failover=True, synced=True, temporary=True),))
    night.sleep(5)
    night.restart()
    led(night, "n2", 2)
    night.sleep(5)
    assert told(night) == [(Health.WARN, LACKS)]


def test_a_slot_that_is_dropped_where_it_was_is_nobodys_loss(night: Night) -> None:
    led(night, "n1", 1, n1=(slot(), slot("old"), slot("pg_16394_sync_16385_7", temporary=False)))
    night.sleep(15)
    led(night, "n1", 1, n1=(slot(),))
    night.sleep(15)
    night.restart()
    led(night, "n2", 2, n2=(slot(confirmed=40 * MB),))
    night.sleep(15)
    assert told(night) == [], "nothing of it was skipped"
    assert [sorted(each.names) for each in night.bodies(LogicalSlotsSeen)] == [  # type: ignore[attr-defined]
        ["cdc", "old"], ["cdc"], ["cdc"],
    ]  # fmt: skip


def test_positions_are_recorded_once_an_hour_and_a_cluster_without_such_slots_leaves_no_entry(night: Night) -> None:
    led(night, "n1", 1)
    night.sleep(20)
    assert night.bodies(LogicalSlotsSeen) == []
    led(night, "n1", 1, n1=(slot(),))
    night.sleep(20)
    for moved in range(5):
        led(night, "n1", 1, n1=(slot(confirmed=(41 + moved) * MB),))
        night.sleep(20)
    assert len(night.bodies(LogicalSlotsSeen)) == 1, "and while it runs the newest position counts"
    night.clock.now += EVERY
    night.sleep(5)
    assert [each.slots[0].lsn for each in night.bodies(LogicalSlotsSeen)] == [40 * MB, 45 * MB]  # type: ignore[attr-defined]


def test_slots_that_come_and_go_all_the_time_leave_few_entries_and_a_failover_is_told_at_once(night: Night) -> None:
    for turn in range(60):
        led(night, "n1", 1, n1=(slot(), *((slot("scratch"),) if turn % 2 else ())))
        night.sleep(12)
    assert len(night.bodies(LogicalSlotsSeen)) <= 5
    led(night, "n2", 2)
    night.sleep(2)
    assert (Health.WARN, LACKS) in told(night)


def test_a_position_that_is_not_recorded_yet_counts_while_the_engine_runs(night: Night) -> None:
    for confirmed in (40, 45):
        led(night, "n1", 1, n1=(slot(confirmed=confirmed * MB),))
        night.sleep(5)
    led(night, "n2", 2)
    night.sleep(2)
    ((_, what),) = told(night)
    assert "confirmed to 0/2AEA540" in what, "45 MB"


def test_of_each_database_the_newest_entry_is_enough(night: Night) -> None:
    led(night, "n1", 1, n1=(slot(),))
    night.sleep(5)
    assert SLOTS.subjects is not None
    (entry,) = [each for each in night.journal if each.kind == "slots.seen"]
    assert [each.key for each in SLOTS.subjects(entry)] == [("slots", "orders")]
