"""Truth in replication: the traps of lag, timelines and votes; unknown is never 0."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.health import Health
from state.verdicts.lag import lsn
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.split_brain import split_resolved
from state.verdicts.switchover import switchover_obstacles, switchover_unknowns
from state.verdicts.votes import Vote, agreed, node_votes
from state.world.readings import PatroniMember
from state.world.world import World
from tests.unit.verdict_world import (
    ESTATE,
    MB,
    NOW,
    blackhole,
    fail,
    healthy_cluster,
    manager,
    primary,
    put,
    sender,
    standby,
)

ORDERS = ESTATE.databases["orders"]


def judge(world: World, now: float = NOW) -> ClusterVerdict:
    return cluster_verdict("orders", ORDERS, world, now)


def test_healthy_cluster(world: World) -> None:
    cluster = judge(world)
    assert (cluster.health, cluster.leader, cluster.timeline) == (Health.PASS, "n1", 1)
    assert [n.role for n in cluster.nodes.values()] == ["primary", "standby", "standby"]
    assert cluster.nodes["n2"].lag.replay == 0
    assert (cluster.risk.lost_bytes, cluster.risk.health) == (0, Health.PASS)


def test_trap_01_unreachable_standby_is_unknown_never_zero(world: World) -> None:
    blackhole(world, "postgres:orders/n2")
    node = judge(world).nodes["n2"]
    assert node.health is Health.UNKNOWN
    assert node.lag.replay is None
    assert node.lag.seconds is None
    assert "no data since" in node.message
    assert "timeout" in node.message


def test_trap_01_not_streaming_says_unknown_at_least_and_risk_rises(world: World) -> None:
    for node in ("n2", "n3"):
        gone = 100 * MB - 13_247_192
        put(world, f"postgres:orders/{node}", standby(node, gone, receiver_state=None))
    cluster = judge(world)
    node = cluster.nodes["n2"]
    assert node.lag.replay is None
    assert node.lag.at_least == 13_247_192
    assert node.lag.message == "unknown, at least 13.2 MB: not streaming"
    assert node.health is Health.FAIL
    assert cluster.risk.lost_bytes is None
    assert cluster.risk.health is Health.UNKNOWN
    assert cluster.health is Health.WARN


def test_trap_01_all_standbys_gone_leaves_risk_unknown(world: World) -> None:
    for node in ("n2", "n3"):
        blackhole(world, f"postgres:orders/{node}")
    assert judge(world).risk.health is Health.UNKNOWN
    assert judge(world).candidate is None


def test_trap_02_paused_replay_shows_unapplied_bytes(world: World) -> None:
    paused = standby("n2", 100 * MB - 39_784_912, 100 * MB, replay_pause="paused", replayed_at=900.0)
    put(world, "postgres:orders/n2", paused)
    node = judge(world).nodes["n2"]
    assert node.lag.unapplied == 39_784_912
    assert node.lag.replay == 39_784_912
    assert (node.health, node.state) == (Health.WARN, "replay paused")
    assert "39.8 MB unapplied" in node.message


def test_a_standby_read_after_its_primary_still_shows_what_it_has_not_applied(world: World) -> None:
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, 102 * MB, replay_pause="paused"))
    node = judge(world).nodes["n2"]
    assert (node.lag.replay, node.lag.receive) == (2 * MB, 0)
    assert node.health is Health.WARN


def test_a_cut_standby_is_not_called_diverged_by_the_timeline_of_its_control_file(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, timeline=2, fork_lsn=90 * MB))
    cut = standby("n2", 95 * MB, timeline=1, receiver_state=None)
    put(world, "postgres:orders/n2", cut)
    node = judge(world).nodes["n2"]
    assert node.lag.replay is None
    assert "diverged" not in node.message
    assert "at least 5.0 MB" in node.message


def test_trap_03_idle_primary_raises_no_alarm_from_time(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, clock=9900.0))
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, replayed_at=900.0))
    node = judge(world).nodes["n2"]
    assert node.health is Health.PASS
    assert node.lag.seconds == 0.0


def test_seconds_are_shown_when_bytes_are_missing(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, clock=902.5, next_xid=11))
    put(world, "postgres:orders/n2", standby("n2", 100 * MB - 500, replayed_at=900.0, next_xid=9))
    assert judge(world).nodes["n2"].lag.seconds == 2.5
    put(world, "postgres:orders/n2", standby("n2", 100 * MB - 500, replayed_at=900.0, next_xid=11))
    assert judge(world).nodes["n2"].lag.seconds == 0.0, "bytes are missing, and no commit"


def test_trap_05_timeline_after_promotion_is_the_writers_own(world: World) -> None:
    put(world, "postgres:orders/n1", standby("n1", 100 * MB, timeline=2))
    put(world, "postgres:orders/n2", primary("n2", 101 * MB, timeline=2, fork_lsn=100 * MB))
    put(world, "postgres:orders/n3", standby("n3", 100 * MB, timeline=1))
    cluster = judge(world)
    assert cluster.timeline == 2
    assert cluster.nodes["n3"].lag.replay is None
    assert "timeline 1, primary on 2" in cluster.nodes["n3"].message
    assert cluster.leader == "CONFLICT", "the managers still say otherwise, which is shown, not settled"


def test_missing_and_unknown_members(world: World) -> None:
    for node in ("n1", "n2", "n3"):
        seen = manager(node, "n1")
        strange = PatroniMember("n9", "replica", "running", 1, 0)
        put(world, f"patroni:orders/{node}", replace(seen, members=(*seen.members[:2], strange)))
    cluster = judge(world)
    assert cluster.nodes["n3"].message == "missing from the cluster's members"
    assert "n9" in cluster.message


def test_votes_follow_the_model_for_all_four_witnesses() -> None:
    for said in product(("primary", "standby", ""), repeat=4):
        votes = [Vote(f"w{i}", role) for i, role in enumerate(said)]
        spoken = set(said) - {""}
        model = "unknown" if not spoken else next(iter(spoken)) if len(spoken) == 1 else "CONFLICT"
        assert agreed(votes) == model


@pytest.mark.parametrize("lying", list(product((False, True), repeat=4)))
def test_every_witness_counts(lying: tuple[bool, ...]) -> None:
    """Postgres, its own Patroni and two others on n1: any disagreement is a conflict, whoever lies."""
    world = World()
    healthy_cluster(world)
    if lying[0]:
        put(world, "postgres:orders/n1", standby("n1", 100 * MB))
    for node, lies in zip(("n1", "n2", "n3"), lying[1:], strict=True):
        if lies:
            put(world, f"patroni:orders/{node}", manager(node, None))
    role = judge(world).nodes["n1"].role
    assert role == ("standby" if all(lying) else "CONFLICT" if any(lying) else "primary")


def test_a_manager_of_a_stopped_server_does_not_vote() -> None:
    votes = node_votes("n1", None, {"n1": manager("n1", "n1", state="stopped")}, {})
    assert agreed(votes) == "unknown"


def test_conflict_is_unknown_and_no_one_leads(world: World) -> None:
    put(world, "patroni:orders/n3", manager("n3", "n3"))
    cluster = judge(world)
    assert cluster.leader == "CONFLICT"
    assert cluster.nodes["n1"].health is Health.UNKNOWN
    assert "Patroni n3: standby" in cluster.nodes["n1"].message


def test_silent_primary_keeps_risk_unknown_with_what_is_certain(world: World) -> None:
    blackhole(world, "postgres:orders/n1")
    for node in ("n2", "n3"):
        put(world, f"postgres:orders/{node}", standby(node, 98 * MB, receiver_state=None))
    cluster = judge(world)
    assert cluster.risk.lost_bytes is None
    assert "at least 2.0 MB" in cluster.risk.message
    assert cluster.health is Health.FAIL  # its standbys lost it as well


def test_no_writer_by_everybodys_word_fails(world: World) -> None:
    put(world, "postgres:orders/n1", standby("n1", 100 * MB))
    for node in ("n1", "n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, None))
    assert judge(world).health is Health.FAIL


def test_risk_is_what_is_not_received_and_no_arithmetic_with_rates(world: World) -> None:
    world.push("wal/orders/n1", 5e8)
    for node in ("n2", "n3"):
        put(world, f"postgres:orders/{node}", standby(node, 99 * MB, 100 * MB - 300_000))
    risk = judge(world).risk
    assert risk.lost_bytes == 300_000
    assert risk.health is Health.PASS


def test_risk_over_the_objective_fails_and_warns_the_cluster(world: World) -> None:
    for node in ("n2", "n3"):
        put(world, f"postgres:orders/{node}", standby(node, 98 * MB))
    cluster = judge(world)
    assert cluster.risk.health is Health.FAIL
    assert cluster.health is Health.WARN


def test_sync_standby_loses_no_acknowledged_commit(world: World) -> None:
    world.push("wal/orders/n1", 1e6)
    rows = (sender("n2", "sync"), sender("n3"))
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, senders=rows, synchronous_standby_names="n2"))
    cluster = judge(world)
    assert cluster.guarantee is not None
    assert cluster.guarantee.message == "sync: n2"
    assert cluster.candidate is not None
    assert (cluster.candidate.node, cluster.risk.lost_bytes) == ("n2", 0)


def test_quorum_proves_nothing_while_a_member_is_silent(world: World) -> None:
    rows = (sender("n2", "quorum"), sender("n3", "quorum"))
    names = "ANY 1 (n2,n3)"
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, senders=rows, synchronous_standby_names=names))
    for node in ("n2", "n3"):
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB - 300_000))
    assert judge(world).risk.lost_bytes == 0
    blackhole(world, "postgres:orders/n3")
    assert judge(world).risk.lost_bytes == 300_000


def test_fall_from_sync_blocks_and_is_said(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, synchronous_standby_names="n2", senders=(sender("n2"),)))
    cluster = judge(world)
    assert cluster.health is Health.FAIL
    assert "commits wait" in cluster.message


def test_split_brain_with_fork_and_bytes(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 113_247_192))
    put(world, "postgres:orders/n2", primary("n2", 101 * MB, timeline=2, fork_lsn=100 * MB))
    cluster = judge(world)
    assert cluster.split is not None
    assert cluster.split.nodes == ("n1", "n2")
    assert cluster.split.fork is not None
    assert cluster.split.fork.past == {"n1": 13_247_192, "n2": MB}
    assert cluster.split.fork.lsn == 100 * MB
    for fact in ("system 7001", "timeline 1", "timeline 2", lsn(100 * MB), "13.2 MB"):
        assert fact in cluster.split.message
    assert cluster.health is Health.FAIL
    assert cluster.risk.health is Health.UNKNOWN


def test_split_brain_stays_while_fresh_even_when_the_old_primary_stops_answering(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 101 * MB))
    fail(world, "postgres:orders/n1")
    put(world, "postgres:orders/n2", primary("n2", 101 * MB, timeline=2, fork_lsn=100 * MB))
    assert judge(world).split is not None


def test_split_brain_of_an_idle_old_primary(world: World) -> None:
    put(world, "postgres:orders/n2", primary("n2", 100 * MB, timeline=2, fork_lsn=100 * MB))
    split = judge(world).split
    assert split is not None
    assert split.fork is not None
    assert split.fork.past["n1"] == 0


@pytest.mark.parametrize("late", ["failed since", "read long before"])
def test_orderly_hand_over_is_no_split_brain(world: World, late: str) -> None:
    put(world, "postgres:orders/n1", primary("n1", 100 * MB), age=2.5 if late == "read long before" else 0.8)
    if late == "failed since":
        fail(world, "postgres:orders/n1")
    put(world, "postgres:orders/n2", primary("n2", 100 * MB + 64, timeline=2, fork_lsn=100 * MB), age=0.1)
    assert judge(world).split is None


def test_split_brain_by_a_managers_word(world: World) -> None:
    blackhole(world, "postgres:orders/n1")
    put(world, "postgres:orders/n2", primary("n2", 101 * MB, timeline=2, fork_lsn=100 * MB))
    split = judge(world).split
    assert split is not None
    assert "written past it: n1 unknown" in split.message


def test_trap_07_lag_refusal_is_computed(world: World) -> None:
    put(world, "postgres:orders/n2", standby("n2", 97 * MB))
    found = switchover_obstacles(judge(world), "n2")
    assert [r.rule for r in found] == ["lag-limit"]
    assert found[0].fact == "n2 is 3.0 MB behind, Patroni allows 1.0 MB (maximum_lag_on_failover)"
    assert switchover_obstacles(judge(world), "n3") == ()


@pytest.mark.parametrize(
    ("reading", "rule"),
    [
        (standby("n2", 99 * MB, receiver_state=None), "streaming"),
        (standby("n2", 100 * MB, timeline=3), "same-timeline"),
    ],
)
def test_trap_07_other_reasons(world: World, reading: object, rule: str) -> None:
    put(world, "postgres:orders/n2", reading)  # type: ignore[arg-type]
    assert rule in [r.rule for r in switchover_obstacles(judge(world), "n2")]


def test_trap_07_reasons_of_the_cluster(world: World) -> None:
    for node in ("n1", "n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, "n1", paused=True, dcs_age=45.0))
    assert [r.rule for r in switchover_obstacles(judge(world), "")] == ["candidate-when-paused", "dcs-answers"]
    assert [r.rule for r in switchover_obstacles(judge(world), "n1")][-1] == "not-the-leader"
    assert [r.rule for r in switchover_obstacles(judge(world), "n7")][-1] == "known-node"
    blackhole(world, "postgres:orders/n2")
    assert [r.rule for r in switchover_obstacles(judge(world), "n2")][-1] == "candidate-answers"
    assert switchover_unknowns(judge(world), "n2") == (), "its tags are listed"
    for node in ("n1", "n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, "n1", members=()))
    assert "nofailover" in switchover_unknowns(judge(world), "n3")[0]


def test_who_may_not_lead_by_patronis_tags_is_refused(world: World) -> None:
    rows = tuple(replace(row, nofailover=row.name == "n2") for row in manager("n1", "n1").members)
    put(world, "patroni:orders/n3", manager("n3", "n1", members=rows))
    assert [r.rule for r in switchover_obstacles(judge(world), "n2")] == ["may-lead"]
    assert switchover_obstacles(judge(world), "n3") == ()


@settings(max_examples=60, deadline=None)
@given(
    behind=st.lists(st.integers(0, 5 * MB), min_size=2, max_size=2),
    timelines=st.lists(st.sampled_from([1, 2]), min_size=2, max_size=2),
    silent=st.lists(st.booleans(), min_size=2, max_size=2),
)
def test_candidate_equals_the_model(behind: list[int], timelines: list[int], silent: list[bool]) -> None:
    world = World()
    healthy_cluster(world)
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, timeline=2))
    able: list[tuple[int, str]] = []
    for node, far, timeline, dead in zip(("n2", "n3"), behind, timelines, silent, strict=True):
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB - far, timeline=timeline))
        if dead:
            blackhole(world, f"postgres:orders/{node}")
        elif timeline == 2:
            able.append((far, node))
    cluster = judge(world)
    if not able:
        assert cluster.candidate is None
        assert cluster.risk.lost_bytes is None
    else:
        far, node = min(able)
        assert cluster.candidate is not None
        assert cluster.candidate.node == node
        assert cluster.risk.lost_bytes == far


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**12), replayed=st.integers(0, 10**12), receiver=st.sampled_from([None, "streaming"]))
def test_lag_is_exact_or_unknown(position: int, replayed: int, receiver: str | None) -> None:
    world = World()
    healthy_cluster(world, position)
    put(world, "postgres:orders/n2", standby("n2", replayed, receiver_state=receiver))
    lag = judge(world).nodes["n2"].lag
    assert lag.replay == (None if receiver is None else max(0, position - replayed))


def test_empty_world_is_unknown_everywhere() -> None:
    cluster = judge(World())
    assert cluster.health is Health.UNKNOWN
    assert cluster.leader == "unknown"
    assert {n.health for n in cluster.nodes.values()} == {Health.UNKNOWN}
    assert cluster.risk.lost_bytes is None


def test_silence_does_not_clear_a_split_brain(world: World) -> None:
    put(world, "postgres:orders/n1", primary("n1", 101 * MB))
    put(world, "postgres:orders/n2", primary("n2", 101 * MB, timeline=2, fork_lsn=100 * MB))
    assert not split_resolved(judge(world).facts, ("n1", "n2"))
    blackhole(world, "postgres:orders/n1")
    blackhole(world, "patroni:orders/n1")
    assert judge(world).split is None
    assert not split_resolved(judge(world).facts, ("n1", "n2"))
    put(world, "postgres:orders/n1", standby("n1", 100 * MB, timeline=2))
    assert split_resolved(judge(world).facts, ("n1", "n2"))
