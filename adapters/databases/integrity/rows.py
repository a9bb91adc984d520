"""What only the rows and indexes themselves can tell: orphans, NULLs, sequences, the order of indexes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg

from adapters.databases.comparing.side import ComparedSide, RecoveryConflict, said
from adapters.databases.integrity.queries import check_btree, has_null, orphan, position
from state.health import Health
from state.integrity.model import DatabaseFacts, IntegrityAsked, IntegrityFinding, SequenceFacts
from state.units import counted

ASKED = IntegrityAsked
CORRUPTED = ("XX001", "XX002")
NEARLY = 0.9
TIME_LIMIT = "give it more time with --within, or run it by hand in a calm hour"


async def rows_of(side: ComparedSide, where: str, facts: DatabaseFacts) -> AsyncIterator[IntegrityFinding]:
    """Orphans of every foreign key, NULLs behind constraints that prove nothing, and sequences behind their column."""
    failed = 0
    for key in facts.keys:
        at = f"{where}/{key.table}"
        query = orphan(key.table, key.parent, key.joined, full=key.full, period=key.period)
        answer = await _asked(side, query)
        if answer is True:
            failed += 1
            fact = f"foreign key {key.name}: a row has no parent in {key.parent}"
            yield IntegrityFinding(ASKED.KEYS, at, Health.FAIL, fact, "find the rows by an anti-join, and decide")
        elif answer is not False:
            failed += 1
            yield _unknown(ASKED.KEYS, at, f"foreign key {key.name}: {answer}")
    if not failed:
        yield IntegrityFinding(ASKED.KEYS, where, Health.PASS, f"{counted(len(facts.keys), 'foreign key')}, no orphan")
    for each in facts.constraints:
        if not each.column:
            continue
        answer = await _asked(side, has_null(each.table, each.column))
        if answer is True:
            fact = f"{each.column} is declared NOT NULL and holds a NULL"
            yield IntegrityFinding(ASKED.NOT_NULL, f"{where}/{each.table}", Health.FAIL, fact, "fill it, then VALIDATE")
        elif answer is not False:
            yield _unknown(ASKED.NOT_NULL, f"{where}/{each.table}", str(answer))


async def sequences_of(
    side: ComparedSide, where: str, facts: DatabaseFacts, positions: dict[str, int]
) -> AsyncIterator[IntegrityFinding]:
    """Whether each sequence is ahead of its column; `positions` gets where they are."""
    failed = 0
    for each in facts.sequences:
        at = f"{where}/{each.name}"
        try:
            query = position(each.name, each.table, each.column, down=each.increment < 0)
            row = (await side.fetch(query))[0]
        except (asyncpg.PostgresError, RecoveryConflict) as error:
            failed += 1
            yield _unknown(ASKED.SEQUENCES, at, _why(error))
            continue
        positions[each.name] = row["last"]
        finding = _sequence(each, at, row["last"], row["largest"], called=row["called"])
        if finding is not None:
            failed += 1
            yield finding
    if not failed:
        told = f"{counted(len(facts.sequences), 'sequence')} ahead of their columns"
        yield IntegrityFinding(ASKED.SEQUENCES, where, Health.PASS, told)


def _sequence(each: SequenceFacts, at: str, last: int, largest: int | None, *, called: bool) -> IntegrityFinding | None:
    following, way = last + each.increment if called else last, 1 if each.increment > 0 else -1
    if largest is not None and following * way <= largest * way:
        fact = f"gives {following} next, {each.table}.{each.column} has {largest} already"
        way_out = f"select setval('{each.name}', {largest})"
        return IntegrityFinding(ASKED.SEQUENCES, at, Health.FAIL, fact, way_out)
    if following * way > each.most * way and not each.cycles:
        fact = f"is used up: {each.most} is the last number that it gives or {each.table}.{each.column} holds"
        return IntegrityFinding(ASKED.SEQUENCES, at, Health.FAIL, fact, "give column and sequence a larger type now")
    if last * way > NEARLY * each.most * way and not each.cycles:
        fact = f"is at {last} of {each.most}"
        return IntegrityFinding(ASKED.SEQUENCES, at, Health.WARN, fact, "give the column a larger type in time")
    return None


async def indexes_of(
    side: ComparedSide, where: str, facts: DatabaseFacts, sound: set[str]
) -> AsyncIterator[IntegrityFinding]:
    """amcheck's plain check of each B-tree. What is skipped is not checked; `sound` gets those that are in order."""
    if not facts.amcheck_in:
        way_out = "CREATE EXTENSION amcheck; and EXECUTE on bt_index_check for the account; or --skip amcheck"
        yield IntegrityFinding(ASKED.AMCHECK, where, Health.UNKNOWN, "amcheck is not there: no index was read", way_out)
        return
    failed, refused = 0, ""
    for index in facts.btrees:
        try:
            await side.fetch(check_btree(facts.amcheck_in, index))
            sound.add(f"{where}/{index}")
        except asyncpg.InsufficientPrivilegeError as error:
            refused = said(error)
            break
        except (asyncpg.PostgresError, RecoveryConflict) as error:
            failed += 1
            if getattr(error, "sqlstate", "") in CORRUPTED:
                way_out = "REINDEX INDEX CONCURRENTLY it; see whether memory, disk or collation is the reason"
                yield IntegrityFinding(ASKED.AMCHECK, f"{where}/{index}", Health.FAIL, said(error), way_out)
            else:
                yield _unknown(ASKED.AMCHECK, f"{where}/{index}", _why(error))
    if refused:
        grant = (
            f"GRANT EXECUTE ON FUNCTION {facts.amcheck_in}.bt_index_check(regclass) TO {side.role}; or --skip amcheck"
        )
        yield IntegrityFinding(ASKED.AMCHECK, where, Health.UNKNOWN, f"no index was read: {refused}", grant)
    elif not failed:
        others = ", ".join(f"{many} {kind}" for kind, many in sorted(facts.unread.items()))
        fact = f"{counted(len(facts.btrees), 'B-tree')} in order{f'; not read: {others}' if others else ''}"
        yield IntegrityFinding(ASKED.AMCHECK, where, Health.PASS, fact)


async def _asked(side: ComparedSide, query: str) -> bool | str:
    """Yes or no, or why there is no answer."""
    try:
        return bool((await side.fetch(query))[0][0])
    except (asyncpg.PostgresError, RecoveryConflict) as error:
        return _why(error)


def _why(error: Exception) -> str:
    if isinstance(error, RecoveryConflict):
        return "replay on the standby cancelled it again and again"
    if isinstance(error, asyncpg.QueryCanceledError):
        return "it took too long"
    return said(error)


def _unknown(asked: IntegrityAsked, where: str, why: str) -> IntegrityFinding:
    return IntegrityFinding(asked, where, Health.UNKNOWN, f"not checked: {why}", TIME_LIMIT)
