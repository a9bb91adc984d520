"""Failures others met with replication: roles, lag, guarantees, slots; each trap by its number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from state.health import Health
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.switchover import switchover_notes, switchover_obstacles
from state.verdicts.votes import vote_message
from state.views.replication import build
from state.world.manager_parts import StoreReading, SyncMode
from state.world.postgres_parts import (
    EarlierPosition,
    ReplicationSlot,
    ServerSettings,
    Waits,
    WalArchiver,
    WalReceiver,
    WalSender,
)
from state.world.readings import BalancerReading, PatroniMember
from state.world.world import World
from tests.unit.verdict_world import (
    ESTATE,
    MB,
    NOW,
    balancer,
    blackhole,
    first,
    look,
    manager,
    primary,
    put,
    sender,
    server,
    standby,
    told,
)

ORDERS = ESTATE.databases["orders"]
NODES = ("n1", "n2", "n3")


def judge(world: World) -> ClusterVerdict:
    return cluster_verdict("orders", ORDERS, world, NOW)


def rules(world: World, node: str) -> list[str]:
    return [each.rule for each in judge(world).eligible[node].obstacles]


def members(**by_node: dict[str, Any]) -> tuple[PatroniMember, ...]:
    return tuple(replace(row, **by_node.get(row.name, {})) for row in manager("n1", "n1").members)


def managers(world: World, leader: str | None = "n1", **facts: Any) -> None:
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, leader, **facts))


def leads(world: World, *senders: WalSender, names: str = "", **facts: Any) -> None:
    made = primary("n1", 100 * MB, senders=senders, synchronous_standby_names=names, **facts)
    put(world, "postgres:orders/n1", made)


def receiver(name: str, sync: str = "async", **facts: Any) -> WalSender:
    return replace(sender(name, sync), **facts)


def test_replication_trap_01_a_lock_holder_in_recovery_is_promoting(world: World) -> None:
    for node in NODES:
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB))
    managers(world, "n2")
    cluster = judge(world)
    assert (cluster.health, cluster.promoting, cluster.unled) == (Health.FAIL, "n2", True)
    assert cluster.candidate is None or cluster.candidate.node != "n2"
    cause = first(world)
    assert cause.what == "no node accepts writes, n2 holds the leader lock and is still in recovery"
    assert cause.next is not None
    assert "patronictl" not in cause.next.message, "a second order would only disturb the first"


def test_replication_trap_03_failsafe_and_a_silent_store_are_told_apart(world: World) -> None:
    managers(world, failsafe=True)
    assert "failsafe mode" in judge(world).message
    managers(world, dcs_age=40.0)
    cluster = judge(world)
    assert cluster.store is not None
    assert "store (DCS) does not answer" in cluster.message


def test_replication_trap_04_other_systems_are_never_ranked(world: World) -> None:
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, system_id="7002"))
    assert rules(world, "n2") == ["same-system"]
    assert judge(world).nodes["n2"].health is Health.FAIL
    blackhole(world, "postgres:orders/n1")
    cluster = judge(world)
    assert cluster.candidate is None
    assert "different database systems" in cluster.message


def test_replication_trap_08_the_greater_of_received_and_replayed_counts(world: World) -> None:
    """After a restart with its upstream gone, received lies behind replayed."""
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, 83 * MB))
    lag = judge(world).nodes["n2"].lag
    assert (lag.replay, lag.receive, lag.unapplied) == (0, 0, 0)


@pytest.mark.parametrize("state", ["startup", "backup", ""])
def test_replication_trap_09_a_sender_that_does_not_stream_is_no_distance(world: World, state: str) -> None:
    rows = (WalSender("n2", state, "async", 0, 0, 0, 0.1), sender("n3"))
    leads(world, *rows)
    put(world, "postgres:orders/n2", standby("n2", 99 * MB, receiver_state=None))
    node = judge(world).nodes["n2"]
    assert node.lag.replay is None
    assert node.lag.at_least == MB


def test_replication_trap_09_catching_up_is_attached_and_behind(world: World) -> None:
    leads(world, receiver("n2", state="catchup", flush_lsn=60 * MB), sender("n3"))
    put(world, "postgres:orders/n2", standby("n2", 60 * MB))
    assert judge(world).nodes["n2"].lag.receive == 40 * MB


def test_replication_trap_10_a_cascade_has_all_figures(world: World) -> None:
    leads(world, sender("n2"))
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, senders=(receiver("n3", flush_lsn=99 * MB),)))
    put(world, "postgres:orders/n3", standby("n3", 99 * MB))
    cluster = judge(world)
    assert cluster.nodes["n3"].lag.replay == MB
    assert cluster.nodes["n3"].health is Health.PASS


def test_replication_trap_11_a_silent_upstream_is_unknown_then_an_alarm(world: World) -> None:
    roles = {"n1": "standby_leader", "n2": "replica", "n3": "replica"}
    rows = members(**{n: {"role": role} for n, role in roles.items()})
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, "n1", role=roles[node], members=rows))
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB))
    stream = WalReceiver("n1", "10.9.9.9", 5432, "", 100 * MB)
    seen = []
    for state, quiet in (("streaming", 1.0), ("streaming", 50.0), (None, 10.0), (None, 61.0)):
        one = standby("n1", 100 * MB, receiver_state=state, upstream_quiet=quiet, receiver=stream if state else None)
        put(world, "postgres:orders/n1", one)
        seen.append(judge(world).health)
    assert seen == [Health.PASS, Health.UNKNOWN, Health.UNKNOWN, Health.FAIL]


def test_replication_trap_12_a_delayed_standby_is_behind_by_design(world: World) -> None:
    late = ServerSettings({}, apply_delay=3600.0)
    put(world, "postgres:orders/n2", standby("n2", 60 * MB, 100 * MB, settings=late))
    cluster = judge(world)
    assert cluster.nodes["n2"].health is Health.PASS
    assert any("applies all that it received" in note for note in switchover_notes(cluster, "n2"))
    put(world, "postgres:orders/n2", standby("n2", 40 * MB, 60 * MB, settings=late))
    assert judge(world).nodes["n2"].health is Health.WARN, "what it does not receive is not by design"


def test_replication_trap_13_the_managers_refusal_by_lag_is_predicted(world: World) -> None:
    put(world, "postgres:orders/n2", standby("n2", 84 * MB))
    cluster = judge(world)
    assert rules(world, "n2") == ["lag-limit"]
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n3"


def test_replication_trap_14_waiting_commits_are_counted_with_the_longest(world: World) -> None:
    leads(world, sender("n2", "sync"), names="n2", waits=Waits(3, 4.5))
    cluster = judge(world)
    assert cluster.guarantee is not None
    assert (cluster.guarantee.kind, cluster.guarantee.waiting, cluster.halted) == ("blocked", 3, True)
    assert "3 waiting now, the longest since" in cluster.message
    assert first(world).what.startswith("commits wait")
    leads(world, sender("n2", "sync"), names="n2", waits=Waits(3, 0.4))
    assert judge(world).health is Health.PASS, "every synchronous commit waits for a moment"


def test_replication_trap_15_a_cancelled_wait_is_at_risk_where_the_standby_lacks_it(world: World) -> None:
    """Its commit is visible and on no standby; without a standby in sync nothing is proven to be acknowledged only."""
    leads(world, sender("n2"), names="n2")
    put(world, "postgres:orders/n2", standby("n2", 100 * MB - 300))
    put(world, "postgres:orders/n3", standby("n3", 100 * MB - 300))
    cluster = judge(world)
    assert cluster.guarantee is not None
    assert cluster.guarantee.kind == "blocked"
    assert cluster.risk.lost_bytes == 300


def test_replication_trap_16_an_archive_receiver_in_sync_is_no_candidate(world: World) -> None:
    stores = WalSender("pg_receivewal", "streaming", "sync", 100 * MB, 100 * MB, None, 0.1)
    leads(world, stores, sender("n2"), names="*")
    for node in ("n2", "n3"):
        put(world, f"postgres:orders/{node}", standby(node, 98 * MB))
    cluster = judge(world)
    assert cluster.guarantee is not None
    assert cluster.guarantee.members == ()
    assert "pg_receivewal only stores WAL" in cluster.guarantee.message
    assert cluster.risk.lost_bytes == 2 * MB


def test_replication_trap_17_weaker_commits_stand_beside_the_guarantee(world: World) -> None:
    weaker = ServerSettings({}, weaker=("role batch: off",))
    leads(world, sender("n2", "sync"), names="n2", settings=weaker)
    for node in ("n2", "n3"):
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB - 500))
    cluster = judge(world)
    assert cluster.guarantee is not None
    assert "not for role batch: off" in cluster.guarantee.message
    assert cluster.risk.lost_bytes == 500, "not none: the commits of batch are not waited for"


def test_replication_trap_18_a_sync_name_behind_another_standby_is_named(world: World) -> None:
    leads(world, sender("n2"), names="n3")
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, senders=(sender("n3"),)))
    cluster = judge(world)
    assert cluster.health is Health.FAIL
    assert "n3 streams from n2 and cannot confirm" in cluster.message


def test_replication_trap_18_a_sync_name_that_nobody_has_is_named(world: World) -> None:
    leads(world, sender("n2", "sync"), sender("n3"), names='FIRST 1 (n2, "n9")')
    cluster = judge(world)
    assert cluster.health is Health.PASS
    assert cluster.guarantee is not None
    assert "n9 is no standby of it" in cluster.guarantee.message


def test_replication_trap_19_only_the_published_sync_set_ranks(world: World) -> None:
    managers(world, sync_mode=SyncMode.ON, members=members(n3={"role": "sync_standby"}))
    put(world, "postgres:orders/n3", standby("n3", 100 * MB - 400))
    cluster = judge(world)
    assert rules(world, "n2") == ["sync-member"]
    assert cluster.candidate is not None
    assert (cluster.candidate.node, cluster.risk.lost_bytes) == ("n3", 400)


def test_replication_trap_20_everyone_nosync_means_no_failover(world: World) -> None:
    managers(world, sync_mode=SyncMode.ON, members=members(n2={"nosync": True}, n3={"nosync": True}))
    cluster = judge(world)
    assert "no automatic failover will come" in cluster.message
    assert cluster.health is Health.WARN
    assert any(c.key.endswith("/no-failover") for c in told(world)[0].causes)


def test_replication_trap_20_everyone_nofailover_means_no_failover(world: World) -> None:
    managers(world, members=members(n2={"nofailover": True}, n3={"nofailover": True}))
    assert "no automatic failover will come" in judge(world).message
    managers(world, members=members(n2={"nofailover": True}))
    assert "no automatic failover" not in judge(world).message


def test_replication_trap_26_a_higher_timeline_is_another_branch(world: World) -> None:
    put(world, "postgres:orders/n3", standby("n3", 200 * MB, timeline=5))
    blackhole(world, "postgres:orders/n1")
    cluster = judge(world)
    assert rules(world, "n3") == ["same-timeline"]
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n2"


def test_replication_trap_27_alive_on_an_old_timeline_without_receiver_failed(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, timeline=3, fork_lsn=80 * MB))
    put(world, "postgres:orders/n2", standby("n2", 79 * MB, timeline=1, receiver_state=None))
    node = judge(world).nodes["n2"]
    assert node.health is Health.FAIL
    assert node.lag.replay is None


def test_replication_trap_30_the_archive_backlog_is_on_the_card(world: World) -> None:
    leads(world, sender("n2"), archiver=WalArchiver("on", 7, 0, "01", "", failing=False, backlog=40))
    notes = switchover_notes(judge(world), "n2")
    assert "40 WAL files wait for the archive: a stop waits until all are archived" in notes


def test_replication_trap_31_who_held_the_newest_position_is_named(world: World) -> None:
    put(world, "postgres:orders/n2", standby("n2", 97 * MB))
    put(world, "postgres:orders/n3", standby("n3", 99 * MB))
    blackhole(world, "postgres:orders/n1")
    blackhole(world, "postgres:orders/n3")
    cluster = judge(world)
    assert any("n3" in each and "2.0 MB" in each for each in cluster.eligible["n2"].unknowns)


def test_replication_trap_32_a_replay_that_stopped_itself_is_not_resumed(world: World) -> None:
    leads(world, sender("n2"), sender("n3"), settings=ServerSettings({"max_connections": 150}))
    stopped = standby("n2", 90 * MB, 100 * MB, replay_pause="paused", settings=ServerSettings({"max_connections": 100}))
    put(world, "postgres:orders/n2", stopped)
    assert rules(world, "n2") == ["settings"]
    assert "resuming it would stop the server" in judge(world).nodes["n2"].message
    (cause,) = [c for c in told(world)[0].causes if c.key.endswith("n2/paused")]
    assert cause.next is not None
    assert "pg_wal_replay_resume" not in cause.next.message
    assert "max_connections is 100, on n1 150" in cause.next.message


def test_replication_trap_35_who_follows_a_candidate_is_predicted(world: World) -> None:
    managers(world, members=members(n3={"replicatefrom": "n2"}))
    assert "n3 streams from n2 by its tag replicatefrom" in switchover_notes(judge(world), "n2")


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


def test_wal_that_the_primary_lacks_is_an_alarm_and_never_0(world: World) -> None:
    before = (EarlierPosition(2.0, 110 * MB), EarlierPosition(1.0, 110 * MB))
    put(world, "postgres:orders/n2", standby("n2", 110 * MB, receiver_state=None, earlier=before))
    cluster = judge(world)
    assert (cluster.health, cluster.risk.health, cluster.risk.lost_bytes) == (Health.FAIL, Health.UNKNOWN, None)
    assert cluster.ahead == {"n2": 10 * MB}
    assert cluster.nodes["n2"].health is Health.FAIL
    assert cluster.nodes["n2"].lag.replay is None
    assert rules(world, "n2") == ["same-history"]
    assert first(world).what.startswith("n2 holds 10.0 MB of WAL that n1 lacks")
    assert not cluster.holds_up, "the services go on"


def test_a_standby_read_after_its_primary_is_not_ahead(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, senders=(sender("n2"), sender("n3"))), age=2.5)
    racing = (EarlierPosition(1.0, 110 * MB),)
    put(world, "postgres:orders/n2", standby("n2", 111 * MB, earlier=racing), age=0.1)
    cluster = judge(world)
    assert cluster.ahead == {}
    assert cluster.health is Health.PASS


def test_a_burst_that_the_standbys_confirmed_is_no_risk(world: World) -> None:
    """The primary is read 20 MB later than its standbys, and says itself what they had confirmed by then."""
    rows = (receiver("n2", flush_lsn=100 * MB - 64), receiver("n3", flush_lsn=100 * MB - 64))
    leads(world, *rows)
    for node in ("n2", "n3"):
        put(world, f"postgres:orders/{node}", standby(node, 80 * MB))
    cluster = judge(world)
    assert (cluster.risk.lost_bytes, cluster.risk.health) == (64, Health.PASS)


def test_a_strict_standby_that_does_not_answer_holds_commits_up(world: World) -> None:
    leads(world, receiver("n2", "sync", quiet=40.0), sender("n3"), names="n2")
    cluster = judge(world)
    assert cluster.health is Health.FAIL
    assert "n2 does not answer its primary" in cluster.message
    leads(world, receiver("n2", "sync", quiet=12.0), sender("n3"), names="n2")
    assert judge(world).health is Health.PASS, "an idle one replies every 10 s"


def test_a_dead_agent_does_not_lead(world: World) -> None:
    blackhole(world, "patroni:orders/n2")
    assert rules(world, "n2") == ["agent-answers"]
    cluster = judge(world)
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n3"
    put(world, "patroni:orders/n2", manager("n2", "n1", state="starting"))
    assert rules(world, "n2") == ["agent-ready"]


def test_of_equal_ones_the_higher_priority_leads(world: World) -> None:
    managers(world, members=members(n3={"priority": 5}))
    cluster = judge(world)
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n3"
    put(world, "postgres:orders/n3", standby("n3", 100 * MB - 1))
    cluster = judge(world)
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n2", "one byte more counts before any priority"


def test_without_the_privilege_streams_are_unknown_and_say_what_mends_it(world: World) -> None:
    blind = primary("n1", 100 * MB, senders=(WalSender("", "", "", None, None, None, None),), privileged=False)
    put(world, "postgres:orders/n1", replace(blind, synchronous_standby_names="n2"))
    cluster = judge(world)
    assert cluster.guarantee is None, "no row is no proof that nobody is in sync"
    assert cluster.nodes["n1"].health is Health.UNKNOWN
    assert "grant pg_monitor" in cluster.message


def test_the_fall_from_synchronous_to_asynchronous_is_told(world: World) -> None:
    managers(world, sync_mode=SyncMode.ON, members=members())
    assert "synchronous mode is on, and commits wait for no standby now" in judge(world).message


def test_a_balancer_is_a_witness_and_a_conflict_blocks_a_promotion(world: World) -> None:
    routed = ORDERS.model_copy(update={"frontends": {"pg_rw": "primary"}})

    def rw(*up: str) -> BalancerReading:
        servers = (server(n, backend="pg_rw", up=n in up) for n in NODES)
        return balancer("edge-east", *servers)

    put(world, "balancer:edge-east", rw("n1"))
    cluster = cluster_verdict("orders", routed, world, NOW)
    assert (cluster.health, cluster.leader) == (Health.PASS, "n1")
    assert vote_message(cluster.nodes["n1"].votes) == "5 of 5 say primary"
    put(world, "balancer:edge-east", rw("n1", "n2"))
    cluster = cluster_verdict("orders", routed, world, NOW)
    assert cluster.health is Health.PASS, "one that sends to two says nothing of either"
    put(world, "balancer:edge-east", rw("n2"))
    cluster = cluster_verdict("orders", routed, world, NOW)
    assert (cluster.health, cluster.leader) == (Health.UNKNOWN, "CONFLICT")
    (refusal,) = switchover_obstacles(cluster, "n3")
    assert refusal.rule == "agreed-leader"
    assert "balancer edge-east: primary" in refusal.fact


def stored(world: World, leader: str, system: str = "7001", left: float | None = 20.0) -> ClusterVerdict:
    put(world, "store:orders", StoreReading("orders", leader, left, system))
    return judge(world)


def test_the_store_is_a_witness_where_it_is_asked(world: World) -> None:
    cluster = stored(world, "n1")
    assert (cluster.health, vote_message(cluster.nodes["n1"].votes)) == (Health.PASS, "5 of 5 say primary")
    assert stored(world, "n2").leader == "CONFLICT"
    assert stored(world, "", left=-1.0).health is Health.PASS, "a lock that has ended names nobody"
    blackhole(world, "store:orders")
    assert vote_message(judge(world).nodes["n1"].votes) == "4 of 5 say primary; no answer: store"


def test_replication_trap_04_a_wiped_or_foreign_store_is_told(world: World) -> None:
    assert "knows nothing of this cluster" in stored(world, "", "").message
    assert "another database system, 9" in stored(world, "n1", "9").message


def test_a_switchover_to_a_tagged_node_is_refused_before_it_is_sent(world: World) -> None:
    managers(world, members=members(n2={"nofailover": True}))
    assert [r.rule for r in switchover_obstacles(judge(world), "n2")] == ["may-lead"]
