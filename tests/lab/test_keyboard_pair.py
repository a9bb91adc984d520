"""A primary without a manager lost: fence, failover, rejoin and rebuild by keyboard, on a terminal of 80x24."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Iterator

import asyncpg
import pytest

from tests.lab.test_keyboard import act, legible, once, sitting
from tests.support.keyboard import Keyboard
from tests.support.plain_pair import Servers, plain_pair
from tests.support.real_engine import Tree, engine_home, until

pytestmark = pytest.mark.lab

LONGEST = 120.0


def estate(servers: Servers) -> Tree:
    """The pair as the only thing that there is."""
    return {
        "estate": "pair",
        "environment": "lab",
        "sites": {"east": {}},
        "people": {"you": {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander", "responder"]}},
        "databases": {"ledger": servers.database("a", "b")},
        "commands": servers.commands(),
        "runbooks": [],
        "policies": {"confirm": {"arm": "20ms", "plan_expires": "2m"}, "second_person": []},
    }


@pytest.fixture
def servers() -> Iterator[Servers]:
    with plain_pair() as made:
        yield made


def standby(servers: Servers, node: str) -> bool | None:
    """Whether a server is a standby, past the engine; None while it does not answer."""

    async def ask() -> bool | None:
        try:
            connection = await asyncpg.connect(
                host=str(servers.pair.place), port=servers.ports[node], user="postgres", database="postgres", timeout=5
            )
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return None
        try:
            return bool(await connection.fetchval("select pg_is_in_recovery()"))
        finally:
            connection.terminate()

    return asyncio.run(ask())


def copied_anew(person: Keyboard, node: str) -> str:
    """Rebuild has no key: it is in the palette."""
    person.replication()
    person.select(node)
    person.palette("rebuild")
    said = (f"remove the data of {node} and copy the primary's", "a standby of b", f"{node} serves nobody until")
    legible(person.card(f"Rebuild ledger/{node}"), *said)
    person.confirm(f"ledger/{node}")
    return person.done(LONGEST)


def test_a_primary_that_died_is_fenced_failed_over_rejoined_and_rebuilt(servers: Servers) -> None:
    with engine_home(estate(servers)) as engine:
        asyncio.run(engine.start())
        with sitting(engine) as person:
            servers.pair.control("a", "-m", "immediate", "stop")
            person.terminal.wait("primary a does not answer", 60)
            said = ("the old leader", "ledger leader no node → b", "a is stopped by stop-a at its host", "1 b ")
            runs = [act(person, "b", "f", "Fail ledger over to b", "ledger", *said, seconds=LONGEST)]
            assert standby(servers, "b") is False
            servers.again("a")  # its host brings the old primary back: two nodes accept writes
            person.replication()
            person.terminal.wait("SPLIT BRAIN", 60)
            said = ("ledger/a accepts writes → stopped", "b accepts writes too, and then alone", "keep its data")
            runs.append(act(person, "a", "n", "Fence ledger/a", "ledger/a", *said))
            assert standby(servers, "a") is None
            servers.sql("b", "checkpoint")
            said = ("from the point where its history left", "a standby of b", "b accepts writes")
            runs.append(act(person, "a", "j", "Rejoin ledger/a", "ledger/a", *said, seconds=LONGEST))
            assert standby(servers, "a") is True
            runs.append(copied_anew(person, "a"))

        async def follows() -> bool:
            return await asyncio.to_thread(standby, servers, "a") is True

        asyncio.run(until(follows, 60, "the new copy does not answer"))
        once(engine, runs)
        engine.end()
