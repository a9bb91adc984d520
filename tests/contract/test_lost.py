"""What real servers that parted have each for itself, against a ledger of what was written to them."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.databases.lost.parting import records
from adapters.databases.lost.work import lost_between
from adapters.databases.postgres import PostgresNode
from console.cli.db_lost import lines_of
from state.errors import ExitCode
from state.verdicts.lost_commits import LostPair, LostSide, lost_code
from tests.contract.components import Pair
from tests.contract.test_forks import ACCESS, read, streams
from tests.contract.test_forks import three as _three

three = _three
"""The fixture: a primary a, and two standbys b and c of it."""


def nodes(**ports: int) -> list[PostgresNode]:
    return [PostgresNode(name, "127.0.0.1", port, ACCESS) for name, port in ports.items()]


@pytest.fixture
def inspected(three: tuple[Pair, int]) -> tuple[Pair, int]:
    pair, _ = three
    pair.psql(pair.primary, "create extension pg_walinspect")
    pair.psql(pair.primary, "grant pg_read_server_files to recovery")
    pair.psql(pair.primary, "create table orders (number int primary key, site text)")
    pair.psql(pair.primary, "create table lines (number int)")
    pair.psql(pair.primary, "create database shop")
    return three


def orders(pair: Pair, port: int, site: str, count: int) -> None:
    """So many commits, one order each."""
    for number in range(count):
        pair.psql(port, f"insert into orders values ({number + 1}, '{site}')")


def of(pairs: list[LostPair], node: str) -> LostSide:
    (found,) = [side for pair in pairs for side in pair.sides if side.node == node]
    return found


async def test_both_sides_of_a_split_equal_the_ledger(inspected: tuple[Pair, int]) -> None:
    pair, _ = inspected
    await streams(pair, pair.standby)
    pair.psql(pair.standby, "select pg_promote(true, 60)")
    orders(pair, pair.primary, "a", 7)
    orders(pair, pair.standby, "b", 4)
    pair.psql(pair.standby, "begin; insert into lines values (1); savepoint s; insert into lines values (2); commit")
    pair.psql(pair.standby, "begin; insert into lines values (3); rollback")
    pair.psql(pair.primary, "delete from orders where number <= 2")
    pairs, silent = await lost_between(nodes(a=pair.primary, b=pair.standby))
    assert silent == {}
    history = (pair.place / "b" / "pg_wal" / "00000002.history").read_text().split()
    assert [each.place for each in pairs] == [history[1]]
    a, b = of(pairs, "a"), of(pairs, "b")
    assert (a.writing, b.writing) == (7 + 1, 4 + 1)
    assert [(t.name, t.inserts, t.updates, t.deletes) for t in a.tables] == [("postgres: public.orders", 7, 0, 2)]
    told = {t.name: t.inserts for t in b.tables}
    assert told == {"postgres: public.orders": 4, "postgres: public.lines": 2}, "what was rolled back is not there"
    assert lost_code(pairs, list(silent)) is ExitCode.FAILED
    text = "\n".join(lines_of(pairs, silent))
    assert f"a and b part at {history[1]}" in text
    assert "5 of them in tables" in text


async def test_replication_trap_22_two_promotions_part_in_their_wal(inspected: tuple[Pair, int]) -> None:
    pair, third = inspected
    await streams(pair, pair.standby, third)
    pair.control("a", "-m", "fast", "stop")  # which waits until both standbys have all of it: one position
    for port, name, count in ((pair.standby, "b", 3), (third, "c", 5)):
        pair.psql(port, "select pg_promote(true, 60)")
        orders(pair, port, name, count)
    pairs, silent = await lost_between(nodes(a=pair.primary, b=pair.standby, c=third))
    assert list(silent) == ["a"]
    assert (of(pairs, "b").writing, of(pairs, "c").writing) == (3, 5)
    assert pairs[0].why == "two timelines of one number, promoted apart"


@pytest.mark.parametrize("rows", [10, 40_000], ids=["in one file", "several files on"])
async def test_a_copy_of_the_directory_that_was_started_beside_it_parts_in_its_wal(
    inspected: tuple[Pair, int], rows: int
) -> None:
    """One timeline, no promotion, no history: only the WAL tells."""
    pair, third = inspected
    await streams(pair, third)
    for name in ("c", "a"):
        pair.control(name, "-m", "fast", "stop")
    pair.start("a", pair.primary)
    (pair.place / "c" / "standby.signal").unlink()
    pair.start("c", third)
    before = [await read(pair.primary, "a"), await read(third, "c")]
    assert [(each.timeline, each.in_recovery) for each in before] == [(1, False)] * 2
    for port, name, count in ((pair.primary, "a", 6), (third, "c", 2)):
        orders(pair, port, name, count)
        pair.psql(port, f"insert into lines select generate_series(1, {rows})")
    pairs, _ = await lost_between(nodes(a=pair.primary, c=third))
    (found,) = pairs
    assert found.fork is not None
    assert found.fork <= min(each.held or 0 for each in before), "they wrote apart from their start on"
    assert found.why == "by their WAL"
    assert (of(pairs, "a").writing, of(pairs, "c").writing) == (7, 3)


async def test_one_timeline_is_said_to_be_one_up_to_where_it_was_compared(inspected: tuple[Pair, int]) -> None:
    pair, third = inspected
    orders(pair, pair.primary, "a", 3)
    await streams(pair, pair.standby, third)
    pairs, silent = await lost_between(nodes(a=pair.primary, b=pair.standby, c=third))
    assert [(each.fork, each.known, each.sides) for each in pairs] == [(None, True, ())] * 3
    assert all(each.agree for each in pairs)
    assert lost_code(pairs, list(silent)) is ExitCode.DONE


async def test_what_may_not_be_read_is_not_told_and_names_the_grant(three: tuple[Pair, int]) -> None:
    pair, _ = three
    revoked = "revoke execute on function pg_read_binary_file(text, bigint, bigint, boolean) from recovery"
    pair.psql(pair.primary, revoked)
    await streams(pair, pair.standby)
    pairs, _ = await lost_between(nodes(a=pair.primary, b=pair.standby))
    assert not pairs[0].known
    assert "GRANT EXECUTE ON FUNCTION pg_read_binary_file" in pairs[0].why
    assert lost_code(pairs, []) is ExitCode.UNKNOWN
    pair.psql(pair.standby, "select pg_promote(true, 60)")
    pair.psql(pair.primary, "create table lost as select 1 as n")
    pairs, _ = await lost_between(nodes(a=pair.primary, b=pair.standby))
    side = of(pairs, "a")
    assert side.commits is None
    assert "CREATE EXTENSION pg_walinspect" in side.why
    assert side.past is not None
    assert side.past > 0


def page(number: int, rest: int, *parts: bytes, info: int = 0) -> bytes:
    head = b"\x10\xd1" + info.to_bytes(2, "little") + bytes(4) + (number * 8192).to_bytes(8, "little")
    return (head + rest.to_bytes(4, "little") + bytes(4) + b"".join(parts)).ljust(8192, b"\0")[:8192]


def record(size: int) -> bytes:
    return size.to_bytes(4, "little") + b"\x01" * (-(-size // 8) * 8 - 4)


def starts(data: bytes, begin: int) -> list[int]:
    return list(records(data, begin))


def test_records_are_found_over_the_end_of_a_page() -> None:
    first = page(2, 0, record(100), record(8192 - 24 - 104 + 40))
    second = page(3, 40, bytes(40), record(50), info=1)
    begin = 2 * 8192
    assert starts(first + second, begin) == [begin + 24, begin + 24 + 104, begin + 8192 + 24 + 40]
    assert starts(second, 3 * 8192) == [3 * 8192 + 24 + 40]
    assert starts(page(3, 9000, bytes(40), info=1), 3 * 8192) == []
    assert starts(first, 8192) == [], "another page than was asked for"
    assert starts(b"", 0) == []


def test_exit_codes_follow_what_is_known() -> None:
    def pair(**values: Any) -> LostPair:
        return LostPair(**{"nodes": ("a", "b"), "fork": None, "agree": 5, "known": True, "why": "", **values})

    assert lost_code([pair()], []) is ExitCode.DONE
    assert lost_code([pair()], ["c"]) is ExitCode.UNKNOWN
    assert lost_code([pair(known=False)], []) is ExitCode.UNKNOWN
    side = LostSide("a", 7)
    assert lost_code([pair(fork=9, sides=(side,)), pair(known=False)], []) is ExitCode.FAILED
