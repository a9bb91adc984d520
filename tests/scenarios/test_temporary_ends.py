"""Something temporary on real HAProxy processes ends by itself: with its console and its engine killed, and, where no
engine was there at its time, as soon as there is one, which says by how much it is late."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from state.api.requests import PlanShare
from state.journal.events import Recorded
from state.runs.events import StepEnded, StepStarted
from state.runs.executor import OVERRUN
from tests.contract.components import haproxies
from tests.contract.plan_lane import wellness
from tests.contract.test_change_sets import BEFORE, EDGES, Fleet, estate
from tests.support.keyboard import console
from tests.support.real_engine import RealEngine, Tree, engine_home, until

LASTS = 14.0
SHARE = PlanShare(service="shop", to="green", percent=25, lasts=LASTS, comment="look at v42")


@contextmanager
def fleet() -> Iterator[Fleet]:
    """Three real processes with servers that are well."""
    program = next(iter(haproxies().values()))
    with wellness(program) as port:
        made = Fleet(program, port)
        try:
            yield made
        finally:
            made.close()


def tree_of(made: Fleet) -> Tree:
    """The estate of the change sets, with the processes' sockets."""
    tree: Tree = estate().model_dump(mode="json", include={"estate", "environment", "sites", "people", "policies"})
    account = pwd.getpwuid(os.geteuid()).pw_name
    tree["people"] = {"ada": {"accounts": [account], "roles": ["commander", "responder"]}}
    tree["policies"] = {"confirm": {"arm": "20ms", "plan_expires": "2m"}, "second_person": [], "delivery": "1s"}
    tree["runbooks"] = []
    tree["balancers"] = {name: {"kind": "haproxy", "site": "east", "socket": str(made.socket(name))} for name in EDGES}
    traffic = estate().services["shop"].traffic
    assert traffic is not None
    colours = {name: {"release": each.release, "servers": list(each.servers)} for name, each in traffic.colours.items()}
    way = {"balancers": list(EDGES), "backend": "web", "floor": 2, "colours": colours}
    tree["services"] = {"shop": {"tier": 1, "rto": "5m", "rpo": "0B", "traffic": way}}
    return tree


@asynccontextmanager
async def shifted() -> AsyncIterator[tuple[Fleet, RealEngine]]:
    """A temporary share in force on all of them."""
    with fleet() as made, engine_home(tree_of(made)) as engine:
        await engine.start()
        for name in EDGES:
            await until(lambda name=name: checked(made, name), 20)  # type: ignore[misc]
        run = await engine.submit(await engine.plan(SHARE))
        assert run == "R-1"
        await until(lambda: begun(engine), 30, "the share is not in force")
        assert all([(await made.weights(name))["green-1"] > 0 for name in EDGES])
        yield made, engine


async def checked(made: Fleet, name: str) -> bool:
    return all(s.checked for s in await made.balancers[name].read_backend("web", deadline=2))


def of_the_end(engine: RealEngine) -> list[Recorded]:
    """Beginning and end of the step that waits."""
    found = [e for e in engine.entries() if e.event.run == "R-1" and str(e.event.step).partition("#")[0] == "over"]
    return [e for e in found if isinstance(e.body, StepStarted | StepEnded)]


async def begun(engine: RealEngine) -> bool:
    return len(of_the_end(engine)) > 0


async def given_back(made: Fleet, engine: RealEngine) -> str:
    """What the waiting step said, once everything is as it was."""
    row = await engine.settled("R-1", 60)
    assert row.state == "done", row.message
    assert [await made.weights(name) for name in EDGES] == [BEFORE] * 3
    _, ended = of_the_end(engine)
    assert isinstance(ended.body, StepEnded)
    return ended.body.message


async def test_it_ends_on_time_though_console_and_engine_are_killed() -> None:
    async with shifted() as (made, engine):
        with console(engine) as terminal:
            await asyncio.to_thread(terminal.wait, "green", 20)
            terminal.process.kill()
            await asyncio.to_thread(terminal.process.wait)
        engine.kill()
        await engine.start()
        assert "it was over" not in await given_back(made, engine)
        first, last = of_the_end(engine)
        assert LASTS <= last.at - first.at < LASTS + OVERRUN, "by the journal's own stamps"
        assert engine.kinds("R-1").count("effect.intended") == 6, "three there, three back, each once"
        engine.end()
        assert engine.chain() == ""


async def test_with_no_engine_at_its_time_it_ends_with_the_next_one_which_says_how_late() -> None:
    async with shifted() as (made, engine):
        engine.kill()
        await asyncio.sleep(LASTS + OVERRUN + 2)
        assert all([(await made.weights(name))["green-1"] > 0 for name in EDGES]), "no engine: nobody ends it"
        await engine.start()
        told = await given_back(made, engine)
        assert re.search(r"it was over \d\d:\d\d before this engine saw it", told), told
        steps = (await engine.client.view("runbooks")).steps.values()
        assert [step.message for step in steps if step.step == "over"] == [told], "it is shown where the run is"
