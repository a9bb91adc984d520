"""Tables of managers that are asked by command: their parsers, and what they are in the verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.databases.pg_auto_failover_parse import parse_state
from adapters.databases.repmgr_parse import parse_cluster_show, parse_node_check
from state.errors import ReadFailure
from state.health import Health
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.votes import CONFLICT, PRIMARY
from state.world.manager_tables import ManagerTable, ToldNode
from state.world.world import World
from tests.unit.verdict_world import ESTATE, MB, NOW, blackhole, primary, put, sender, standby

NAMES = {1: "n1", 2: "n2", 3: "n3", 4: "w"}
AT = 100 * MB

NODE_CHECK = """"Node name","b"
"Node ID","2"
"Server role","CRITICAL","node is registered as standby but running as primary"
"Replication lag","OK"
"WAL archiving","OK"
"Upstream connection","CRITICAL","node "b" (ID: 2) is not attached to expected upstream node"
"Downstream servers","OK","this node has no downstream nodes"
"Replication slots","WARNING","1 of 1 physical replication slots are inactive"
"Missing physical replication slots","OK","node has no missing physical replication slots"
"Configured data directory","CRITICAL","configured "data_directory" is "/data/b""
"""
"""As repmgr 5.3.3 prints it: quotes within a text are not doubled."""


def monitor_row(name: str, number: int, state: str, target: str = "", **other: Any) -> dict[str, Any]:
    """A row as the manual shows it for 2.x."""
    return {
        "health": 1, "node_id": number, "group_id": 0, "nodehost": "localhost", "nodename": name,
        "nodeport": 5500 + number, "reported_lsn": "0/4000678", "reported_tli": 1,
        "formation_kind": "pgsql", "candidate_priority": 50,
        "replication_quorum": True, "current_group_state": state, "assigned_group_state": target or state, **other,
    }  # fmt: skip


def monitor(*rows: dict[str, Any]) -> ManagerTable:
    return ManagerTable("pg_autoctl monitor", "", parse_state(json.dumps(rows).encode(), "monitor"))


def repmgr(node: str, text: str, *, apart: bool = False) -> ManagerTable:
    rows, strange = parse_cluster_show(text, NAMES, node, apart=frozenset({"w"}))
    return ManagerTable(f"repmgr {node}", "" if apart else node, rows, unknown_rows=strange)


def servers(names: str = "", leads: str = "n1") -> World:
    """Three servers without Patroni, n1 leads."""
    world = World()
    streams = tuple(sender(n, "quorum" if names else "async") for n in ("n2", "n3"))
    put(world, f"postgres:orders/{leads}", primary(leads, AT, senders=streams, synchronous_standby_names=names))
    for node in ("n1", "n2", "n3"):
        if node != leads:
            put(world, f"postgres:orders/{node}", standby(node, AT))
    return world


def judged(world: World, **tables: ManagerTable) -> ClusterVerdict:
    for place, table in tables.items():
        put(world, f"manager:orders/{place}", table)
    return cluster_verdict("orders", ESTATE.databases["orders"], world, NOW)


def test_cluster_show_is_read_by_reachability_and_recovery() -> None:
    rows, strange = parse_cluster_show("1,0,0\n2,0,1\n3,-1,-1\n4,0,0\n9,0,1\n", NAMES, "n1", apart=frozenset({"w"}))
    assert [(r.name, r.role, r.reached) for r in rows] == [
        ("n1", "primary", True), ("n2", "standby", True), ("n3", "", False),
    ]  # fmt: skip
    assert strange == ("node 9",)


@pytest.mark.parametrize(
    "text", ["", "1,0\n", "a,b,c\n", "1,0,0\n1,0,1\n", "9,0,0\n", '"1,0,0\n', "ERROR: connection\n", "1,0,0,0\n"]
)
def test_what_is_no_answer_of_cluster_show_is_refused(text: str) -> None:
    with pytest.raises(ReadFailure):
        parse_cluster_show(text, NAMES, "n1")


def test_node_check_tells_its_issues_without_what_receivers_and_senders_tell() -> None:
    assert parse_node_check(NODE_CHECK, 2, "n2") == (
        "Server role: CRITICAL (node is registered as standby but running as primary)",
        "Replication slots: WARNING (1 of 1 physical replication slots are inactive)",
        'Configured data directory: CRITICAL (configured "data_directory" is "/data/b")',
    )


@pytest.mark.parametrize(
    ("text", "number"), [(NODE_CHECK, 1), ("", 2), ('"Server role","OK"\n', 2), (NODE_CHECK + "ERROR: x", 2)]
)
def test_node_check_of_another_node_or_of_none_is_refused(text: str, number: int) -> None:
    with pytest.raises(ReadFailure):
        parse_node_check(text, number, "n2")


def test_the_monitor_tells_roles_only_of_nodes_that_are_to_stay_what_they_are() -> None:
    rows = monitor(
        monitor_row("n1", 1, "primary", "draining"), monitor_row("n2", 2, "secondary", "prepare_promotion"),
        monitor_row("n3", 3, "secondary", health=0), monitor_row("n4", 4, "secondary", candidate_priority=0),
        monitor_row("n5", 5, "wait_primary", health=-1), monitor_row("n6", 6, "maintenance"),
    ).nodes  # fmt: skip
    assert [(r.name, r.role, r.reached, r.may_lead) for r in rows] == [
        ("n1", "", True, True), ("n2", "", True, True), ("n3", "", False, True), ("n4", "standby", True, False),
        ("n5", "primary", None, True), ("n6", "standby", True, False),
    ]  # fmt: skip
    assert [r.name for r in rows if r.in_motion] == ["n1", "n2"]
    assert [r.name for r in rows if r.alone] == ["n5"]
    assert rows[2].standby_name == "pgautofailover_standby_3"


def test_a_node_tells_its_own_state_with_local_names() -> None:
    local = {
        "node_id": 1, "group_id": 0, "nodename": "n1", "nodeport": 5501, "current_group_state": "primary",
        "assigned_group_state": "primary", "timeline": 1, "Minimum Recovery Ending LSN": "0/0", "reachable": "unknown",
        "conntype": "read-write",
    }  # fmt: skip
    assert parse_state(json.dumps(local).encode(), "n1") == (
        ToldNode("n1", "primary", None, "primary", "primary", None, False, False, "pgautofailover_standby_1"),
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[1]", b'[{"nodename": 1}]', b"Name | Node", b"null"])
def test_what_is_no_answer_of_show_state_is_refused(body: bytes) -> None:
    with pytest.raises(ReadFailure):
        parse_state(body, "monitor")


def test_two_nodes_of_one_name_are_refused() -> None:
    with pytest.raises(ReadFailure):
        monitor(monitor_row("n1", 1, "primary"), monitor_row("n1", 2, "secondary"))


def test_tables_that_agree_are_votes_and_change_nothing() -> None:
    all_well = "1,0,0\n2,0,1\n3,0,1\n"
    verdict = judged(servers(), n1=repmgr("n1", all_well), n2=repmgr("n2", all_well), n3=repmgr("n3", all_well))
    assert verdict.health is Health.PASS, verdict.message
    assert verdict.leader == "n1"
    assert [v.witness for v in verdict.nodes["n1"].votes if v.role == PRIMARY] == [
        "Postgres", "repmgr n1", "repmgr n2", "repmgr n3",
    ]  # fmt: skip


def test_a_table_that_names_another_leader_is_a_conflict() -> None:
    verdict = judged(servers(), monitor=monitor(monitor_row("n1", 1, "secondary"), monitor_row("n2", 2, "primary")))
    assert verdict.leader == CONFLICT
    assert verdict.health is not Health.PASS


def test_a_promotion_that_would_fork_is_foretold() -> None:
    """The witness sees the primary, the standby does not (EnterpriseDB/repmgr#821)."""
    verdict = judged(
        servers(), n2=repmgr("n2", "1,-1,-1\n2,0,1\n3,0,1\n"), w=repmgr("w", "1,0,0\n2,0,1\n3,0,1\n", apart=True)
    )
    assert "n2 does not reach n1, which lives and leads by its own server and repmgr w" in verdict.message
    assert "two nodes write" in verdict.message
    assert verdict.health is Health.WARN


def test_a_fork_is_foretold_by_the_witness_alone_while_we_do_not_reach_the_primary() -> None:
    world = servers()
    blackhole(world, "postgres:orders/n1")
    verdict = judged(
        world, n2=repmgr("n2", "1,-1,-1\n2,0,1\n3,0,1\n"), w=repmgr("w", "1,0,0\n2,0,1\n3,0,1\n", apart=True)
    )
    assert "n2 does not reach n1, which lives and leads by repmgr w" in verdict.message


def test_a_primary_that_nobody_reaches_foretells_no_fork() -> None:
    world = servers()
    blackhole(world, "postgres:orders/n1")
    verdict = judged(world, n2=repmgr("n2", "1,-1,-1\n2,0,1\n3,0,1\n"))
    assert "two nodes write" not in verdict.message
    assert verdict.health is not Health.PASS


def test_rows_that_tables_lack_or_have_too_many_are_told() -> None:
    verdict = judged(servers(), n1=repmgr("n1", "1,0,0\n2,0,1\n3,0,1\n"), n2=repmgr("n2", "1,0,0\n2,0,1\n9,0,1\n"))
    assert "repmgr n2 has no row of n3" in verdict.message
    assert "repmgr n2 has rows that are not in the estate: node 9" in verdict.message


def test_no_manager_that_answers_is_unknown_and_some_that_do_not_warn() -> None:
    world = servers()
    put(world, "manager:orders/n1", repmgr("n1", "1,0,0\n2,0,1\n3,0,1\n"))
    put(world, "manager:orders/n2", repmgr("n2", "1,0,0\n2,0,1\n3,0,1\n"))
    blackhole(world, "manager:orders/n2")
    some = judged(world)
    assert some.health is Health.WARN
    assert "the manager does not answer at n2" in some.message
    blackhole(world, "manager:orders/n1")
    assert judged(world).health is Health.UNKNOWN


def test_wait_primary_says_that_commits_wait_for_no_standby() -> None:
    verdict = judged(
        servers(), monitor=monitor(
            monitor_row("n1", 1, "wait_primary"), monitor_row("n2", 2, "catchingup"), monitor_row("n3", 3, "secondary")
        )
    )  # fmt: skip
    assert "n1 is wait_primary by its manager: commits wait for no standby" in verdict.message
    assert verdict.health is Health.WARN


QUORUM = "ANY 1 (pgautofailover_standby_2, pgautofailover_standby_3)"


@pytest.mark.parametrize(
    ("state", "health", "lossy"), [("secondary", 1, False), ("secondary", 0, True), ("maintenance", 1, True)]
)
def test_fewer_survivors_than_the_sync_number_needs_is_a_lossy_promotion(state: str, health: int, lossy: bool) -> None:
    """Of two that may confirm alone, both must be heard: hapostgres/pg_auto_failover#682."""
    verdict = judged(
        servers(QUORUM), monitor=monitor(
            monitor_row("n1", 1, "primary"), monitor_row("n2", 2, "secondary"),
            monitor_row("n3", 3, state, health=health),
        )
    )  # fmt: skip
    assert ("2 of the 2 nodes that confirm them must be heard, 1 can be" in verdict.message) is lossy


def test_a_confirmation_from_maintenance_protects_nothing_and_such_a_node_may_not_lead() -> None:
    """hapostgres/pg_auto_failover#798."""
    verdict = judged(
        servers(QUORUM), monitor=monitor(
            monitor_row("n1", 1, "primary"), monitor_row("n2", 2, "maintenance"), monitor_row("n3", 3, "secondary")
        )
    )  # fmt: skip
    assert "n2 confirms commits, and no election hears it" in verdict.message
    assert verdict.eligible["n2"].may_lead is False
    assert verdict.eligible["n3"].may_lead is True
    assert verdict.candidate is not None
    assert verdict.candidate.node == "n3"


def test_a_node_in_motion_is_told_with_both_states_and_has_no_vote() -> None:
    verdict = judged(
        servers(), monitor=monitor(
            monitor_row("n1", 1, "primary", "draining"), monitor_row("n2", 2, "secondary", "prepare_promotion"),
            monitor_row("n3", 3, "secondary"),
        )
    )  # fmt: skip
    assert "n1 is primary by its manager and is to be draining" in verdict.message
    assert verdict.leader == "n1"
    assert verdict.health is Health.WARN
