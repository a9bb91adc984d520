"""Generated clusters against a second opinion: verdict, best candidate, loss, guarantee and refusals are equal."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.registry import kinds
from state.config_files.located import Located
from state.estate.model import DatabaseEntry
from state.estate.parse import parse_estate
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.world.manager_parts import SyncMode
from state.world.postgres_parts import EarlierPosition, ServerSettings, Waits, WalSender
from state.world.readings import PatroniMember
from state.world.world import World
from tests.support.replication_model import MB, Standby, Topology, connected, expected, sync_states
from tests.unit.verdict_world import NOW, RAW, blackhole, manager, primary, put, standby

EXAMPLES = 410
"""Of each of the five kinds of clusters: over two thousand in all."""
NAMES = ("n2", "n3", "n4", "n5")
LIMITS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@cache
def entry(standbys: int) -> DatabaseEntry:
    raw: dict[str, Any] = deepcopy(RAW)
    places = raw["databases"]["orders"]["nodes"]
    for number in range(4, 6):
        port = f"127.0.0.1:{number}"
        places[f"n{number}"] = {"site": "west", "postgres": port, "api": f"http://127.0.0.1:1{number}"}
    raw["databases"]["orders"]["nodes"] = {n: places[n] for n in ("n1", *NAMES[:standbys])}
    return parse_estate(Located(raw, "estate.yaml"), kinds()).databases["orders"]


def sender_of(of: Topology, one: Standby) -> WalSender:
    flushed = None if one.confirmed is None else of.position - one.confirmed
    return WalSender(one.name, "streaming", sync_states(of)[one.name], None, flushed, flushed, one.frozen)


def names_of(of: Topology) -> str:
    return f"{'ANY' if of.any_of else 'FIRST'} {of.needed} ({', '.join(of.names)})" if of.names else ""


def members_of(of: Topology) -> tuple[PatroniMember, ...]:
    rows = [PatroniMember("n1", "leader", "running", 2, None)]
    for one in of.standbys:
        role = "sync_standby" if of.sync_mode and one.listed_sync else "replica"
        barred = one.nofailover or one.priority <= 0
        rows.append(PatroniMember(one.name, role, "streaming", 2, 0, nofailover=barred, priority=one.priority))
    return tuple(rows)


def world_of(of: Topology) -> World:
    world = World()
    facts: dict[str, Any] = {
        "synchronous_standby_names": names_of(of),
        "senders": tuple(sender_of(of, one) for one in connected(of)),
        "waits": Waits(2 if of.waits else 0, of.waits),
        "settings": ServerSettings({}, weaker=("role batch: off",) if of.weaker else ()),
    }
    read = standby("n1", of.position, timeline=2) if of.leader == "recovery" else primary("n1", of.position, timeline=2)
    put(world, "postgres:orders/n1", replace(read, **facts))
    word = {
        "members": members_of(of),
        "maximum_lag": of.maximum_lag,
        "sync_mode": SyncMode.ON if of.sync_mode else SyncMode.OFF,
    }
    put(world, "patroni:orders/n1", manager("n1", "n1", timeline=2, **word))
    for one in of.standbys:
        held = of.position - one.behind + one.ahead
        made = standby(
            one.name, held - one.unapplied, held, timeline=1 if one.old_timeline else 2,
            receiver_state="streaming" if one.streams and not one.ahead else None,
            system_id="7002" if one.other_system else "7001",
            earlier=(EarlierPosition(1.0, held),) if one.ahead else (),
        )  # fmt: skip
        put(world, f"postgres:orders/{one.name}", made)
        state = "starting" if one.agent == "starting" else "running"
        line = 1 if one.old_timeline else 2
        put(world, f"patroni:orders/{one.name}", manager(one.name, "n1", timeline=line, state=state, **word))
        if not one.answers:
            blackhole(world, f"postgres:orders/{one.name}")
        if one.agent == "silent":
            blackhole(world, f"patroni:orders/{one.name}")
    if of.leader == "silent":
        blackhole(world, "postgres:orders/n1")
        blackhole(world, "patroni:orders/n1")
    return world


def judged(of: Topology) -> ClusterVerdict:
    return cluster_verdict("orders", entry(len(of.standbys)), world_of(of), NOW)


def compare(of: Topology) -> None:
    verdict, right = judged(of), expected(of)
    found = {name: frozenset(r.rule for r in verdict.eligible[name].obstacles) for name in right.refusals}
    assert found == right.refusals
    assert (verdict.candidate.node if verdict.candidate is not None else "") == right.candidate
    assert verdict.risk.lost_bytes == right.lost
    assert (verdict.guarantee.kind if verdict.guarantee is not None else None) == right.guarantee
    assert verdict.health.value == right.health, verdict.message


DISTANCE = st.sampled_from([0, 0, 1, 512, MB // 2, MB, MB + 1, 5 * MB])


@st.composite
def standbys(draw: st.DrawFn, *, broken: bool = True) -> tuple[Standby, ...]:
    made = []
    for name in NAMES[: draw(st.integers(1, 4))]:
        one = Standby(name, behind=draw(DISTANCE), unapplied=draw(DISTANCE))
        one = replace(one, nofailover=draw(st.booleans()) and draw(st.booleans()), priority=draw(st.integers(0, 3)))
        if broken:
            one = replace(
                one,
                streams=draw(st.integers(0, 3)) > 0,
                answers=draw(st.integers(0, 4)) > 0,
                agent=draw(st.sampled_from(["running", "running", "running", "starting", "silent"])),
            )
        made.append(one)
    return tuple(made)


@LIMITS
@given(of=standbys(), limit=st.sampled_from([0, 512, MB, 3 * MB]))
def test_asynchronous_clusters_equal_the_model(of: tuple[Standby, ...], limit: int) -> None:
    compare(Topology(of, maximum_lag=limit))


@LIMITS
@given(data=st.data(), of=standbys(broken=False))
def test_synchronous_clusters_equal_the_model(data: st.DataObject, of: tuple[Standby, ...]) -> None:
    draw = data.draw
    of = tuple(
        replace(
            one,
            streams=draw(st.integers(0, 4)) > 0,
            frozen=draw(st.sampled_from([0.1, 9.0, 24.0, 26.0])),
            listed_sync=draw(st.booleans()),
            confirmed=draw(st.one_of(st.none(), st.just(0), st.just(one.behind))),
            answers=draw(st.integers(0, 5)) > 0,
        )
        for one in of
    )
    names = tuple(draw(st.lists(st.sampled_from((*NAMES, "n9")), unique=True, max_size=4)))
    compare(
        Topology(
            of, any_of=draw(st.booleans()), needed=draw(st.integers(1, 3)), names=names,
            waits=draw(st.sampled_from([0.0, 0.0, 1.0, 3.0, 60.0])), weaker=draw(st.booleans()),
            sync_mode=draw(st.booleans()),
        )
    )  # fmt: skip


@LIMITS
@given(of=standbys(), leader=st.sampled_from(["silent", "recovery"]), limit=st.sampled_from([512, MB, 3 * MB]))
def test_clusters_without_a_writer_equal_the_model(of: tuple[Standby, ...], leader: str, limit: int) -> None:
    compare(Topology(of, leader=leader, maximum_lag=limit))


@LIMITS
@given(data=st.data(), of=standbys(broken=False), leader=st.sampled_from(["writes", "writes", "silent"]))
def test_histories_apart_equal_the_model(data: st.DataObject, of: tuple[Standby, ...], leader: str) -> None:
    draw = data.draw
    of = tuple(
        replace(
            one,
            other_system=draw(st.integers(0, 4)) == 0,
            old_timeline=draw(st.integers(0, 4)) == 0,
            ahead=draw(st.sampled_from([0, 0, 0, 1, 7 * MB])) if leader == "writes" else 0,
        )
        for one in of
    )
    of = tuple(replace(one, behind=0) if one.ahead else one for one in of)
    compare(Topology(of, leader=leader))


@LIMITS
@given(data=st.data(), number=st.integers(1, 4))
def test_quorums_equal_the_model(data: st.DataObject, number: int) -> None:
    """All stream and may lead; what differs is who is read and who has how much."""
    draw = data.draw
    of = tuple(
        Standby(name, behind=draw(st.sampled_from([0, 300, 300, 700])), answers=draw(st.integers(0, 3)) > 0)
        for name in NAMES[:number]
    )
    names = draw(st.sampled_from([NAMES[:number], (*NAMES[:number], "n9")]))
    compare(Topology(of, any_of=True, needed=draw(st.integers(1, number)), names=names))
