"""A switchover request that is delivered long after everybody gave up: through a relay that holds it, on real nodes."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from adapters.lab.client import LabClient
from state.changes.model import Finding
from state.runs.events import EffectAmended, EffectEnded
from tests.crash.targets import Truth
from tests.support.late_relay import LateRelay, late_relay
from tests.support.real_engine import RealEngine, Tree, engine_home, lab_estate, until

pytestmark = pytest.mark.lab


async def relayed(tree: Tree, stack: AsyncExitStack, delay: float) -> list[LateRelay]:
    """Every node's Patroni API behind a relay of its own, the tree leading there."""
    relays = []
    for database in tree["databases"].values():
        for node in database["nodes"].values():
            port = int(node["api"].rsplit(":", 1)[1])
            relays.append(await stack.enter_async_context(late_relay(port, delay)))
            node["api"] = relays[-1].at
    return relays


async def whole(lab: LabClient, truth: Truth) -> tuple[str, str]:
    """Wait until every standby follows; the leader and the standby that is to lead."""

    async def streaming() -> bool:
        nodes = (await lab.status())["nodes"].values()
        return sum(n["replica"] is True and n["age"] is not None and n["age"] < 3 for n in nodes) == len(nodes) - 1

    await until(streaming, 120, "the cluster is not whole")
    leader = (await truth.writer())[0]
    return leader, next(name for name in await truth.postgres() if name != leader)


def found(engine: RealEngine, run: str) -> list[Finding]:
    bodies = (e.body for e in engine.entries() if e.event.run == run)
    return [body.finding for body in bodies if isinstance(body, EffectEnded | EffectAmended)]


async def begun(engine: RealEngine, relays: list[LateRelay], to: str) -> str:
    run = await engine.act("database.switchover", database="orders", to=to)

    async def held() -> bool:
        return any(relay.waiting for relay in relays)

    await until(held, 60, "the request did not reach the relay")
    return run


@pytest.mark.parametrize("delay", [8.0, pytest.param(20.0, marks=pytest.mark.torture)])
async def test_a_switchover_delivered_after_the_engine_was_killed_is_not_called_not_done(
    lab: LabClient, truth: Truth, delay: float
) -> None:
    """Before: "not done" 12 s after the restart and a retry, then the leader moved."""
    _, to = await whole(lab, truth)
    tree = lab_estate(lab, "databases")
    tree["policies"]["delivery"] = f"{delay + 10:.0f}s"
    async with AsyncExitStack() as stack:
        relays = await relayed(tree, stack, delay)
        with engine_home(tree) as engine:
            await engine.start()
            run = await begun(engine, relays, to)
            engine.kill()
            await engine.start()
            row = await engine.settled(run, 240)
            assert (row.state, found(engine, run)) == ("done", [Finding.DONE])
        assert (await truth.writer())[0] == to
        assert sum(relay.delivered for relay in relays) == 1


@pytest.mark.torture
async def test_a_switchover_delivered_later_than_promised_amends_the_record(lab: LabClient, truth: Truth) -> None:
    """The network held it for longer than the estate says, and longer than the manager may be at it."""
    _, to = await whole(lab, truth)
    tree = lab_estate(lab, "databases")
    async with AsyncExitStack() as stack:
        relays = await relayed(tree, stack, 90.0)
        with engine_home(tree) as engine:
            await engine.start()
            run = await begun(engine, relays, to)
            engine.kill()
            await engine.start()
            assert (await engine.settled(run, 240)).state == "failed"
            assert found(engine, run) == [Finding.NOT_DONE]

            async def amended() -> bool:
                return Finding.DONE in found(engine, run)

            await until(amended, 240, "nobody looked after it")
            assert found(engine, run)[0] is Finding.NOT_DONE
            assert (await truth.writer())[0] == to


@pytest.mark.torture
async def test_a_switchover_delivered_after_an_opposite_one_is_refused_by_the_target(
    lab: LabClient, truth: Truth
) -> None:
    """Somebody moved the leader by hand meanwhile: the late request names another leader, and nothing happens twice."""
    leader, to = await whole(lab, truth)
    other = next(name for name in await truth.postgres() if name not in (leader, to))
    tree, plain = lab_estate(lab, "databases"), lab_estate(lab, "databases")
    tree["policies"]["delivery"] = "60s"
    async with AsyncExitStack() as stack:
        relays = await relayed(tree, stack, 40.0)
        with engine_home(tree) as engine, engine_home(plain) as by_hand:
            await engine.start()
            run = await begun(engine, relays, to)
            engine.kill()
            await by_hand.start()
            second = await by_hand.act("database.switchover", database="orders", to=other)
            assert (await by_hand.settled(second, 120)).state == "done"
            by_hand.end()
            await engine.start()
            await engine.settled(run, 300)
            assert Finding.DONE not in found(engine, run)
            assert sum(relay.delivered for relay in relays) == 1
            assert (await truth.writer())[0] == other
