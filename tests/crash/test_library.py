"""The shipped runbooks on the lab, with the engine killed in the middle: the next engine finishes what was begun."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from adapters.lab.client import LabClient
from adapters.lab.topology import CATALOG_SERVERS, SITES
from state.api.requests import Decide, PlanRunbook, PlanUndo, Resume
from state.api.run_states import RunState
from state.api.views.runbooks import RunRow
from state.runs.events import EffectEnded, EffectIntended, StepEnded
from tests.crash.targets import Truth
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = pytest.mark.lab

LIMIT = 240.0
"""Seconds in which a run comes to where it waits for people or ends; a loaded machine takes long."""
CATALOG = {"service": "catalog", "balancer": "edge-west", "server": "a"}


async def whole(truth: Truth, lab: LabClient) -> None:
    """Every server is in rotation, blue carries checkout, and every standby streams."""
    for site in ("east", "west"):
        for server in ("a", "b"):
            await truth.haproxy(site, f"set server catalog/{server} state ready")
        for server, weight in (("blue", 100), ("green", 0)):
            await truth.haproxy(site, f"set server checkout/{server} weight {weight}")

    async def streaming() -> bool:
        nodes = (await lab.status())["nodes"].values()
        following = [n for n in nodes if n["replica"] is True and n["age"] is not None and n["age"] < 3]
        return len(following) == len(nodes) - 1

    await until(streaming, 120, "the cluster is not whole")


@asynccontextmanager
async def engine_on(lab: LabClient, truth: Truth) -> AsyncIterator[RealEngine]:
    """An engine on the whole lab, not yet started; its journal is in order afterwards, and so is the lab."""
    await whole(truth, lab)
    try:
        with engine_home(lab_estate(lab)) as engine:
            yield engine
            engine.end()
            assert engine.chain() == ""
    finally:
        await whole(truth, lab)


async def begin(engine: RealEngine, name: str, params: Mapping[str, str]) -> str:
    """Start a runbook once it can be: the engine has to have read everything."""
    return await engine.submit(await engine.plan(PlanRunbook(name, params)))


async def finish(engine: RealEngine, run: str) -> RunRow:
    """Answer and resume as a commander would who wants it done; the row of the run that has ended."""
    while True:
        row = await engine.settled(run, LIMIT)
        if row.state is RunState.WAITING:
            await engine.client.control(run, Decide(row.options[0]))
        elif row.state is RunState.PAUSED:
            assert "resume" in row.next_actions, f"{row.message}: {row.next_actions}"
            await engine.client.control(run, Resume())
        else:
            return row
        await asyncio.sleep(0.3)


async def killed(engine: RealEngine, point: str, name: str, params: Mapping[str, str]) -> RunRow:
    """Begin it, let the engine die at a point of its first effect, start another, and finish."""
    await engine.start(point)
    run = await begin(engine, name, params)
    assert await engine.died(LIMIT) == -signal.SIGKILL
    assert "run.ended" not in engine.kinds(run)
    await engine.start()
    row = await finish(engine, run)
    assert row.state is RunState.DONE, row
    assert row.verified, row.unmet
    return row


def effects(engine: RealEngine, run: str) -> list[str]:
    """The kinds of its changes in the order they were sent, each with one outcome that is done."""
    mine = [entry.body for entry in engine.entries() if entry.event.run == run]
    intents = [body for body in mine if isinstance(body, EffectIntended)]
    outcomes = [body for body in mine if isinstance(body, EffectEnded)]
    assert [each.effect for each in intents] == [each.effect for each in outcomes]
    assert len({each.effect for each in intents}) == len(intents)
    assert {each.state for each in outcomes} <= {"done"}
    return [each.change.kind for each in intents]


@pytest.mark.torture
async def test_a_rolling_restart_goes_on_after_its_engine_was_killed(lab: LabClient, truth: Truth) -> None:
    async with engine_on(lab, truth) as engine:
        leader, timeline = await truth.writer()
        nodes = [*await truth.postgres()]
        before = {node: await truth.started(node) for node in nodes}
        row = await killed(engine, "after_effect", "rolling-restart", {"database": "orders"})
        assert effects(engine, row.id) == [*["database.restart"] * 2, "database.switchover", "database.restart"]
        now_leads, now_timeline = await truth.writer()
        assert now_leads != leader
        assert now_timeline == timeline + 1, "the role moved once"
        for node in nodes:
            was, is_now = before[node], await truth.started(node)
            assert was is not None
            assert is_now is not None
            assert is_now > was, f"{node} was not restarted"


async def test_maintenance_and_the_capture_of_evidence_are_finished_by_the_next_engine(
    lab: LabClient, truth: Truth
) -> None:
    async with engine_on(lab, truth) as engine:
        row = await killed(engine, "after_effect", "maintenance-on", CATALOG)
        assert effects(engine, row.id) == ["server.drain", "server.maint"]
        assert await truth.maintained("west", "catalog") == {"a"}
        run = await begin(engine, "capture-evidence", {"service": "checkout"})
        engine.kill()
        assert "run.ended" not in engine.kinds(run)
        await engine.start()
        row = await finish(engine, run)
        assert row.state is RunState.DONE, row
        alerting = any(each["kind"] == "alertmanager" for each in lab_estate(lab)["monitors"].values())
        assert row.unmet == (() if alerting else ("The alerts that fire or are suppressed",))
        assert effects(engine, run) == []
        ends = [entry.body for entry in engine.entries() if entry.event.run == run]
        told = "\n".join(line for body in ends if isinstance(body, StepEnded) for line in body.evidence)
        for part in ("n1: ", "n2: ", "n3: ", "Patroni n1: ", "blue ", "green ", "5xx"):
            assert part in told, part
        assert await truth.maintained("west", "catalog") == {"a"}, "evidence changes nothing"


BOOKS: Mapping[str, tuple[Mapping[str, str], list[str]]] = {
    "roll-back-release": ({"service": "checkout", "to": "green"}, ["backend.flip"] * 2),
    "drain-server": (CATALOG, ["server.drain", "server.ready"]),
    "maintenance-on": (CATALOG, ["server.drain", "server.maint"]),
    "switch-database": ({"database": "orders"}, ["database.switchover"]),
    "rolling-restart": ({"database": "orders"}, [*["database.restart"] * 2, "database.switchover", "database.restart"]),
}
"""What is given to each, and the changes it then makes."""
LEFT = [*["backend.leave-site"] * 4, "dns.leave-site", "database.leave-site"]
"""What an evacuation of the site where the database is led makes."""


@pytest.mark.torture
@pytest.mark.parametrize("point", ["before_intent", "after_effect", "after_outcome"])
@pytest.mark.parametrize("name", [*BOOKS, "restart-instance", "maintenance-off", "evacuate-site"])
async def test_every_shipped_runbook_is_finished_by_the_next_engine(
    lab: LabClient, truth: Truth, name: str, point: str
) -> None:
    async with engine_on(lab, truth) as engine:
        if name == "restart-instance":
            leader, _ = await truth.writer()
            node = next(each for each in await truth.postgres() if each != leader)
            params: Mapping[str, str] = {"database": "orders", "node": node}
            made = ["database.restart"]
        elif name == "maintenance-off":
            await truth.haproxy("west", "set server catalog/a state maint")
            params, made = CATALOG, ["server.ready"]
        elif name == "evacuate-site":
            left = lab.description()["nodes"][(await truth.writer())[0]]["site"]
            params, made = {"service": "catalog", "site": left}, LEFT
        else:
            params, made = BOOKS[name]
        row = await killed(engine, point, name, params)
        assert effects(engine, row.id) == made
        if name == "evacuate-site":
            gone = next(server for server, site in CATALOG_SERVERS.items() if site == params["site"])
            assert {(await truth.servers(site, "catalog"))[gone][0] for site in SITES} == {0}
            back = await finish(engine, await engine.submit(await engine.plan(PlanUndo(row.id))))
            assert back.state is RunState.DONE, back
            assert {(await truth.servers(site, "catalog"))[gone][0] for site in SITES} == {100}
