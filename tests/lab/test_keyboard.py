"""Failover, fence, rejoin, rebuild and reinitialise by keyboard alone, on a terminal of 80x24 on the real lab."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters.lab.client import LabClient
from state.runs.events import EffectIntended
from tests.crash.manager_targets import Manager
from tests.crash.targets import Truth
from tests.support.keyboard import CardSeen, Keyboard, console
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = pytest.mark.lab

HOLDS = 300.0
LONGEST = 200.0


@pytest.fixture
def truth(lab: LabClient) -> Truth:
    return Truth(lab)


@contextmanager
def sitting(engine: RealEngine) -> Iterator[Keyboard]:
    """A console with the Replication screen in front."""
    with console(engine) as terminal:
        person = Keyboard(terminal)
        person.replication()
        yield person


def legible(card: CardSeen, *parts: str) -> None:
    """All of it is whole within 80 columns, and says these things; loss, downtime and undo are seen at once."""
    assert "…" not in card.text, card.text
    for each in ("loss", "downtime", "undo"):
        assert each in card.first, card.first
    for part in parts:
        assert part in card.text, (part, card.text)


def once(engine: RealEngine, runs: list[str]) -> None:
    """Each run sent its effect once, and the chain holds."""
    for run in runs:
        sent = [e.body.effect for e in engine.entries() if e.event.run == run and isinstance(e.body, EffectIntended)]
        assert len(sent) == 1, (run, sent)
    assert engine.chain() == ""


def act(person: Keyboard, node: str, key: str, title: str, name: str, *parts: str, seconds: float = 60.0) -> str:
    """From the row of a node by one key to its card, read whole, and through it to the end of its run."""
    person.replication()
    person.select(node)
    person.terminal.press(key)
    legible(person.card(title), *parts)
    person.confirm(name)
    return person.done(seconds)


def test_a_failed_leader_is_fenced_failed_over_and_rejoined(lab: LabClient, truth: Truth) -> None:
    """The manager is paused first: else it would promote a standby before a person has read a card."""
    manager = Manager(lab, truth)
    asyncio.run(manager.whole())
    old, timeline = asyncio.run(truth.writer())
    new = asyncio.run(manager.standby())
    with engine_home(lab_estate(lab, "databases")) as engine:
        asyncio.run(engine.start())
        with sitting(engine) as person:
            runs = [act(person, old, "p", "Pause the manager of orders", "", "nothing fails over by itself")]
            asyncio.run(lab.inject("freeze-primary", seconds=HOLDS))
            try:
                person.terminal.wait(lambda: f"primary {old} does not answer" in person.terminal.text(), 60)
                stopped = f"orders/{old} does not answer → stopped"
                runs.append(act(person, old, "n", f"Fence orders/{old}", f"orders/{old}", stopped))
                said = (
                    "Patroni is paused: nothing happens by itself",
                    f"what {old} wrote since it was last read",
                    f"candidates 1 {new}",
                    f"orders leader no node → {new}",
                    f"stopped: {old} is stopped by fence-node at its host, read just now",
                )
                runs.append(act(person, new, "f", f"Fail orders over to {new}", "orders", *said, seconds=LONGEST))
                assert asyncio.run(truth.writer()) == (new, timeline + 1)
                runs.append(act(person, new, "p", "Resume the manager of orders", "", "orders manager paused"))
                said = (f"what only {old} has is not known", f"a standby of {new}", f"{old} serves nobody")
                runs.append(act(person, old, "j", f"Rejoin orders/{old}", f"orders/{old}", *said, seconds=LONGEST))
            finally:
                asyncio.run(lab.undo("freeze-primary", within=LONGEST))
        assert asyncio.run(truth.postgres())[old] is None, "it follows"
        once(engine, runs)
        engine.end()


def test_a_switchover(lab: LabClient, truth: Truth) -> None:
    manager = Manager(lab, truth)
    asyncio.run(manager.whole())
    old, timeline = asyncio.run(truth.writer())
    new = asyncio.run(manager.standby())
    with engine_home(lab_estate(lab, "databases")) as engine:
        asyncio.run(engine.start())
        with sitting(engine) as person:
            said = (f"orders leader {old} → {new}", "0 B of 1.0 MB allowed", f"open transactions on {old} end")
            run = act(person, new, "s", f"Switch orders over to {new}", "orders", *said, seconds=LONGEST)
        assert asyncio.run(truth.writer()) == (new, timeline + 1)
        once(engine, [run])
        engine.end()


@pytest.mark.parametrize(
    ("action", "title", "word"),
    [("reinitialise", "Reinitialise", "copy the leader's"), ("rebuild", "Rebuild", "copy the primary's")],
)
def test_a_standby_is_copied_anew(lab: LabClient, truth: Truth, action: str, title: str, word: str) -> None:
    manager = Manager(lab, truth)
    asyncio.run(manager.whole())
    node = asyncio.run(manager.standby())
    began = asyncio.run(truth.started(node))
    with engine_home(lab_estate(lab, "databases")) as engine:
        asyncio.run(engine.start())
        with sitting(engine) as person:
            person.select(node)
            person.palette(action)
            said = (f"remove the data of {node} and {word}", f"{node} serves nobody until", "are cut")
            legible(person.card(f"{title} orders/{node}"), *said)
            person.confirm(f"orders/{node}")
            run = person.done(LONGEST)

        async def anew() -> bool:
            now = await truth.started(node)
            return now is not None and began is not None and now > began

        asyncio.run(until(anew, 60, "it is still the old copy"))
        once(engine, [run])
        engine.end()
