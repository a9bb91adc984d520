"""Replication as others met it: the inputs below tests/fixtures/cases, each with its right answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.databases.patroni_parse import Dynamic, last_contact, parse_members, parse_node, parse_scheduled
from adapters.databases.postgres_progress import Progress
from state.health import Health
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.switchover import switchover_notes, switchover_obstacles
from state.world.postgres_parts import ReplicationSlot
from state.world.world import World
from tests.unit.verdict_world import ESTATE, MB, NOW, first, manager, primary, put, sender, standby

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
ORDERS = ESTATE.databases["orders"]
NODES = ("n1", "n2", "n3")


def case(name: str, file: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((CASES / name / file).read_text())
    return read


def judge(world: World) -> ClusterVerdict:
    return cluster_verdict("orders", ORDERS, world, NOW)


def renamed(cluster: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The case with the names of the small estate."""
    text = json.dumps(cluster)
    for old, new in names.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    made: dict[str, Any] = json.loads(text)
    return made


def told_by_all(world: World, cluster: dict[str, Any], roles: dict[str, str], **facts: Any) -> None:
    for node in NODES:
        seen = manager(node, None, members=parse_members(cluster), role=roles[node], unlocked=False, **facts)
        put(world, f"patroni:orders/{node}", replace(seen, scheduled=parse_scheduled(cluster)))


def test_case_02_two_must_confirm_and_one_can(world: World) -> None:
    names = case("02-sync-needs-two-has-one", "patch.json")["postgresql"]["parameters"]["synchronous_standby_names"]
    put(
        world, "postgres:orders/n2", primary("n2", MB, senders=(sender("n1", "sync"),), synchronous_standby_names=names)
    )
    put(world, "postgres:orders/n1", standby("n1", MB))
    put(world, "postgres:orders/n3", standby("n3", MB - 9, receiver_state=None))
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, "n2"))
    cluster = judge(world)
    assert cluster.health is Health.FAIL
    assert "commits wait: 2 standbys needed, 1 in sync" in cluster.message
    assert cluster.risk.message.startswith("none:") is False


def test_case_03_a_tagged_node_is_refused_on_the_card(world: World) -> None:
    put(world, "postgres:orders/n2", primary("n2", MB, senders=(sender("n1"),), timeline=2))
    put(world, "postgres:orders/n1", standby("n1", MB, timeline=2))
    put(world, "postgres:orders/n3", standby("n3", MB - 43936, timeline=2, receiver_state=None))
    roles = {"n1": "replica", "n2": "primary", "n3": "replica"}
    told_by_all(world, case("03-nofailover-chosen", "cluster.json"), roles)
    cluster = judge(world)
    (refusal,) = switchover_obstacles(cluster, "n1")
    assert refusal.fact == "n1 carries the tag nofailover: Patroni does not let it lead"
    assert [r.rule for r in switchover_obstacles(cluster, "n3")] == ["streaming"]
    assert cluster.candidate is None


def test_case_07_a_leader_in_recovery_accepts_no_writes(world: World) -> None:
    names = {"p1": "n1", "s1": "n2", "s2": "n3"}
    for node in NODES:
        put(world, f"postgres:orders/{node}", standby(node, 83886080))
    told_by_all(
        world,
        renamed(case("07-leader-is-in-recovery", "cluster.json"), names),
        {"n1": "primary", "n2": "replica", "n3": "replica"},
    )
    cluster = judge(world)
    assert cluster.health is Health.FAIL
    assert cluster.message.startswith("no node accepts writes: Patroni calls n1 leader, its server is in recovery")
    assert cluster.candidate is not None
    assert cluster.candidate.node != "n1"
    assert first(world).health is Health.FAIL


def test_case_08_a_standby_cluster_is_healthy(world: World) -> None:
    two = {**case("08-standby-cluster", "cluster.json")}
    two["members"] = [*two["members"], {**two["members"][1], "name": "s3"}]
    told = renamed(two, {"s1": "n1", "s2": "n2", "s3": "n3"})
    for node in NODES:
        put(world, f"postgres:orders/{node}", standby(node, MB))
    told_by_all(world, told, {"n1": "standby_leader", "n2": "replica", "n3": "replica"})
    cluster = judge(world)
    assert (cluster.health, cluster.leader) == (Health.PASS, "n1")
    assert cluster.message == "standby cluster, led by n1, follows a primary outside"
    assert {node.health for node in cluster.nodes.values()} == {Health.PASS}
    assert switchover_obstacles(cluster, "n2") == (), "the standby leader can be moved"


@pytest.mark.parametrize("behind", [120, -120, 86_400])
def test_case_10_a_clock_apart_is_no_fault(world: World, behind: int) -> None:
    progress = Progress()
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, "n1"))
    shape = case("10-clock-behind", "patroni.json")
    for second in range(5):
        answer = {**shape, "dcs_last_seen": 1_795_417_200 - behind + second}
        contact = last_contact(answer)
        age = progress.still("dcs", contact, float(second))
        read = parse_node("n2", answer, {}, Dynamic(), age)
        seen = replace(manager("n2", "n1"), dcs_age=read.dcs_age)
        put(world, "patroni:orders/n2", seen)
        cluster = judge(world)
        assert cluster.health is Health.PASS
        assert switchover_obstacles(cluster, "n3") == ()
    assert progress.still("dcs", contact, 40.0) == 36.0, "one that stands still is noticed"


def test_case_11_a_scheduled_switchover_is_told(world: World) -> None:
    put(world, "postgres:orders/n1", standby("n1", MB, timeline=2))
    put(world, "postgres:orders/n2", primary("n2", MB, senders=(sender("n1"), sender("n3")), timeline=2))
    put(world, "postgres:orders/n3", standby("n3", MB, timeline=2))
    told = case("11-scheduled-switchover", "cluster.json")
    told["members"].append({**told["members"][1], "name": "n1"})
    told_by_all(world, told, {"n1": "replica", "n2": "primary", "n3": "replica"})
    cluster = judge(world)
    assert cluster.health is Health.PASS
    assert cluster.message.endswith("scheduled: leader moves n2 -> n3 at 2026-11-26 18:48:39Z")
    assert any(note.startswith("this replaces what is scheduled") for note in switchover_notes(cluster, "n1"))


def test_case_26_a_lost_logical_slot_names_its_subscriber(world: World) -> None:
    lost = ReplicationSlot(
        "cdc_orders", "logical", False, None, "lost", "pgoutput", "shop", invalidation="wal_removed"
    )  # fmt: skip
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, senders=(sender("n2"), sender("n3")), slots=(lost,)))
    cluster = judge(world)
    assert cluster.health is Health.WARN
    assert "the subscriber of cdc_orders (pgoutput, database shop) must be resynchronised" in cluster.message
    assert "wal_removed" in cluster.message
    cause = first(world)
    assert cause.what.startswith("slot cdc_orders on n1: lost (wal_removed)")
    assert "standby" not in cause.what
