"""From the end of a grant to its session dead and its login refused, beside the bare statements that do the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from state.granting.model import EndProof
from state.grants.ending import GrantEnd
from tests.bench.figures import Figure, Pairs, Target, quantile
from tests.bench.setting import Setting
from tests.contract.access_pair import Granted, Session, access_pair, as_admin, granted, target_of

GOAL = "12"
GONE = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
NAME = "deadline to session dead and login refused / bare statements and a login attempt"


def grant_name(number: int) -> str:
    """The id of a grant of this run."""
    return "G-" + "".join(LETTERS[number // len(LETTERS) ** at % len(LETTERS)] for at in range(6))


async def refused(given: Granted, session: Session) -> float:
    """Wait until the session is dead and a login is refused; the instant of both."""
    while not session.is_closed():
        await asyncio.sleep(0)
    while True:
        try:
            (await given.login()).terminate()
        except GONE:
            return time.perf_counter()


async def ours(given: Granted) -> float:
    """Milliseconds of the server's own end: a session that is open when the time of its grant is over. Both clocks are
    this host's."""
    assert await given.target.watch(given.armed.oid, deadline=4) == {}
    session = await given.login()
    before = time.time()
    assert before < given.armed.ends, "it was over before it was used"
    await asyncio.sleep(max(0.0, given.armed.ends - before - 0.05))
    at = await refused(given, session)
    late = (time.time() - (time.perf_counter() - at) - given.armed.ends) * 1e3
    assert isinstance(await given.end(), EndProof), "the end was proven"
    assert late > 0, "never early"
    return late


async def bare(given: Granted, admin: Session) -> float:
    """Milliseconds of the statements alone, by a superuser over a connection that is open."""
    session = await given.login()
    pid = session.get_server_pid()
    began = time.perf_counter()
    await admin.execute(f'alter role "{given.role}" nologin')
    await admin.execute("select pg_terminate_backend($1)", pid)
    at = await refused(given, session)
    await GrantEnd(given.target, given.armed.oid, given.role).attempt()
    return (at - began) * 1e3


@asynccontextmanager
async def closing(session: Session) -> AsyncIterator[Session]:
    try:
        yield session
    finally:
        with suppress(*GONE):
            await session.close()


async def taken(setting: Setting) -> Pairs:
    """Pairs in turn, one grant each."""
    pairs = Pairs()
    with access_pair(setting.folder("break-glass"), "15") as pair:
        async with target_of(pair) as target, closing(await as_admin(pair)) as admin:
            for number in range(0, 2 * setting.pick(100, 20), 2):
                mine = await ours(await granted(pair, target, grant_name(number), seconds=2))
                pairs.add(mine, await bare(await granted(pair, target, grant_name(number + 1)), admin))
    return pairs


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures."""
    pairs = asyncio.run(taken(setting))
    yield pairs.figure(GOAL, NAME, Target(2.0))
    yield Figure(GOAL, "the same, p99", quantile(pairs.a, 0.99), "ms", Target(30.0), len(pairs.a))
