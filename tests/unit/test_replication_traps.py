"""Failures others met with replication: roles, lag, guarantees, slots; each trap by its number."""

from __future__ import annotations

import pytest

from state.health import Health
from state.verdicts.switchover import switchover_notes
from state.world.manager_parts import SyncMode
from state.world.observed import Observed
from state.world.postgres_parts import (
    ServerSettings,
    Waits,
    WalArchiver,
    WalReceiver,
    WalSender,
)
from state.world.world import World
from tests.unit.replicated import NODES, judge, leads, managers, members, receiver, rules
from tests.unit.verdict_world import (
    MB,
    blackhole,
    first,
    manager,
    primary,
    put,
    sender,
    standby,
    told,
)


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
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n3", "the system of the silent primary was read before"
    assert "different database systems" in cluster.message
    world.observed["postgres:orders/n1"] = Observed("postgres:orders/n1", 3.0)
    assert judge(world).candidate is None, "nobody knows which of the two it is"


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
    leads(world, sender("n2", "sync"), sender("n3"), names="n2", waits=Waits(3, 0.4))
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
