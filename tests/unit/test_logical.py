"""Logical replication: what its two ends tell, and what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.databases.postgres_logical import SubscriptionWatch
from state.api.views.replication import PUBLICATION
from state.health import Health
from state.verdicts.cause_database import database_causes
from state.verdicts.logical import publisher_of, subscription_faults, subscription_words
from state.views.replication import build
from state.world.postgres_parts import Publication, ReplicationSlot, Subscription
from state.world.world import World
from tests.unit.replicated import judge, leads
from tests.unit.verdict_world import ESTATE, MB, healthy_cluster, look, primary, put, sender

GOOD = Subscription("feed", "shop", True, "feed_slot", ("orders",), True, 5 * MB, 0)


@pytest.fixture
def world() -> World:
    made = World()
    healthy_cluster(made)
    return made


def row(running: bool = True, errors: int = 0) -> str:
    return f'[["feed", "shop", true, "feed_slot", ["orders"], {str(running).lower()}, 5000000, {errors}]]'


def test_replication_trap_41_an_apply_that_fails_again_and_again_is_told_by_its_error_count() -> None:
    watch = SubscriptionWatch()
    (first,) = watch.of(row(errors=7), 0.0)
    assert (first.errors, first.failing) == (7, False), "old errors are no loop"
    (second,) = watch.of(row(running=False, errors=8), 5.0)
    assert second.failing
    assert second.stopped is None
    (third,) = watch.of(row(running=False, errors=8), 20.0)
    assert (third.failing, third.stopped) == (True, 15.0)
    (later,) = watch.of(row(errors=8), 80.0)
    assert (later.failing, later.stopped) == (False, None)
    assert watch.of("[]", 81.0) == ()
    (anew,) = watch.of(row(errors=9), 82.0)
    assert not anew.failing, "one that was made anew is another"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"failing": True, "errors": 12}, "fails again and again to apply, 12 errors so far"),
        ({"enabled": False, "running": False, "errors": 1}, "is disabled after 1 error"),
        ({"running": False, "stopped": 30.0}, "has no worker: nothing is applied"),
    ],
)
def test_replication_trap_41_is_a_warning_and_a_cause(world: World, facts: dict[str, Any], said: str) -> None:
    leads(world, sender("n2"), sender("n3"), subscriptions=(replace(GOOD, **facts),))
    cluster = judge(world)
    assert cluster.health is Health.WARN
    assert f"subscription feed on n1 (database shop) {said}" in cluster.message
    (cause,) = [each for each in database_causes(cluster) if "/subscription/" in each.key]
    assert said in cause.what


@pytest.mark.parametrize("facts", [{}, {"running": False, "stopped": 4.0}, {"enabled": False, "running": False}])
def test_a_subscription_that_goes_on_or_was_disabled_by_hand_is_no_fault(world: World, facts: dict[str, Any]) -> None:
    leads(world, sender("n2"), sender("n3"), subscriptions=(replace(GOOD, **facts),))
    assert subscription_faults(judge(world).facts) == ()


def test_the_other_end_is_the_slot_of_that_name_at_another_system(world: World) -> None:
    slot = ReplicationSlot("feed_slot", "logical", True, 80 * MB, "reserved", confirmed_lsn=97 * MB)
    leads(world, sender("n2"), sender("n3"), slots=(slot,))
    theirs = judge(world).facts
    other = World()
    put(other, "postgres:orders/n1", replace(primary("n1", 9 * MB, subscriptions=(GOOD,)), system_id="9"))
    mine = judge(other).facts
    found = publisher_of(mine, GOOD, [mine, theirs])
    assert found is not None
    assert (found.node.node, found.behind) == ("n1", 3 * MB)
    assert subscription_words(GOOD, found) == "applies; 3.0 MB behind orders/n1 (slot feed_slot)"
    assert publisher_of(mine, GOOD, [mine]) is None
    assert publisher_of(mine, GOOD, [theirs, theirs]) is None, "two of one name: not known which"
    assert publisher_of(theirs, GOOD, [theirs]) is None, "its own slots are not its publisher's"
    assert "no database of the estate" in subscription_words(GOOD, None)


def test_a_publication_is_told_with_who_reads_it() -> None:
    """Both ends are in the estate: the subscription at another system names the publication and its slot."""
    world = World()
    slot = ReplicationSlot("feed_slot", "logical", True, 80 * MB, "reserved", database="shop", confirmed_lsn=97 * MB)
    offered = (Publication(GOOD.publications[0], "shop", 3), Publication("every", "shop", None))
    put(world, "postgres:main/n1", primary("n1", 100 * MB, slots=(slot,), publications=offered))
    put(world, "postgres:orders/n1", replace(primary("n1", 9 * MB, subscriptions=(GOOD,)), system_id="9"))
    orders = ESTATE.databases["orders"]
    estate = ESTATE.model_copy(update={"databases": {"main": orders.model_copy(), "orders": orders}})
    rows = {row.name: row for row in build(look(world, estate=estate)).slots.values() if row.slot_type == PUBLICATION}
    assert {row.cluster for row in rows.values()} == {"main"}
    feed, every = rows[GOOD.publications[0]], rows["every"]
    assert (feed.message, feed.active) == (f"3 tables of shop; read by {GOOD.name} of orders/n1 3.0 MB behind", True)
    assert (every.message, every.active) == ("all tables of shop; read by no subscription of the estate", False)
