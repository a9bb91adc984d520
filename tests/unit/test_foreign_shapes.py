"""Clusters that others set up: what was said wrongly of real ones, each kind by a captured state.

Found on Patroni 2.1.7 to 4.1.5 with etcd and raft, and on plain pairs, of PostgreSQL 15 and 18.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.databases.patroni_parse import parse_members
from adapters.registry import kinds
from state.api.views.causes import Cause
from state.config_files.located import Located
from state.errors import Trouble
from state.estate.parse import parse_estate
from state.health import Health
from state.verdicts.cause_database import database_causes
from state.verdicts.failover import failover_obstacles
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.switchover import switchover_notes, switchover_obstacles
from state.world.manager_parts import StoreReading, SyncMode
from state.world.postgres_parts import ServerSettings, Waits
from state.world.readings import PatroniMember
from state.world.world import World
from tests.unit.replicated import judge, leads, managers, members, receiver, rules
from tests.unit.verdict_world import (
    ESTATE,
    MB,
    NOW,
    RAW,
    balancer,
    blackhole,
    fail,
    manager,
    primary,
    put,
    server,
    standby,
)

PLAIN: dict[str, Any] = {
    "kind": "streaming", "rpo": "1MB", "user": "recovery", "tls": "loopback",
    "nodes": {n: {"site": "east", "postgres": f"127.0.0.1:{p}"} for p, n in enumerate(("a", "b", "c"), 1)},
}  # fmt: skip
LEDGER = parse_estate(Located(RAW | {"databases": {**RAW["databases"], "ledger": PLAIN}}, "e.yaml"), kinds())


def ledger(world: World) -> ClusterVerdict:
    return cluster_verdict("ledger", LEDGER.databases["ledger"], world, NOW)


def causes(cluster: ClusterVerdict) -> dict[str, Cause]:
    """By the end of their keys."""
    return {cause.key.split("/", 2)[2]: cause for cause in database_causes(cluster)}


def step(cause: Cause) -> str:
    assert cause.next is not None
    return cause.next.message


@pytest.fixture
def plain() -> World:
    world = World()
    put(world, "postgres:ledger/a", primary("a", 100 * MB))
    for node in "bc":
        put(world, f"postgres:ledger/{node}", standby(node, 100 * MB))
    return world


@pytest.mark.parametrize(
    "late", [{"settings": ServerSettings(apply_delay=3600.0)}, {"replay_pause": "paused"}], ids=["delayed", "paused"]
)
def test_of_equal_standbys_one_that_applies_late_comes_last(plain: World, late: dict[str, Any]) -> None:
    put(plain, "postgres:ledger/b", standby("b", 90 * MB, 100 * MB, **late))
    cluster = ledger(plain)
    assert cluster.candidate is not None
    assert cluster.candidate.node == "c"
    assert any("applies all that it received at once" in note for note in cluster.eligible["b"].notes)


def test_a_standby_that_follows_the_archive_alone_is_as_it_should_be(plain: World) -> None:
    by_archive = ServerSettings(restores=True, follows=False)
    put(plain, "postgres:ledger/c", standby("c", 99_900_000, receiver_state=None, settings=by_archive))
    cluster = ledger(plain)
    assert (cluster.nodes["c"].health, cluster.nodes["c"].state) == (Health.PASS, "from the archive")
    assert cluster.nodes["c"].lag.receive == 100_000
    assert cluster.eligible["c"].may_lead is True
    assert "lacks what is not archived" in "".join(cluster.eligible["c"].notes)
    put(plain, "postgres:ledger/c", standby("c", 80 * MB, receiver_state=None, settings=by_archive))
    assert "20.0 MB" in causes(ledger(plain))["c/behind"].what
    follows = replace(by_archive, follows=True)
    put(plain, "postgres:ledger/c", standby("c", 80 * MB, receiver_state=None, settings=follows))
    assert ledger(plain).nodes["c"].health is Health.FAIL, "it names a server and does not stream from it"


def test_a_standby_under_patroni_that_lost_its_leader_is_none_of_the_archive(world: World) -> None:
    by_archive = ServerSettings(restores=True, follows=False)
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, receiver_state=None, settings=by_archive))
    assert judge(world).nodes["n2"].health is Health.FAIL


def test_without_pg_monitor_the_right_is_missing_not_the_stream(plain: World) -> None:
    put(plain, "postgres:ledger/a", primary("a", 100 * MB, privileged=False))
    for node in "bc":
        put(plain, f"postgres:ledger/{node}", standby(node, 100 * MB, receiver_state=None, privileged=False))
    cluster = ledger(plain)
    assert (cluster.health, cluster.nodes["b"].health) == (Health.WARN, Health.UNKNOWN)
    assert cluster.eligible["b"].may_lead is None
    assert set(causes(cluster)) == {"unseen"}
    assert "GRANT pg_monitor" in step(causes(cluster)["unseen"])


def test_a_plain_cluster_is_told_nothing_of_patroni(plain: World) -> None:
    put(plain, "postgres:ledger/b", standby("b", 90 * MB, receiver_state=None))
    blackhole(plain, "postgres:ledger/c")
    found = causes(ledger(plain))
    assert set(found) == {"b/cut", "c/silent"}
    put(plain, "postgres:ledger/c", primary("c", 101 * MB, timeline=2, fork_lsn=100 * MB))
    cluster = ledger(plain)
    assert cluster.split is not None
    assert cluster.eligible["b"].obstacles[0].rule == "single-primary"
    found |= causes(cluster)
    blackhole(plain, "postgres:ledger/c")
    blackhole(plain, "postgres:ledger/b")
    blackhole(plain, "postgres:ledger/a")
    found |= causes(ledger(plain))
    for cause in found.values():
        told = step(cause)
        assert "Patroni" not in told
        assert "patronictl" not in told
        assert "fences nothing" not in told
        assert "balancers" not in told


def test_a_plain_switchover_is_refused_for_what_is_missing(plain: World) -> None:
    [refused] = switchover_obstacles(ledger(plain), "b")
    assert (refused.rule, refused.fact) == ("manager-answers", "ledger has no manager that could switch over")
    assert "recovery db promote ledger" in refused.way_out


@pytest.mark.parametrize("said", ["not accepting connections; DETAIL:  Hot standby mode is disabled.", "starting up"])
def test_a_server_that_takes_no_sessions_yet_is_not_down(plain: World, said: str) -> None:
    fail(plain, "postgres:ledger/b", Trouble.ERROR, f"PostgreSQL b: the database system is {said}")
    blackholed = plain.observed["postgres:ledger/b"]
    plain.observed["postgres:ledger/b"] = replace(blackholed, value=None, at=None, mono=None)
    cause = causes(ledger(plain))["b/silent"]
    assert cause.what.startswith("PostgreSQL b runs and takes no sessions: ")
    assert "hot_standby = off" in step(cause)


def test_a_server_that_is_reached_and_gives_no_reading_is_not_down(plain: World) -> None:
    fail(plain, "postgres:ledger/b", Trouble.ERROR, "PostgreSQL b: TLS refused: certificate has expired")
    seen = plain.observed["postgres:ledger/b"]
    plain.observed["postgres:ledger/b"] = replace(seen, value=None, at=None, mono=None)
    cause = causes(ledger(plain))["b/silent"]
    assert cause.what == "PostgreSQL b was reached and gives no reading: TLS refused: certificate has expired"
    assert "Start its" not in step(cause)


def test_a_node_that_may_be_a_former_primary_is_not_simply_started(plain: World) -> None:
    seen = plain.observed["postgres:ledger/b"]
    plain.observed["postgres:ledger/b"] = replace(seen, value=None, at=None, mono=None)
    fail(plain, "postgres:ledger/b", Trouble.UNREACHABLE, "Connection refused")
    assert "without one it would be a second writer" in step(causes(ledger(plain))["b/silent"])


def test_commits_that_wait_are_laid_to_the_one_that_does_not_confirm(world: World) -> None:
    rows = (receiver("n2", "quorum", flush_lsn=90 * MB), receiver("n3", "quorum", flush_lsn=100 * MB))
    leads(world, *rows, names="ANY 2 (n2,n3)", waits=Waits(1, 5.0))
    managers(world, sync_mode=SyncMode.QUORUM)
    cause = causes(judge(world))["blocked"]
    assert cause.what.startswith("commits wait, n2 does not confirm; 1 waiting")
    assert "synchronous_mode=off" in step(cause), "in this mode synchronous_standby_names is Patroni's own"
    assert cause.forecast is not None
    assert cause.forecast.message.startswith("Patroni drops a standby")
    managers(world, sync_mode=SyncMode.ON, sync_strict=True)
    told = causes(judge(world))["blocked"].forecast
    assert told is not None
    assert "synchronous_mode_strict" in told.message


def test_a_silent_standby_that_is_still_attached_holds_up_the_stop(world: World) -> None:
    leads(world, receiver("n2"), receiver("n3"))
    assert not any("waits for n2" in note for note in switchover_notes(judge(world), "n3"))
    blackhole(world, "postgres:orders/n2")
    [note] = [note for note in switchover_notes(judge(world), "n3") if "waits for n2" in note]
    assert note.startswith("the stop of n1 waits for n2, which does not answer")
    leads(world, receiver("n2", state="startup"), receiver("n3"))
    assert not any("waits for n2" in note for note in switchover_notes(judge(world), "n3"))


def test_nobody_can_take_over_where_the_agents_of_living_standbys_are_gone(world: World) -> None:
    managers(world, members=members(n3={"nofailover": True})[:1] + members(n3={"nofailover": True})[2:])
    blackhole(world, "patroni:orders/n2")
    cause = causes(judge(world))["no-failover"]
    assert "the Patroni of n2 does not answer" in cause.what
    assert "n3 carries the tag nofailover" in cause.what


def test_a_member_that_is_not_in_the_estate_may_be_promoted(world: World) -> None:
    fourth = PatroniMember("n4", "replica", "streaming", 1, 0, priority=5)
    managers(world, members=(*members(), fourth))
    for kind in ("postgres", "patroni"):
        blackhole(world, f"{kind}:orders/n1")
    forecast = causes(judge(world))["no-writer"].forecast
    assert forecast is not None
    assert forecast.message == "Patroni promotes n2 or n3 or n4 (not in the estate)"
    forbidden = replace(fourth, nofailover=True)
    managers(world, members=(*members(), forbidden))
    blackhole(world, "patroni:orders/n1")
    forecast = causes(judge(world))["no-writer"].forecast
    assert forecast is not None
    assert "n4" not in forecast.message


def test_beside_a_leader_that_is_not_read_nobody_is_failed_over_to(world: World) -> None:
    rows = (*(replace(row, role="replica") for row in members()), PatroniMember("n4", "leader", "running", 2, 0))
    managers(world, None, members=rows)
    put(world, "postgres:orders/n1", standby("n1", 100 * MB, timeline=2))
    cluster = judge(world)
    assert cluster.facts.outsider == "n4"
    assert "known-leader" in rules(world, "n2")
    assert "no-leader" in [refused.rule for refused in failover_obstacles(cluster, "n2")]


def test_a_name_that_only_the_estate_knows_is_no_node_that_went_down(world: World) -> None:
    managers(world, members=members()[:2])
    for kind in ("postgres", "patroni"):
        seen = world.observed[f"{kind}:orders/n3"]
        world.observed[f"{kind}:orders/n3"] = replace(seen, value=None, at=None, mono=None)
        fail(world, f"{kind}:orders/n3", Trouble.UNREACHABLE, "Connection refused")
    cause = causes(judge(world))["n3/silent"]
    assert cause.what == "n3 was never reached and is no member of its cluster"
    assert "correct the nodes of orders in the estate" in step(cause)


def test_the_other_system_in_the_store_is_the_cause(world: World) -> None:
    put(world, "store:orders", StoreReading("orders", "n1", 20.0, "6999"))
    cause = causes(judge(world))["other-store"]
    assert cause.what == "Patroni's store (DCS) has another database system, 6999"
    assert "do not start" in step(cause)


def test_a_healthy_standby_cluster_puts_nothing_at_risk(world: World) -> None:
    rows = tuple(replace(row, role="standby_leader") if row.name == "n1" else row for row in members())
    for node in ("n1", "n2", "n3"):
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB, upstream_quiet=1.0))
        said = manager(node, None, members=rows)
        put(world, f"patroni:orders/{node}", replace(said, role="standby_leader") if node == "n1" else said)
    cluster = judge(world)
    assert (cluster.facts.standby_leader, cluster.health) == ("n1", Health.PASS)
    assert (cluster.risk.health, cluster.risk.lost_bytes) == (Health.PASS, 0)
    put(world, "postgres:orders/n1", standby("n1", 100 * MB, receiver_state=None, upstream_quiet=90.0))
    assert judge(world).risk.health is Health.UNKNOWN


def test_priorities_count_from_the_patroni_that_knows_them() -> None:
    cluster = {"members": [{"name": "n3", "role": "replica", "tags": {"failover_priority": 0}}]}
    assert [parse_members(cluster, version)[0].nofailover for version in ("2.1.7", "3.1.2", "3.2.0", "4.1.5", "")] == [
        False, False, True, True, True,
    ]  # fmt: skip


def test_the_tag_that_forbids_is_named_as_it_is_set(world: World) -> None:
    managers(world, members=members(n3={"nofailover": True, "priority": 0}))
    assert judge(world).eligible["n3"].obstacles[0].fact.startswith("n3 carries the tag failover_priority 0")


def test_one_server_under_two_names_is_no_second_writer(plain: World) -> None:
    for node in "ac":
        put(plain, f"postgres:ledger/{node}", primary(node, 100 * MB, started_at=7.0))
    cluster = ledger(plain)
    assert cluster.split is None
    assert cluster.nodes["c"].health is Health.UNKNOWN
    assert causes(cluster)["c/twin"].what == "c and a are one server by its own word"
    put(plain, "postgres:ledger/c", primary("c", 100 * MB, started_at=8.0))
    assert ledger(plain).split is not None


def test_servers_of_balancers_are_known_by_their_address(plain: World) -> None:
    """Names in HAProxy need not be those of the estate, and a backup server gets nothing while another is up."""
    fronted = {**PLAIN, "frontends": {"write": "primary"}}
    estate = parse_estate(Located(RAW | {"databases": {**RAW["databases"], "ledger": fronted}}, "e.yaml"), kinds())
    first = server("b", backend="write", address="127.0.0.1:1")
    spare = replace(server("a", backend="write", address="127.0.0.1:2"), backup=True)
    put(plain, "balancer:edge-east", balancer("edge-east", first, spare))
    cluster = cluster_verdict("ledger", estate.databases["ledger"], plain, NOW)
    assert cluster.facts.writes_go_to == {"a"}
    assert cluster.health is Health.PASS
    put(plain, "balancer:edge-east", balancer("edge-east", replace(first, up=False), spare))
    assert cluster_verdict("ledger", estate.databases["ledger"], plain, NOW).facts.writes_go_to == {"b"}


def test_a_single_server_is_not_said_to_have_standbys() -> None:
    alone = {**PLAIN, "nodes": {"a": {"site": "east", "postgres": "127.0.0.1:1"}}}
    estate = parse_estate(Located(RAW | {"databases": {**RAW["databases"], "ledger": alone}}, "e.yaml"), kinds())
    world = World()
    put(world, "postgres:ledger/a", primary("a", 100 * MB))
    cluster = cluster_verdict("ledger", estate.databases["ledger"], world, NOW)
    assert cluster.message == "it accepts writes; the estate names no standby"
    assert ESTATE.databases.keys() == {"orders"}
