"""A change of a database shows in health checks of balancers: a later step of its plan is not surprised by that, and by
everything else it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.card import Card, WarningKind
from state.api.requests import PlanRunbook
from state.changes.unsettled import unsettled_by
from state.engine.engine import Engine
from state.estate.model import Estate
from state.planning.library import Library
from state.ports.outside import Outside
from state.ports.target import Receipt
from tests.support.acting_database import ActingDatabase, HostCommand
from tests.support.run_books import book
from tests.support.small_estate import COMMANDER, LoopClock, Small, runbook
from tests.unit.test_failover import FENCED

pytestmark = pytest.mark.virtual_time

FENCE = {"id": "fence", "change": "database.fence", "with": {"database": "orders", "node": "n1"}}
CHECKOUT = {"balancer": "edge-east", "backend": "checkout"}
FLIP = {"id": "flip", "change": "backend.flip", "with": {**CHECKOUT, "to": "green"}}


class Checked(MemoryBalancer):
    """Its servers can be down."""

    def down(self, name: str, *, up: bool = False) -> None:
        """What its health check says of a server of checkout from now on."""
        key = f"checkout/{name}"
        self._servers[key] = replace(self._servers[key], up=up, status="UP" if up else "DOWN")


class Stop(HostCommand):
    """Stops n1, whereupon checks fail, and more may happen."""

    def __init__(self, database: ActingDatabase, balancer: Checked, then: dict[str, bool], weight: int | None) -> None:
        super().__init__(0)
        self._database, self._balancer, self._then, self._weight = database, balancer, then, weight

    async def run(self, argv: Any, output: Any, *, effect: str, deadline: float) -> Receipt:
        self._database.died("n1")
        self.code = 3
        for name, up in self._then.items():
            self._balancer.down(name, up=up)
        if self._weight is not None:
            await self._balancer.set_weight("checkout", "blue", self._weight, deadline=1)
        return await super().run(argv, output, effect=effect, deadline=deadline)


@asynccontextmanager
async def site(*steps: dict[str, Any], then: dict[str, bool], weight: int | None = None) -> AsyncIterator[Small]:
    """An engine on the fenced estate with one runbook."""
    raw = book(*steps)
    database, balancer = ActingDatabase(), Checked("edge-east", {"checkout": {"blue": 100, "green": 0}})
    host = Stop(database, balancer, then, weight)
    outside = Outside((), {"edge-east": balancer}, {"orders": database}, commands={"stop": host})
    library, store = Library({"case": runbook(raw)}, FENCED, {}), MemoryJournal()
    engine = Engine(FENCED, outside, store, LoopClock(), library, node="test", pid=1, uid=0)
    await engine.start()
    try:
        yield Small(engine, balancer, store)
    finally:
        await engine.stop()


async def ran(lab: Small) -> tuple[Card, str, str]:
    """The card, the state of the run, and what its last step says."""
    card = await lab.preview(PlanRunbook("case"), COMMANDER)
    run = (await lab.submit(card)).run
    state = await lab.ended(run, 120)
    return card, state, lab.engine.history.runs[run].latest("flip").message


async def test_what_its_own_fence_does_to_health_checks_does_not_refuse_a_flip() -> None:
    async with site(FENCE, FLIP, then={"blue": False}) as lab:
        card, state, said = await ran(lab)
        assert (state, said) == ("done", "done, read back twice")
        assert [w for w in card.warnings if "who is up is judged when its turn comes" in w.message]


async def test_alone_the_flip_is_refused_where_checks_changed_since_the_plan() -> None:
    wait = {"id": "wait", "wait": "5s"}
    async with site(wait, FLIP, then={}) as lab:
        card = await lab.preview(PlanRunbook("case"), COMMANDER)
        run = (await lab.submit(card)).run
        await asyncio.sleep(1)
        lab.balancer.down("blue")  # type: ignore[attr-defined]
        assert await lab.ended(run, 60) != "done"
        assert "facts changed since the plan" in lab.engine.history.runs[run].latest("flip").message


async def test_a_destination_that_the_fence_took_down_gets_no_traffic() -> None:
    async with site(FENCE, FLIP, then={"green": False}) as lab:
        _, state, said = await ran(lab)
        assert (state != "done", "nothing was sent: floor" in said) == (True, True), said
        assert {s.name: s.weight for s in await lab.balancer.read_backend("checkout", deadline=1)} == {
            "blue": 100,
            "green": 0,
        }


async def test_a_weight_that_somebody_set_meanwhile_refuses_it_all_the_same() -> None:
    async with site(FENCE, FLIP, then={"blue": False}, weight=40) as lab:
        _, state, said = await ran(lab)
        assert (state != "done", "facts changed since the plan" in said) == (True, True), said


async def test_a_destination_that_is_not_ready_yet_is_told_beforehand_and_judged_in_its_turn() -> None:
    async with site(FENCE, FLIP, then={"green": True, "blue": False}) as lab:
        lab.balancer.down("green")  # type: ignore[attr-defined]
        card, state, _ = await ran(lab)
        assert (card.refusals, state) == ((), "done")
        assert "make-before-break" in [w.rule for w in card.warnings if w.kind is WarningKind.LATER]


def test_which_backends_see_a_database() -> None:
    catalog = FENCED.services["catalog"]
    traffic = FENCED.services["checkout"].traffic
    assert traffic is not None
    alone = catalog.model_copy(update={"depends_on": (), "traffic": traffic.model_copy(update={"backend": "catalog"})})
    through = alone.model_copy(update={"depends_on": ("checkout",)})

    def seen(services: dict[str, Any], frontends: dict[str, str]) -> set[str]:
        orders = FENCED.databases["orders"].model_copy(update={"frontends": frontends})
        made: Estate = FENCED.model_copy(
            update={"services": {**FENCED.services, **services}, "databases": {"orders": orders}}
        )
        return set(unsettled_by("orders", made))

    checkout = {"edge-east/checkout", "edge-west/checkout"}
    assert seen({"catalog": alone}, {}) == checkout
    assert seen({"catalog": through}, {}) == checkout | {"edge-east/catalog", "edge-west/catalog"}
    assert seen({"catalog": alone}, {"pg_rw": "primary"}) == checkout | {"edge-east/pg_rw", "edge-west/pg_rw"}
