"""A split brain forced on real servers, and led out of it through the engine alone: what it says of the loss is held
against a client's own ledger of what was acknowledged to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.lab.client import LabClient
from adapters.lab.options import LabOptions
from state.api.requests import PlanChange
from state.errors import Refused
from state.runs.events import EffectEnded
from state.verdicts.lag import lsn
from tests.crash.targets import Truth
from tests.lab_fixture import running_lab
from tests.support.client_ledger import ClientLedger
from tests.support.real_engine import RealEngine, engine_home, folder, lab_estate, until

pytestmark = pytest.mark.lab

QUIET = frozenset({"apps", "load", "dns", "prometheus", "alertmanager"})
"""Left out: nobody writes but the ledger's client."""
DATABASE = {"database": "orders"}
HOLDS = 300.0


@pytest.fixture
def lab() -> Iterator[LabClient]:
    """A lab of its own in which nobody else writes."""
    with folder() as place, running_lab(place / "lab", LabOptions(without=QUIET)) as client:
        yield client


@pytest.fixture
def truth(lab: LabClient) -> Truth:
    return Truth(lab)


@pytest.fixture
def ledger(lab: LabClient) -> ClientLedger:
    return ClientLedger(lab)


async def done(engine: RealEngine, kind: str, **args: str) -> dict[str, Any]:
    """Do one change to its end; what was measured."""
    run = await engine.act(kind, **DATABASE, **args)
    row = await engine.settled(run, 240)
    step = await engine.step(run)
    assert row.state == "done", (kind, row.message, step.message)
    ended = [e.body for e in engine.entries() if e.event.run == run and isinstance(e.body, EffectEnded)]
    return dict(ended[-1].figures)


async def refused(engine: RealEngine, kind: str, **args: str) -> set[str]:
    """The rules that refuse a change; submitting it is refused too."""
    card = await engine.plan(PlanChange(kind, {**DATABASE, **args}))
    with pytest.raises(Refused):
        await engine.submit(card)
    return {each.rule for each in card.refusals}


async def alarmed(engine: RealEngine, second: str) -> str:
    """Wait for the alarm. The reading that first shows the second writer is the one that raises it."""
    said = ""

    async def seen() -> bool:
        nonlocal said
        view = await engine.client.view("replication")
        row, cluster = view.nodes[f"orders/{second}"], view.clusters["orders"]
        said = str(cluster.split_brain)
        assert said or "accepts writes" not in row.message, "a second writer was read, and no alarm"
        return bool(said)

    await until(seen, 30, "no alarm")
    return said


