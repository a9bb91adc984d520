"""Who leads and what a standby lacks, by every witness there is: a conflict refuses, silence proves nothing."""

from __future__ import annotations

from dataclasses import replace

from state.health import Health
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.switchover import switchover_obstacles
from state.verdicts.votes import vote_message
from state.world.balancer_parts import BalancerReading
from state.world.manager_parts import StoreReading, SyncMode
from state.world.postgres_parts import (
    EarlierPosition,
    WalSender,
)
from state.world.world import World
from tests.unit.replicated import NODES, ORDERS, judge, leads, managers, members, receiver, rules
from tests.unit.verdict_world import (
    MB,
    NOW,
    balancer,
    blackhole,
    first,
    manager,
    primary,
    put,
    sender,
    server,
    standby,
)


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


def test_nobody_calls_a_node_a_standby_without_having_looked(world: World) -> None:
    """Cut off, the old primary may write on: that others hold the lock and take the traffic proves nothing of it."""
    routed = ORDERS.model_copy(update={"frontends": {"pg_rw": "primary"}})
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, "n1", members=members()[:2]))
    put(world, "balancer:edge-east", balancer("edge-east", server("n1", backend="pg_rw")))
    put(world, "store:orders", StoreReading("orders", "n1", 20.0, "7001"))
    for source in ("postgres", "patroni"):
        blackhole(world, f"{source}:orders/n3")
    cluster = cluster_verdict("orders", routed, world, NOW)
    assert cluster.nodes["n3"].role == "unknown"
    assert cluster.risk.sources == ("postgres:orders/n1", "postgres:orders/n2"), "a silent third makes no risk old"


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
