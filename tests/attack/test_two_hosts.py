"""The engine of another host that has a lease is seen and named, and no change is sent to its database (kind 2)."""

from __future__ import annotations

from state.errors import Refusal
from state.health import Health
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.switchover import switchover_obstacles
from state.world.world import World
from tests.unit.test_restart import Restartable, change
from tests.unit.verdict_world import ESTATE, MB, NOW, first, healthy_world, put, standby, told

OTHER = "recovery engine 7 on west from 10.2.0.5"


def judged(world: World) -> ClusterVerdict:
    return cluster_verdict("orders", ESTATE.databases["orders"], world, NOW)


def refusals(world: World) -> tuple[Refusal, ...]:
    return switchover_obstacles(judged(world), "n2")


def test_one_server_of_the_other_engine_refuses_the_switchover_and_is_a_cause() -> None:
    world = healthy_world()
    assert refusals(world) == ()
    put(world, "postgres:orders/n3", standby("n3", 100 * MB, other_engine=OTHER))
    (refusal,) = refusals(world)
    assert refusal.rule == "one-engine"
    assert f"{OTHER} has the lease of n3" in refusal.fact
    cluster = judged(world)
    assert (cluster.health, OTHER in cluster.message) == (Health.WARN, True)
    cause = first(world)
    assert (cause.name, cause.health) == ("orders", Health.WARN)
    assert f"another engine: {OTHER} has the lease of n3" in cause.sentence(NOW)


def test_what_was_read_too_long_ago_says_nothing_about_another_engine() -> None:
    world = healthy_world()
    put(world, "postgres:orders/n3", standby("n3", 100 * MB, other_engine=OTHER), age=60.0)
    assert "one-engine" not in [each.rule for each in refusals(world)]
    assert judged(world).rival == ""
    assert told(world)[1].health is not Health.PASS


async def test_no_standby_is_restarted_beside_another_engine() -> None:
    database = Restartable()
    assert (await change("n3", database).preview(deadline=1)).refusals == ()
    database.set("n1", other_engine=OTHER)
    refused = (await change("n3", database).preview(deadline=1)).refusals
    assert [(each.rule, OTHER in each.fact) for each in refused] == [("one-engine", True)]
