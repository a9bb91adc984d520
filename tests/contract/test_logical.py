"""A real pair of publisher and subscriber, and an apply that fails in a loop."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.databases.postgres import PostgresNode
from state.verdicts.cluster import ClusterFacts, gather
from state.verdicts.logical import UNCOPIED, publisher_of, subscription_faults, subscription_words
from state.world.observed import Observed
from state.world.postgres_parts import Publication
from state.world.readings import PostgresReading
from state.world.world import World
from tests.contract.components import Pair, kill_pair, make_primary, postgres_bin, postgres_with_tls
from tests.contract.test_forks import ACCESS
from tests.unit.verdict_world import ESTATE

ORDERS = ESTATE.databases["orders"]


@pytest.fixture(params=["newest", "oldest"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[Pair, Pair]]:
    with tempfile.TemporaryDirectory(prefix="logical") as folder:
        pairs = []
        for name in ("publisher", "subscriber"):
            place = Path(folder) / name
            place.mkdir()
            for each in (place, place.parent):
                each.chmod(0o777)
            pair = make_primary(place, postgres_bin() if request.param == "newest" else postgres_with_tls())
            pair.psql(pair.primary, "alter system set wal_level = logical")
            pair.psql(pair.primary, "alter system set wal_retrieve_retry_interval = '500ms'")
            pair.control("a", "-m", "fast", "stop")
            pair.start("a", pair.primary)
            pair.psql(pair.primary, "create table orders (number int primary key)")
            pairs.append(pair)
        publisher, subscriber = pairs
        publisher.psql(publisher.primary, "create publication orders for table orders")
        where = f"host={publisher.place} port={publisher.primary} user=postgres dbname=postgres"
        subscriber.psql(subscriber.primary, f"create subscription feed connection '{where}' publication orders")
        yield publisher, subscriber
        for pair in (subscriber, publisher):
            kill_pair(pair)


def facts(reading: PostgresReading) -> ClusterFacts:
    world, key = World(), "postgres:orders/n1"
    world.observed[key] = Observed(key, 60.0).succeeded(reading, 1e9, 1.0)
    return gather("orders", ORDERS, world, 1.0)


async def until(node: PostgresNode, holds: Callable[[PostgresReading], Any]) -> PostgresReading:
    for _ in range(240):
        reading = await node.read(deadline=10)
        if holds(reading):
            return reading
        await asyncio.sleep(0.5)
    raise AssertionError(f"never held: {reading.subscriptions}")


async def test_replication_trap_41_a_failing_apply_of_a_real_subscription(ends: tuple[Pair, Pair]) -> None:
    publisher, subscriber = ends
    source = PostgresNode("n1", "127.0.0.1", publisher.primary, ACCESS)
    sink = PostgresNode("n1", "127.0.0.1", subscriber.primary, ACCESS)
    try:
        good = await until(sink, lambda r: r.subscriptions and r.subscriptions[0].running)
        (feed,) = good.subscriptions
        assert (feed.name, feed.database, feed.slot, feed.publications) == ("feed", "postgres", "feed", ("orders",))
        assert subscription_faults(facts(good)) == ()
        theirs = await until(source, lambda r: any(slot.active for slot in r.slots))
        assert theirs.subscriptions == ()
        assert theirs.publications == (Publication("orders", "postgres", 1),)
        assert good.publications == ()
        found = publisher_of(facts(good), feed, [facts(good), facts(theirs)])
        assert found is not None
        assert (found.slot.name, found.slot.plugin) == ("feed", "pgoutput")
        assert found.behind is not None
        subscriber.psql(subscriber.primary, "insert into orders values (1)")
        publisher.psql(publisher.primary, "insert into orders values (1)")
        broken = await until(sink, lambda r: r.subscriptions and r.subscriptions[0].failing)
        (fault,) = subscription_faults(facts(broken))
        assert "fails again and again to apply" in fault.message
        assert fault.subscription.errors >= 1
        subscriber.psql(subscriber.primary, "delete from orders")
        healed = await until(sink, lambda r: r.subscriptions[0].running and not r.subscriptions[0].failing)
        assert subscription_faults(facts(healed)) == ()
    finally:
        await source.close()
        await sink.close()


async def test_tables_that_nothing_copies_are_told(ends: tuple[Pair, Pair]) -> None:
    """2ndQuadrant/pglogical#186, #197: the apply runs, its distance is 0, and a table stays empty for ever."""
    publisher, subscriber = ends
    sink = PostgresNode("n1", "127.0.0.1", subscriber.primary, ACCESS)
    try:
        good = await until(sink, lambda r: r.subscriptions and r.subscriptions[0].uncopied == 0)
        assert subscription_faults(facts(good)) == ()
        subscriber.psql(subscriber.primary, "alter system set max_sync_workers_per_subscription = 0")
        subscriber.psql(subscriber.primary, "select pg_reload_conf()")
        for pair in ends:
            pair.psql(pair.primary, "create table parcels (number int primary key)")
        publisher.psql(publisher.primary, "alter publication orders add table parcels")
        subscriber.psql(subscriber.primary, "alter subscription feed refresh publication")
        late = await until(sink, lambda r: (r.subscriptions[0].idle or 0) > 1)
        (feed,) = late.subscriptions
        assert (feed.uncopied, feed.running, feed.failing) == (1, True, False)
        assert subscription_words(feed, None).startswith("copies, 1 table to go")
        (fault,) = subscription_faults(facts(replace(late, subscriptions=(replace(feed, idle=UNCOPIED),))))
        assert fault.message.endswith("applies, and 1 table of it is not copied: nothing copies it now")
        subscriber.psql(subscriber.primary, "alter system reset max_sync_workers_per_subscription")
        subscriber.psql(subscriber.primary, "select pg_reload_conf()")
        done = await until(sink, lambda r: r.subscriptions[0].uncopied == 0)
        assert done.subscriptions[0].idle is None
    finally:
        await sink.close()
