"""A standby cluster beside its upstream: after a failover there both are on one timeline, or it is an alarm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from state.estate.model import Estate
from state.health import Health
from state.world.postgres_parts import WalReceiver
from state.world.readings import PatroniReading
from state.world.timelines import TimelineSwitch
from state.world.world import World
from tests.unit.replicated import NODES, members
from tests.unit.verdict_world import ESTATE, MB, look, manager, primary, put, standby

STREAM = WalReceiver("n1", "10.9.9.9", 5432, "", 100 * MB)
FORKED = (TimelineSwitch(1, 90 * MB),)


@pytest.fixture
def both() -> Estate:
    """`orders` follows `main`, which the estate has too, with nodes of the same names."""
    orders = ESTATE.databases["orders"]
    return ESTATE.model_copy(update={"databases": {"main": orders.model_copy(), "orders": orders}})


def site(held: int = 90 * MB, **facts: Any) -> World:
    """`main` failed over to timeline 2; `orders` is a standby cluster led by n1."""
    world = World()
    roles = {"n1": "standby_leader", "n2": "replica", "n3": "replica"}
    rows = members(**{n: {"role": role} for n, role in roles.items()})
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, "n1", role=roles[node], members=rows))
        put(world, f"postgres:orders/{node}", standby(node, held))
        put(world, f"postgres:main/{node}", standby(node, 120 * MB, timeline=2))
    known = {"receiver_state": "streaming", "receiver": STREAM, "upstream_quiet": 1.0}
    put(world, "postgres:orders/n1", standby("n1", held, **(known | facts)))
    put(world, "postgres:main/n2", primary("n2", 120 * MB, timeline=2, history=FORKED))
    return world


def told(world: World, estate: Estate) -> list[tuple[Health, str]]:
    return [(each.health, each.what) for each in look(world, estate=estate).causes if "upstream-timeline" in each.key]


def test_replication_trap_34_a_standby_site_on_the_old_timeline_is_an_alarm(both: Estate) -> None:
    found = told(site(), both)
    assert found == [(Health.FAIL, "n1 is on timeline 1, its upstream main on 2: nothing that main writes arrives")]


def test_replication_trap_34_what_it_holds_past_the_fork_is_told(both: Estate) -> None:
    ((health, what),) = told(site(held=95 * MB), both)
    assert (health, what.partition(": ")[2]) == (Health.FAIL, "it holds 5.0 MB past the fork, which main does not have")


def test_replication_trap_34_without_a_stream_the_timeline_is_not_known(both: Estate) -> None:
    ((health, _),) = told(site(receiver_state=None, receiver=None, upstream_quiet=10.0), both)
    assert health is Health.UNKNOWN


def test_replication_trap_34_one_that_followed_is_no_fault_and_another_system_is_no_upstream(both: Estate) -> None:
    assert told(site(timeline=2), both) == []
    world = site()
    put(world, "postgres:main/n2", replace(primary("n2", 120 * MB, timeline=2), system_id="9"))
    assert told(world, both) == []
    assert told(site(), ESTATE) == [], "its upstream is not in the estate"


def opened(**facts: Any) -> World:
    """`orders` was opened at 95 MB, while `main` goes on to write on its own timeline."""
    world = World()
    rows = members(n1={"role": "leader"})
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, "n1", members=rows, **facts))
        put(world, f"patroni:main/{node}", manager(node, "n2"))
        put(world, f"postgres:orders/{node}", standby(node, 96 * MB, timeline=2))
        put(world, f"postgres:main/{node}", standby(node, 120 * MB))
    wrote = primary("n1", 96 * MB, timeline=2, history=(TimelineSwitch(1, 95 * MB),))
    put(world, "postgres:orders/n1", replace(wrote, started_at=5.0))
    put(world, "postgres:main/n2", primary("n2", 120 * MB, history=()))
    return world


def rivals(world: World, estate: Estate) -> list[tuple[Health, str]]:
    return [(each.health, each.what) for each in look(world, estate=estate).causes if "both-write" in each.key]


def test_replication_trap_33_a_standby_cluster_that_was_opened_beside_its_upstream_is_an_alarm(both: Estate) -> None:
    world = opened()
    assert {each.health for each in look(world, estate=both).clusters.values()} == {Health.PASS}, "each by itself"
    said = (
        "main and orders are one system, and both accept writes: forked at 0/5A995C0; written past it: main/n2 25.0 MB,"
        " orders/n1 1.0 MB"
    )
    assert rivals(world, both) == [(Health.FAIL, said)]


def test_replication_trap_33_other_systems_and_one_server_under_two_names_are_no_rivals(both: Estate) -> None:
    for facts in ({"system_id": "9"}, {"started_at": 5.0}):
        world = opened()
        put(world, "postgres:main/n2", replace(primary("n2", 120 * MB, history=()), **facts))
        assert rivals(world, both) == []
    orderly = opened()
    put(orderly, "postgres:main/n2", primary("n2", 95 * MB, history=()), age=2.8)
    assert rivals(orderly, both) == [], "the upstream was stopped before, and wrote nothing past the fork"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"standby_set": True}, "n1 accepts writes, and its configuration makes it a standby cluster"),
        ({"standby_set": False}, ""),
        ({"standby_set": None}, ""),
    ],
)
def test_replication_trap_33_a_leader_against_its_configuration_is_told(facts: dict[str, Any], said: str) -> None:
    causes = [each.what for each in look(opened(**facts)).causes if each.key.endswith("/opening")]
    assert [each.partition(": ")[0] for each in causes] == ([said] if said else [])


@pytest.mark.parametrize(
    ("by_node", "said"),
    [
        ({"n1": False, "n2": False}, "n1 leads a standby cluster, and its configuration has no standby_cluster"),
        ({"n1": True, "n2": True}, ""),
        ({"n1": True, "n2": False}, "the configuration of n1 has standby_cluster, that of n2 has not"),
    ],
)
def test_replication_trap_33_members_with_two_configurations_are_told(by_node: dict[str, bool], said: str) -> None:
    world = site(timeline=2)
    for node, configured in by_node.items():
        seen = world.observed[f"patroni:orders/{node}"].value
        assert isinstance(seen, PatroniReading)
        put(world, f"patroni:orders/{node}", replace(seen, standby_set=configured))
    cluster = look(world).clusters["orders"]
    assert ("standby_cluster" in cluster.message) is bool(said)
    assert said in cluster.message
