"""After a change of a name: how far it has come, what resolvers still answer, and who sets it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.dns import rfc2136
from adapters.journals.memory import MemoryJournal
from state.api.requests import PlanChange
from state.api.views.overview import OverviewView
from state.api.views.traffic import DnsRow
from state.detection.names import NameReverted
from state.engine.engine import Engine
from state.estate.model import Estate
from state.health import Health
from state.planning.library import Library
from state.ports.outside import Outside
from state.runs.fault_points import ignore_point
from state.world.record_sets import RecordSet
from tests.support.memory_zone import MemoryZone, ZoneSource
from tests.support.small_estate import ESTATE, LoopClock, Small, runbook

pytestmark = pytest.mark.virtual_time

OLD, NEW = RecordSet("A", 60, ("10.1.0.10",)), RecordSet("A", 60, ("10.2.0.10",))
RESOLVER = "10.9.0.2:53"
ENTRY = {
    "kind": "rfc2136",
    "servers": list(MemoryZone.servers),
    "resolvers": [RESOLVER],
    "records": [{"name": "shop", "expect": ["10.1.0.10", "10.2.0.10"]}],
}


class NoBalancer:
    """The estate of these tests has none."""


@asynccontextmanager
async def named(
    zone: MemoryZone, store: MemoryJournal | None = None, books: Sequence[Mapping[str, Any]] = ()
) -> AsyncIterator[Small]:
    """An engine that watches and changes one zone."""
    plain = {**ESTATE, "balancers": {}, "services": {"shop": {"tier": 1, "rto": 300.0, "rpo": 1}}}
    plain["policies"] = {"confirm": {"arm": 0.01, "plan_expires": 30.0}, "delivery": 0.2}
    estate = Estate.model_validate(plain).model_copy(
        update={"zones": {zone.name: rfc2136.OPTIONS.model_validate(ENTRY)}}
    )
    sources = [*(ZoneSource(zone, each) for each in zone.servers), ZoneSource(zone, RESOLVER, "resolver")]
    outside = Outside(sources, {}, {}, zones={zone.name: zone})
    journal = store if store is not None else MemoryJournal()
    library = Library({str(each["runbook"]): runbook(each) for each in books}, estate, {})
    engine = Engine(estate, outside, journal, LoopClock(), library, node="test", pid=1, uid=0, reach=ignore_point)
    await engine.start()
    try:
        yield Small(engine, NoBalancer(), journal)  # type: ignore[arg-type]
    finally:
        await engine.stop()


async def set_to(lab: Small, *addresses: str) -> str:
    asked = PlanChange("dns.set", {"zone": "shop.example", "record": "shop", "a": list(addresses)})
    run = (await lab.submit(await lab.preview(asked))).run
    assert await lab.ended(run, 60) == "done"
    return run


def rows(lab: Small) -> dict[str, DnsRow]:
    return {row.server: row for row in lab.engine.view("traffic").dns.values()}


def reverted(lab: Small) -> list[str]:
    return [row.message for row in lab.engine.journal_rows(0, 10_000) if row.kind == NameReverted.kind]


async def polled() -> None:
    await asyncio.sleep(0.5)


@pytest.fixture
def zone() -> MemoryZone:
    return MemoryZone("shop.example", {"shop": {"A": OLD}})


async def test_a_change_spreads_over_servers_and_resolvers_and_says_when_it_can_be_complete(zone: MemoryZone) -> None:
    async with named(zone) as lab:
        await polled()
        assert rows(lab)[f"resolver {RESOLVER}"].resolver
        assert rows(lab)[MemoryZone.acting].moved == ""
        zone.stale[RESOLVER] = {"shop": {"A": RecordSet("A", 42, OLD.values)}}
        await set_to(lab, "10.2.0.10")
        await polled()
        seen = rows(lab)
        assert seen[MemoryZone.acting].moved.startswith("2 of 3 answer the last change, complete not before ")
        assert seen[f"resolver {RESOLVER}"].ttl == 42, "the time that it keeps the old answer"
        assert seen[MemoryZone.acting].curve[-1] == 0.667
        del zone.stale[RESOLVER]
        await polled()
        assert rows(lab)[MemoryZone.acting].moved.startswith("3 of 3 answer")
        curve = rows(lab)[MemoryZone.acting].curve
        assert (curve[-1], len(curve) < 60, list(curve) == sorted(curve)) == (1.0, True, True)
        assert reverted(lab) == []


async def test_a_resolver_without_any_expected_address_fails_the_service_on_overview(zone: MemoryZone) -> None:
    async with named(zone) as lab:
        zone.stale[RESOLVER] = {"shop": {"A": RecordSet("A", 42, ("10.66.0.1",))}}
        await polled()
        view = lab.engine.view("overview")
        assert isinstance(view, OverviewView)
        told = view.services["shop"]
        assert told.health is Health.FAIL
        assert "answers 10.66.0.1 at 1 of 1 resolvers for 42 s more: 10.9.0.2:53" in told.message
        steps = [each.next.message for each in view.recover.values() if each.next is not None]
        said = "By hand: its own servers answer rightly; look at the resolvers 10.9.0.2:53, flush"
        assert any(each.startswith(said) for each in steps), "setting the record again mends nothing"


async def test_a_tier_1_service_whose_name_answers_nothing_expected_is_fail_on_overview(zone: MemoryZone) -> None:
    zone.names["shop"] = {"A": RecordSet("A", 60, ("10.66.0.1",))}
    async with named(zone) as lab:
        await polled()
        view = lab.engine.view("overview")
        assert isinstance(view, OverviewView)
        assert view.services["shop"].health is Health.FAIL


async def test_a_silent_resolver_is_told_and_its_answers_are_unknown(zone: MemoryZone) -> None:
    async with named(zone) as lab:
        zone.silent.add(RESOLVER)
        await asyncio.sleep(3)
        assert rows(lab)[f"resolver {RESOLVER}"].health is Health.UNKNOWN
        assert "resolver 10.9.0.2:53" in [each.name for each in lab.engine.view("header").causes]
        assert lab.engine.view("overview").services["shop"].health is not Health.FAIL


async def test_50_the_stale_server_is_named_by_address(zone: MemoryZone) -> None:
    async with named(zone) as lab:
        zone.stale["10.2.0.53:53"] = {"shop": {"A": RecordSet("A", 60, ("10.66.0.1",))}}
        await polled()
        stale = rows(lab)["10.2.0.53:53"]
        assert (stale.health, rows(lab)[MemoryZone.acting].health) == (Health.WARN, Health.WARN)
        assert "same serial 1 as 10.1.0.53:53 and other content" in stale.message
        told = lab.engine.view("overview").services["shop"].message
        assert "on 1 of 2 servers: 10.2.0.53:53" in told


async def test_55_the_order_of_addresses_is_never_drift(zone: MemoryZone) -> None:
    async with named(zone) as lab:
        await set_to(lab, "10.1.0.10", "10.2.0.10")
        zone.names["shop"] = {"A": RecordSet("A", 60, ("10.2.0.10", "10.1.0.10"))}
        await polled()
        assert (reverted(lab), lab.engine.view("header").alarms) == ([], ())


async def test_57_who_writes_it_back_is_alarmed_as_a_fight_and_not_as_new_drift_each_time(zone: MemoryZone) -> None:
    async with named(zone) as lab:
        await set_to(lab, "10.2.0.10")
        for _ in range(5):
            zone.names["shop"] = {"A": OLD}
            await polled()
            zone.names["shop"] = {"A": NEW}
            await polled()
        zone.names["shop"] = {"A": OLD}
        await polled()
        first, second = reverted(lab)
        assert first.endswith("answers 10.1.0.10 again, not 10.2.0.10: changed from outside")
        assert "set back 2 times within an hour, another program writes it" in second
        (alarm,) = lab.engine.view("header").alarms
        assert "set back 6 times within an hour" in alarm


async def test_57_a_name_that_somebody_set_is_told_within_two_polls_and_until_it_is_set_again(zone: MemoryZone) -> None:
    store = MemoryJournal()
    async with named(zone, store) as lab:
        await set_to(lab, "10.2.0.10")
        await polled()
        zone.names["shop"] = {"A": OLD}
        await asyncio.sleep(0.1)
        (alarm,) = lab.engine.view("header").alarms
        assert "changed from outside" in alarm
        await polled()
    async with named(zone, store) as lab:
        await polled()
        assert len(lab.engine.view("header").alarms) == 1, "a restart forgets it not"
        assert len(reverted(lab)) == 1, "and does not tell it again"
        await set_to(lab, "10.2.0.10")
        await polled()
        assert lab.engine.view("header").alarms == ()