def lost(engine: RealEngine, *nodes: str) -> dict[str, Any]:
    """What `recovery db lost --json` says of a pair of nodes."""
    argv = [sys.executable, "-P", "-m", "console.cli", "db", "lost", "orders", "--json", "--estate"]
    told = subprocess.run([*argv, str(engine.place.file)], capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 1, told.stderr
    pairs = json.loads(told.stdout)["pairs"]
    return next(each for each in pairs if set(each["nodes"]) == set(nodes))


async def whole(engine: RealEngine, nodes: int) -> None:
    """Wait until one node leads and all others stream, by the engine's readings."""

    async def streams() -> bool:
        view = await engine.client.view("replication")
        states = [row.state for row in view.nodes.values()]
        return states.count("streaming") == nodes - 1 and view.clusters["orders"].leader in ("n1", "n2", "n3")

    await until(streams, 120, "the cluster is not whole")


async def test_the_ledger_of_a_client_agrees_with_what_a_split_brain_and_a_failover_cost(
    lab: LabClient, truth: Truth, ledger: ClientLedger
) -> None:
    leader = (await truth.writer())[0]
    await ledger.make(leader)
    with engine_home(lab_estate(lab, "databases", "balancers")) as engine:
        await engine.start()
        await whole(engine, 3)
        await ledger.balanced(20, "before")
        rogue = (await lab.inject("split-brain", seconds=HOLDS))["target"]
        await split_brain(engine, ledger, leader, rogue)
        survivor = next(name for name in ("n1", "n2", "n3") if name not in (leader, rogue))
        await whole(engine, 3)
        await until(lambda: ledger.has_all_but(survivor, "rogue"), 30, "the standby lacks rows")
        await failover(lab, engine, ledger, leader, (survivor, rogue))
        await whole(engine, 3)
        new = (await truth.writer())[0]
        kept = await ledger.rows(new)
        for node in ("n1", "n2", "n3"):
            assert await ledger.rows(node) == kept, node
        engine.end()
        assert engine.chain() == ""


async def split_brain(engine: RealEngine, ledger: ClientLedger, leader: str, rogue: str) -> None:
    """Both sides take writes; the alarm and `db lost` say what each has; the rogue one is fenced and rejoined."""
    alarm = await alarmed(engine, rogue)
    fork = await ledger.forked(rogue)
    assert leader in alarm
    assert rogue in alarm
    await ledger.balanced(25, "leader")
    await ledger.direct(rogue, 7, "rogue")
    low = {node: await ledger.position(node) - fork for node in (leader, rogue)}
    pair = lost(engine, leader, rogue)
    high = {node: await ledger.position(node) - fork for node in (leader, rogue)}
    assert (pair["fork"], pair["place"]) == (fork, lsn(fork))
    sides = {side["node"]: side for side in pair["sides"]}
    for node, place in ((leader, "leader"), (rogue, "rogue")):
        mine = len(ledger.acknowledged[place])
        assert low[node] <= sides[node]["past"] <= high[node]
        assert {t["name"]: t["inserts"] for t in sides[node]["tables"]}["postgres: public.ledger"] == mine
        assert sides[node]["writing"] == mine + (node == rogue), "the fault itself writes one row on its side"
    assert f"forked at {lsn(fork)}" in await detail(engine)

    assert {"single-primary", "fenced"} <= await refused(engine, "database.failover")
    await done(engine, "database.fence", node=rogue)
    await done(engine, "database.rejoin", node=rogue)
    assert not ledger.acknowledged["rogue"] & await ledger.rows(rogue), "what only the rogue side had is gone"
    assert ledger.acknowledged["leader"] <= await ledger.rows(leader)


async def detail(engine: RealEngine) -> str:
    """The whole message of the worst cause."""
    header = await engine.client.view("header")
    return " ".join(cause.detail for cause in header.causes)


async def failover(
    lab: LabClient, engine: RealEngine, ledger: ClientLedger, leader: str, standbys: tuple[str, ...]
) -> None:
    """Both standbys are cut off, the leader takes more, and is then fenced: a standby leads without that."""
    for node in standbys:
        await lab.set_link(f"replication-{node}", "blackhole")
    await ledger.balanced(30, "unreplicated")
    assert {"no-leader", "fenced"} <= await refused(engine, "database.failover", to=standbys[0])
    await done(engine, "database.pause")  # so that its manager promotes nobody meanwhile
    wrote = await ledger.position(leader)
    await until(lambda: read_to(engine, leader, wrote), 30, "the engine has not read what the leader wrote")
    await done(engine, "database.fence", node=leader)
    last = ledger.stopped_at(leader)
    for node in standbys:
        await lab.set_link(f"replication-{node}", "pass")
    figures = await done(engine, "database.failover")
    new = str(figures["leader"])
    assert new in standbys
    fork = await ledger.forked(new)
    assert wrote - fork <= figures["lost_bytes"] <= last - fork
    assert len(ledger.acknowledged["unreplicated"]) <= figures["lost_transactions"]
    print(f"lost by the ledger: {len(ledger.acknowledged['unreplicated'])}, by xids: {figures['lost_transactions']}")
    gone = ledger.acknowledged["unreplicated"] - await ledger.rows(new)
    assert gone == ledger.acknowledged["unreplicated"], "nothing of what was cut off is there, and nothing else is lost"
    assert ledger.acknowledged["before"] | ledger.acknowledged["leader"] <= await ledger.rows(new)
    await done(engine, "database.resume")
    await done(engine, "database.rejoin", node=leader)


async def read_to(engine: RealEngine, node: str, position: int) -> bool:
    """Whether the engine has read a position of a node."""
    row = (await engine.client.view("replication")).nodes[f"orders/{node}"]
    high, _, low = str(row.lsn).partition("/")
    return bool(low) and (int(high, 16) << 32) + int(low, 16) >= position
