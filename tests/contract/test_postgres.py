"""The PostgreSQL reader against a real primary and standby."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_descent import parse_history, parse_lsn
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from state.world.readings import PostgresReading
from state.world.timelines import TimelineSwitch, began_at
from tests.contract.components import PASSWORD, Pair, kill_pair, make_pair

ACCESS = Access("recovery", "postgres", Secret(PASSWORD))


@asynccontextmanager
async def node(port: int, access: Access = ACCESS, name: str = "n") -> AsyncIterator[PostgresNode]:
    reader = PostgresNode(name, "127.0.0.1", port, access)
    try:
        yield reader
    finally:
        await reader.close()


async def until(reader: PostgresNode, holds: object) -> PostgresReading:
    assert callable(holds)
    for _ in range(200):
        reading = await reader.read(deadline=2)
        if holds(reading):
            return reading
        await asyncio.sleep(0.05)
    raise AssertionError(f"never held: {reading}")


async def test_primary_tells_its_wal_senders_and_slots(pair: Pair) -> None:
    async with node(pair.primary) as primary:
        reading = await until(primary, lambda r: r.senders and r.senders[0].state == "streaming")
    assert not reading.in_recovery
    assert reading.timeline == 1
    assert reading.write_lsn is not None
    assert reading.receive_lsn is None
    assert reading.replay_lsn is None
    assert reading.replayed_at is None
    assert reading.server_address == f"127.0.0.1:{pair.primary}"
    sender = reading.senders[0]
    assert sender.application_name == "b"
    assert sender.sync_state == "async"
    assert sender.sent_lsn is not None
    assert sender.sent_lsn <= reading.write_lsn
    (slot,) = reading.slots
    assert (slot.name, slot.slot_type, slot.active) == ("b", "physical", True)


async def test_standby_tells_what_it_received_and_replayed(pair: Pair) -> None:
    async with node(pair.standby) as standby, node(pair.primary) as primary:
        mine = await until(standby, lambda r: r.receiver_state == "streaming")
        theirs = await primary.read(deadline=2)
    assert mine.in_recovery
    assert mine.write_lsn is None
    assert mine.timeline == 1
    assert mine.replay_pause == "not paused"
    assert mine.receive_lsn is not None
    assert mine.replay_lsn is not None
    assert mine.replay_lsn <= mine.receive_lsn <= theirs.write_lsn
    assert mine.system_id == theirs.system_id
    assert mine.started_at != theirs.started_at


async def test_paused_replay_shows_although_streaming_goes_on(pair: Pair) -> None:
    async with node(pair.standby) as standby:
        pair.psql(pair.standby, "select pg_wal_replay_pause()")
        pair.psql(pair.primary, "create table grown as select generate_series(1, 20000)")
        reading = await until(
            standby, lambda r: r.replay_pause == "paused" and (r.receive_lsn or 0) > (r.replay_lsn or 0)
        )
        assert reading.receiver_state == "streaming"
        pair.psql(pair.standby, "select pg_wal_replay_resume()")
        await until(standby, lambda r: r.receive_lsn == r.replay_lsn)


async def test_one_connection_is_kept_and_replaced_when_it_dies(pair: Pair) -> None:
    async with node(pair.primary) as primary:
        await primary.read(deadline=2)
        first = primary._connection
        await primary.read(deadline=2)
        assert primary._connection is first
        pair.psql(pair.primary, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'recovery'")
        assert (await primary.read(deadline=5)).timeline == 1
        assert primary._connection is not first


async def test_s40_idle_sessions_that_the_server_ends_cost_no_reading(pair: Pair) -> None:
    pair.psql(pair.primary, "alter role recovery set idle_session_timeout = '100ms'")
    try:
        async with node(pair.primary) as primary:
            seen = []
            for _ in range(3):
                assert (await primary.read(deadline=5)).timeline == 1
                seen.append(primary._connection)
                await asyncio.sleep(0.5)
            assert len(set(seen)) == len(seen), "no session was ended"
    finally:
        pair.psql(pair.primary, "alter role recovery reset idle_session_timeout")


async def test_s40_a_server_that_ends_the_kept_session_and_takes_no_new_one_is_an_error(pair: Pair) -> None:
    async with node(pair.primary) as primary:
        await primary.read(deadline=2)
        pair.psql(pair.primary, "alter role recovery connection limit 0")
        try:
            ended = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'recovery'"
            pair.psql(pair.primary, ended)
            with pytest.raises(ReadFailure) as failure:
                await primary.read(deadline=5)
        finally:
            pair.psql(pair.primary, "alter role recovery connection limit -1")
    assert failure.value.trouble is Trouble.ERROR


async def test_wrong_password_is_denied_and_not_shown(pair: Pair) -> None:
    access = Access("recovery", "postgres", Secret("wrong-horse"))
    async with node(pair.primary, access) as primary:
        with pytest.raises(ReadFailure) as failure:
            await primary.read(deadline=2)
    assert failure.value.trouble is Trouble.DENIED
    assert "wrong-horse" not in str(failure.value)


async def test_environment_has_no_say(pair: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    passfile = tmp_path / "pass"
    passfile.write_text(f"*:*:*:*:{PASSWORD}\n")
    passfile.chmod(0o600)
    for name, value in {
        "PGHOST": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "mallory",
        "PGPASSWORD": PASSWORD,
        "PGPASSFILE": str(passfile),
        "PGSERVICE": "elsewhere",
        "PGDATABASE": "elsewhere",
        "PGSSLMODE": "require",
        "PGSSLNEGOTIATION": "direct",
        "PGTARGETSESSIONATTRS": "standby",
        "PGOPTIONS": "-c default_transaction_read_only=off",
    }.items():
        monkeypatch.setenv(name, value)
    async with node(pair.primary) as primary:
        assert not (await primary.read(deadline=2)).in_recovery
    async with node(pair.primary, Access("recovery", "postgres")) as without:
        with pytest.raises(ReadFailure) as failure:
            await without.read(deadline=2)
        assert failure.value.trouble is not Trouble.TIMEOUT


async def test_frozen_server_is_a_timeout_and_recovers(pair: Pair) -> None:
    async with node(pair.standby) as standby:
        await standby.read(deadline=2)
        backend = standby._connection
        assert backend is not None
        pid = backend.get_server_pid()
        children = _inside(pair, "b", pid)
        os.kill(children, signal.SIGSTOP)
        try:
            with pytest.raises(ReadFailure) as failure:
                await standby.read(deadline=0.3)
        finally:
            os.kill(children, signal.SIGCONT)
        assert failure.value.trouble is Trouble.TIMEOUT
        assert (await standby.read(deadline=2)).in_recovery


def _inside(pair: Pair, name: str, pid: int) -> int:
    """The process id as seen from here: a user namespace alone does not renumber processes."""
    assert Path(f"/proc/{pid}").exists(), (pair, name)
    return pid


async def test_refused_connection_is_unreachable() -> None:
    async with node(1) as nobody:
        with pytest.raises(ReadFailure) as failure:
            await nobody.read(deadline=1)
    assert failure.value.trouble is Trouble.UNREACHABLE


@pytest.fixture
def doomed(folder: Path) -> Iterator[Pair]:
    pair = make_pair(Path(tempfile.mkdtemp(dir=folder)))
    yield pair
    kill_pair(pair)


async def test_trap_05_timeline_right_after_promotion_is_the_new_one_and_fork_is_known(doomed: Pair) -> None:
    grant = "grant execute on function pg_read_file(text, bigint, bigint, boolean) to recovery"
    doomed.psql(doomed.primary, grant)
    async with node(doomed.primary) as old, node(doomed.standby) as new:
        await until(new, lambda r: r.receiver_state == "streaming" and r.receive_lsn == r.replay_lsn)
        before = await old.read(deadline=2)
        doomed.psql(doomed.standby, "select pg_promote(true, 10)")
        promoted = await new.read(deadline=2)
        doomed.psql(doomed.primary, "create table lost as select generate_series(1, 5000)")
        left = await old.read(deadline=2)
    assert promoted.timeline == 2
    assert not promoted.in_recovery
    begun = began_at(promoted.history)
    assert begun is not None
    assert before.write_lsn is not None
    assert left.write_lsn is not None
    assert before.write_lsn <= begun < left.write_lsn
    assert left.timeline == 1
    assert began_at(left.history) is None
    assert left.system_id == promoted.system_id


async def test_without_the_right_the_fork_is_not_known(doomed: Pair) -> None:
    doomed.psql(doomed.standby, "select pg_promote(true, 10)")
    async with node(doomed.standby) as new:
        reading = await new.read(deadline=2)
    assert reading.timeline == 2
    assert began_at(reading.history) is None


def test_lsn_and_history_are_read_as_postgres_writes_them() -> None:
    assert parse_lsn("16/B374D848") == (0x16 << 32) + 0xB374D848
    text = "1\t0/5000060\tno recovery target specified\n\n2\t0/7000000\tbefore x\n"
    assert parse_history(text) == (TimelineSwitch(1, 0x5000060), TimelineSwitch(2, 0x7000000))
    assert [parse_history(each) for each in ("", "x", "2\t0/5\n1\t0/7\n", "1\t0/9\n2\t0/7\n", "1\t5")] == [None] * 5


async def test_clients_are_counted_against_what_an_ordinary_role_can_have(pair: Pair) -> None:
    async with node(pair.primary) as one, node(pair.primary) as other:
        before = await one.read(deadline=2)
        assert before.sessions is not None
        assert before.sessions_limit is not None
        await other.read(deadline=2)
        after = await one.read(deadline=2)
    assert 0 < before.sessions < before.sessions_limit
    assert after.sessions == before.sessions + 1
    assert after.sessions_limit == before.sessions_limit
