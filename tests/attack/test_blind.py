"""Answers whose values are of another kind than they must be, and views that cannot be built: each is told where it
is, and nothing else goes dark."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from adapters.api_server.stream import _batch
from adapters.balancers.memory import MemoryBalancer
from console.tui.store import Store
from state.api.wire import Differ
from state.capabilities import added, topics
from state.errors import Trouble, ViewFailed
from state.health import Health
from state.world.balancer_parts import BalancerReading, Server
from state.world.dns_parts import DnsReading
from state.world.postgres_parts import ReplicationSlot, WalSender
from state.world.readings import (
    Alert,
    AlertsReading,
    MetricsReading,
    OwnCheckReading,
    PatroniMember,
    PatroniReading,
    ProbeReading,
    Reading,
    ServiceTraffic,
)
from state.world.shapes import misfit
from tests.screens.fake_engine import stage
from tests.support.defects import DEFECT, ODD, told_by
from tests.support.run_books import until
from tests.support.small_estate import small
from tests.unit.verdict_world import primary

SENDER, SLOT = (
    WalSender("n2", "streaming", "sync", 1, 1, 1, 0.1),
    ReplicationSlot("n2", "physical", True, 1, "reserved"),
)
ALERT = Alert("Disk", "active", "critical", 1.0, "full", "0f")
MEMBER = PatroniMember("n1", "leader", "running", 1, 0)
PATRONI = PatroniReading("n1", "s", "primary", "running", 1, 1, "7", "4.0", False, False, False, 0.1, 1, (MEMBER,))
SERVER = Server("shop", "blue", "a:1", "UP", 1, 1, False, False, True, 0, 0, "", 0, 0)
TRAFFIC = ServiceTraffic("shop", 1.0, 0.0, 0.1)

WRONG: tuple[tuple[Reading, str], ...] = (
    (AlertsReading((replace(ALERT, fingerprint=7), ALERT), True), "alerts[0].fingerprint"),  # type: ignore[arg-type]
    (AlertsReading((ALERT, replace(ALERT, started_at=None)), True), "alerts[1].started_at"),  # type: ignore[arg-type]
    (AlertsReading((replace(ALERT, started_at=float("nan")),), True), "alerts[0].started_at"),
    (AlertsReading((replace(ALERT, labels={"a": {"b": 1}}),), True), "alerts[0].labels{a}"),  # type: ignore[dict-item]
    (AlertsReading((replace(ALERT, summary="\ud800"),), True), "alerts[0].summary"),
    (AlertsReading((), "yes"), "watchdog"),  # type: ignore[arg-type]
    (AlertsReading((), True, cluster=frozenset([1])), "cluster[0]"),  # type: ignore[list-item]
    (replace(primary("n1", 1000), in_recovery="f"), "in_recovery"),
    (replace(primary("n1", 1000), write_lsn=1 << 70), "write_lsn"),
    (replace(primary("n1", 1000), senders=(replace(SENDER, replay_lsn="9"),)), "senders[0].replay_lsn"),
    (replace(primary("n1", 1000), slots=(replace(SLOT, name=None),)), "slots[0].name"),
    (replace(PATRONI, timeline=True), "timeline"),
    (replace(PATRONI, members=(replace(MEMBER, name=["n1"]),)), "members[0].name"),
    (
        BalancerReading("edge", "2.6", "1@2", 1.0, {"shop/blue": replace(SERVER, weight="1")}),
        "servers{shop/blue}.weight",
    ),
    (MetricsReading({"shop": replace(TRAFFIC, rate="many")}), "services{shop}.rate"),
    (MetricsReading({}, {"shop": ((1.0, None, "x", None),)}), "past{shop}[0][2]"),  # type: ignore[dict-item]
    (ProbeReading("web", "200", 0.1), "status"),  # type: ignore[arg-type]
    (DnsReading("z", "s", 1, {"www/A": (1,)}), "records{www/A}[0]"),  # type: ignore[dict-item]
    (OwnCheckReading("c", "pass", ""), "health"),  # type: ignore[arg-type]
)


@pytest.mark.parametrize(("reading", "where"), WRONG, ids=[where for _, where in WRONG])
def test_a_value_of_another_kind_is_found_with_its_place(reading: Reading, where: str) -> None:
    found = misfit(reading)
    assert found is not None
    assert found.lstrip(".") == where


def test_a_good_reading_fits_and_what_was_looked_at_is_not_looked_at_again() -> None:
    rows = {f"shop/{n}": replace(SERVER, name=str(n)) for n in range(100)}
    first = BalancerReading("edge", "2.6", "1@2", 1.0, rows)
    assert misfit(first) is None
    again = replace(first, servers={**rows, "shop/7": replace(SERVER, weight=None)})  # type: ignore[arg-type]
    assert misfit(again, first) == ".servers{shop/7}.weight"
    assert misfit(replace(primary("n1", 1000), senders=(SENDER,), slots=(SLOT,))) is None


class OddBalancer(MemoryBalancer):
    """While it is `odd` one weight of its readings is that."""

    odd: Any = None

    async def read(self, *, deadline: float) -> BalancerReading:
        reading = await super().read(deadline=deadline)
        if self.odd is None:
            return reading
        return replace(reading, servers={key: replace(s, weight=self.odd) for key, s in reading.servers.items()})


@pytest.mark.parametrize("odd", ["much", {}, [1], 1 << 80, float("nan"), True])
async def test_an_answer_of_another_kind_is_its_sources_error_and_every_view_goes_on(odd: Any) -> None:
    told = told_by(asyncio.get_running_loop())
    balancer = OddBalancer("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(balancer=balancer) as lab:
        await until(lambda: lab.engine.world.fresh("balancer:edge", BalancerReading, lab.engine.mono()) is not None)
        balancer.odd = odd
        seen = lab.engine.world.observed
        await until(lambda: seen["balancer:edge"].error is not None, 30)
        error = seen["balancer:edge"].error
        assert error is not None
        assert error.trouble is Trouble.ERROR
        assert "value of another kind than it must at servers{shop/blue}.weight" in error.message
        for topic in topics():
            assert lab.engine.view(topic) is not None
        assert not told
        balancer.odd = None
        await until(lambda: seen["balancer:edge"].error is None, 30)


@pytest.fixture(autouse=True)
def whole() -> Any:
    """Nothing is broken before and after a test."""
    DEFECT.view, DEFECT.header, DEFECT.judging = False, False, ""
    yield
    DEFECT.view, DEFECT.header, DEFECT.judging = False, False, ""


def frames(batch: bytes) -> dict[str, dict[str, Any]]:
    """The lines of a stream by topic."""
    lines = [json.loads(line) for line in batch.splitlines()]
    return {line["topic"]: line for line in lines if "topic" in line}


async def test_a_view_that_cannot_be_built_is_told_as_failed_and_the_other_topics_go_on() -> None:
    told = told_by(asyncio.get_running_loop())
    with added(ODD):
        async with small() as lab:
            differs, store = [Differ(name) for name in topics()], Store()
            for line in _batch(lab.engine, differs).splitlines():
                store.apply(json.loads(line))
            assert store.view("odd") is not None
            DEFECT.view = True
            await asyncio.sleep(0.5)  # another version of everything
            sent = frames(_batch(lab.engine, differs))
            assert "TypeError: '<' not supported" in sent["odd"]["failed"]
            store.apply(sent["odd"])
            assert store.view("odd") is None, "what was shown before is an old word"
            assert "the view odd cannot be built" in store.failure("odd")
            with pytest.raises(ViewFailed, match="nothing that it shows is known now"):
                lab.engine.view("odd")
            await asyncio.sleep(0.5)
            assert "odd" not in frames(_batch(lab.engine, differs)), "the same failure is told once"
            header = lab.engine.view("header")
            assert any("the view odd cannot be built" in alarm for alarm in header.alarms), "status: exit code 1"
            assert header.causes[0].loud
            assert lab.engine.view("traffic").servers
            assert len([line for line in told if "view odd" in line]) == 1, "logged once"
            DEFECT.view = False
            await asyncio.sleep(0.5)
            again = frames(_batch(lab.engine, differs))["odd"]
            assert "rows" in again, "the next view is sent whole"
            store.apply(again)
            assert store.view("odd") is not None
            assert not store.failure("odd")
            await until(lambda: lab.engine.view("header").alarms == (), 20)


async def test_a_header_that_cannot_be_built_says_so_and_proves_nothing() -> None:
    told_by(asyncio.get_running_loop())
    with added(ODD):
        async with small() as lab:
            DEFECT.header = True
            await asyncio.sleep(0.5)
            header = lab.engine.view("header")
            assert "the view header cannot be built (KeyError" in header.alarms[0]
            assert header.causes[0].health is not Health.PASS
            assert header.sources == {}, "without its source every value is withheld"
            assert header.journal_seq > 0
            DEFECT.header = False
            await until(lambda: lab.engine.view("header").alarms == (), 20)


async def test_a_screen_without_its_view_says_why_and_shows_nothing_of_before() -> None:
    async with stage(size=(100, 30)) as at:
        await at.press("4")
        await at.sees("checkout")
        failure = ViewFailed("traffic", "TypeError: 'str' and 'int'")
        at.front.fail("traffic", failure)
        await at.sees("the view traffic cannot be built", "the other screens go on")
        assert "s1" not in at.text
        await at.press("3")
        await at.sees("orders")
        await at.press("4")
        await at.sees("the view traffic cannot be built")
        at.front.mend("traffic")
        await at.until(lambda: "cannot be built" not in at.text, "the mended view")
