"""The traps of replication slots and of the archive: what is left behind, lost, or was never there is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from state.health import Health
from state.views.replication import build
from state.world.postgres_parts import (
    ReplicationSlot,
    WalArchiver,
)
from state.world.world import World
from tests.unit.replicated import judge, leads
from tests.unit.verdict_world import (
    MB,
    first,
    look,
    put,
    sender,
    standby,
)


def slot(name: str, **facts: Any) -> ReplicationSlot:
    return replace(ReplicationSlot(name, "physical", False, 100 * MB, "reserved"), **facts)


def test_replication_trap_39_slots_left_behind_on_a_standby_are_told(world: World) -> None:
    left = slot("n3", restart_lsn=10 * MB, still=120.0)
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, slots=(left,)))
    cluster = judge(world)
    assert cluster.health is Health.WARN
    assert "slot n3 on n2 keeps 90.0 MB of WAL on a standby" in cluster.message
    for copy in (replace(left, still=1.0), replace(left, synced=True)):
        put(world, "postgres:orders/n2", standby("n2", 100 * MB, slots=(copy,)))
        assert judge(world).health is Health.PASS, "a copy that is moved on"


def test_replication_trap_40_unreserved_warns_with_the_bytes_left(world: World) -> None:
    leads(world, sender("n2"), sender("n3"), slots=(slot("n2", wal_status="unreserved", safe_wal_size=5 * MB),))
    cluster = judge(world)
    assert cluster.health is Health.WARN
    assert "it is lost with 5.0 MB more of WAL at a checkpoint for standby n2" in cluster.message


def test_replication_trap_63_an_archiver_that_never_succeeded_is_red(world: World) -> None:
    leads(world, sender("n2"), archiver=WalArchiver("on", 0, 3, "", "0001", failing=True, backlog=4))
    cluster = judge(world)
    assert (cluster.health, cluster.halted) == (Health.FAIL, False), "the service goes on"
    assert "the archiver of n1 never succeeded, 3 failures, 4 files wait" in cluster.message
    assert first(world).key.endswith("n1/archiver")


def test_replication_trap_69_a_slot_that_a_failover_does_not_keep_is_told(world: World) -> None:
    cdc = slot("cdc", slot_type="logical", active=True, failover=False, synced=False, plugin="pgoutput")
    leads(world, sender("n2"), slots=(cdc, replace(cdc, name="old", failover=None)))
    rows = {row.name: row.message for row in replication_slots(world)}
    assert "not kept by a failover" in rows["cdc"]
    assert "failover" not in rows["old"], "an older server does not say, and absent is not no"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"conflicting": True, "wal_status": "lost"}, "conflict with recovery"),
        ({"conflicting": None, "wal_status": "lost"}, "its WAL was removed"),
        ({"invalidation": "rows_removed", "wal_status": "lost"}, "rows_removed"),
    ],
)
def test_replication_trap_70_slots_lost_on_a_standby_are_told(world: World, facts: dict[str, Any], reason: str) -> None:
    lost = slot("cdc", slot_type="logical", plugin="pgoutput", database="shop", **facts)
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, slots=(lost,)))
    cluster = judge(world)
    assert cluster.health is Health.WARN
    assert f"slot cdc on n2: lost ({reason}): the subscriber of cdc (pgoutput, database shop)" in cluster.message
    assert [row.node for row in replication_slots(world)] == ["n2"]


def replication_slots(world: World) -> list[Any]:
    return list(build(look(world)).slots.values())


def test_replication_trap_38_a_consumer_that_reads_from_a_demoted_node_is_told(world: World) -> None:
    cdc = slot("cdc", slot_type="logical", active=True, plugin="pgoutput", database="shop")
    leads(world, sender("n2"), sender("n3"), slots=(replace(cdc, active=False),))
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, slots=(cdc,)))
    cluster = judge(world)
    said = (
        "slot cdc on n2 is read by the subscriber of cdc (pgoutput, database shop) on a standby, and n1 has a slot of"
    )
    assert cluster.health is Health.WARN
    assert said in cluster.message
    (cause,) = [each for each in look(world).causes if each.key == "database/orders/n2/slot/cdc"]
    assert "who reads cdc on n2" in cause.next.message
    for copy in (replace(cdc, active=False), replace(cdc, synced=True, active=True)):
        put(world, "postgres:orders/n2", standby("n2", 100 * MB, slots=(copy,)))
        assert judge(world).health is Health.PASS, "nobody reads there, or the server keeps it in step"
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, slots=(replace(cdc, name="reports"),)))
    assert judge(world).health is Health.PASS, "decoding on a standby is no fault where it is the only place"


def test_replication_trap_36_a_slot_made_anew_names_what_was_never_sent(world: World) -> None:
    anew = slot("cdc", slot_type="logical", plugin="pgoutput", database="shop", skipped=(40 * MB, 47 * MB))
    leads(world, sender("n2"), sender("n3"), slots=(anew,))
    cluster = judge(world)
    assert cluster.health is Health.WARN
    words = "slot cdc on n1 was made anew: 7.0 MB of changes, 0/2625A00 to 0/2CD29C0, were never sent to the subscriber"
    assert words in cluster.message
    cause = first(world)
    assert (cause.key, cause.health) == ("database/orders/n1/slot/cdc", Health.WARN)
    assert cause.next is not None
    assert "Copy its tables anew" in cause.next.message
    row = build(look(world)).slots["orders/cdc"]
    assert "made anew: skipped 7.0 MB" in row.message
