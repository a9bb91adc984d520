"""A whole comparison: both sides, their tables one after another, the largest last."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from adapters.context import AdapterContext
from adapters.databases.comparing.catalog import DATABASES, LARGE_OBJECTS, tables_of
from adapters.databases.comparing.links import ChangesBetween, changes_between
from adapters.databases.comparing.passes import TablePass
from adapters.databases.comparing.settle import Settler
from adapters.databases.comparing.side import SHORT, ComparedSide, RecoveryConflict, said
from adapters.databases.postgres import PostgresNode
from adapters.databases.statements import HasServers
from adapters.net.ssh import SshConnections
from adapters.registry import adapter_for
from state.comparing.hashing import SELF_TEST, Dialect
from state.comparing.request import CompareProgress, CompareRequest, DatabasePlace, OnProgress
from state.comparing.results import Comparison, RowApart, TableResult
from state.comparing.shapes import Common, TableShape, pairs
from state.comparing.statements import TableSql
from state.config_files.suggestions import not_found
from state.errors import NotFound, ReadFailure, Refused, Trouble
from state.estate.model import Estate

OnFound = Callable[["Compared", Sequence[RowApart]], Awaitable[None]]


@dataclass
class Compared:
    """A table under way, for who writes its repair."""

    sql: TableSql
    a: ComparedSide
    b: ComparedSide


@dataclass
class CompareWatch:
    """Who is told what: how far it is, each batch of differences, and when a table or part of one is complete."""

    progress: OnProgress = lambda _: None
    found: OnFound | None = None
    kept: Callable[[Comparison], None] = lambda _: None
    earlier: Callable[[Comparison], Sequence[TableResult]] = lambda _: ()
    """Tables of a comparison that was ended before, to be taken over."""


async def compare(estate: Estate, base: Path, request: CompareRequest, watch: CompareWatch) -> Comparison:
    """Compare; only reads. Raises NotFound, Refused, ConfigError and ReadFailure."""
    hosts = SshConnections(dict(estate.hosts), base)
    context = AdapterContext(base, estate.polling, {}, hosts)
    a, b = (_side(estate, context, place, request.pace.cores - 1) for place in (request.a, request.b))
    try:
        return await compare_sides(a, b, request, watch)
    except RecoveryConflict as error:
        message = "replay on a standby cancelled the look at its catalog again and again"
        raise ReadFailure(Trouble.ERROR, message) from error
    except asyncpg.PostgresError as error:
        raise ReadFailure(Trouble.ERROR, said(error)) from error
    finally:
        await a.close()
        await b.close()
        await hosts.close()


async def compare_sides(a: ComparedSide, b: ComparedSide, request: CompareRequest, watch: CompareWatch) -> Comparison:
    """Compare two sides, which the caller closes. Raises NotFound, Refused and ReadFailure."""
    facts_a, facts_b = await a.begin(), await b.begin()
    if (facts_a.is_server, facts_a.database) == (facts_b.is_server, facts_b.database):
        fact = f"{a.name} and {b.name} are one database of one server, which is equal to itself"
        raise Refused("two-sides", fact, "name another node, or see whether the estate's addresses are right")
    changes = await changes_between(a, b, request.pace.patience)
    tests = [(await side.fetch(SELF_TEST, timeout=SHORT))[0][0] for side in (a, b)]
    dialect = Dialect(request.portable or tests[0] != tests[1], facts_a.encoding != facts_b.encoding)
    whole = Comparison(facts_a, facts_b, changes.kind, dialect.portable, time.time())
    began = time.monotonic()
    tables_a, tables_b = await tables_of(a), await tables_of(b)
    both, only_a, only_b = pairs(tables_a, tables_b, request.selection)
    if missing := request.selection.unmatched([*tables_a.values(), *tables_b.values()]):
        raise NotFound(f"no table on either side fits {', '.join(missing)}")
    whole.left_out = [name for name, table in {**tables_a, **tables_b}.items() if not request.selection.takes(table)]
    whole.tables += [_missing(table, "A") for table in only_a] + [_missing(table, "B") for table in only_b]
    if not request.selection.patterns:
        whole.tables += await _large_objects(a, b)
    await _tables(both, changes, dialect, request, watch, whole, began)
    if not whole.tables:
        whole.others = [row[0] for row in await a.fetch(DATABASES) if row[0] != facts_a.database]
    whole.took = time.monotonic() - began
    return whole


async def _tables(
    both: Sequence[Common],
    changes: ChangesBetween,
    dialect: Dialect,
    request: CompareRequest,
    watch: CompareWatch,
    whole: Comparison,
    began: float,
) -> None:
    """Each pair of tables in turn."""
    earlier = {each.name: each for each in watch.earlier(whole)}
    total = sum(_weight(each) for each in both) or 1
    done = 0
    for number, common in enumerate(both):
        result = earlier.get(common.a.full_name)
        if result is None:
            result = TableResult(common.a.full_name, common.key, definitions=common.apart, began=time.time())
        whole.tables.append(result)
        name, weight, before = result.name, _weight(common), done

        def told(share: float, *, number: int = number, name: str = name, weight: int = weight, before: int = before):  # type: ignore[no-untyped-def]
            differences = sum(each.differences for each in whole.tables)
            reached = (before + weight * share) / total
            watch.progress(CompareProgress(name, number, len(both), reached, time.monotonic() - began, differences))

        told(0.0)
        if earlier.get(name) is None or result.done_to is not None:
            compared = Compared(TableSql(common, dialect), changes.a, changes.b)

            async def found(rows: Sequence[RowApart], compared: Compared = compared) -> None:
                if watch.found is not None:
                    await watch.found(compared, rows)

            one = TablePass(
                compared.sql, Settler(compared.sql, changes, result), request.pace, request.listed, found, told,
                lambda: watch.kept(whole),
            )  # fmt: skip
            await one.run()
        watch.kept(whole)
        done += weight
        told(1.0)


def _weight(common: Common) -> int:
    return max(common.a.size, common.b.size, 8192)


def _missing(table: TableShape, there: str) -> TableResult:
    """A table that only one side has."""
    return TableResult(table.full_name, definitions=(f"the table is only on {there}",), began=time.time())


async def _large_objects(a: ComparedSide, b: ComparedSide) -> list[TableResult]:
    """Large objects are not compared, and that is said where there are any."""
    counts = [(await side.fetch(LARGE_OBJECTS, timeout=SHORT))[0][0] for side in (a, b)]
    if not any(counts):
        return []
    told = f"large objects are not compared: {counts[0]} on A, {counts[1]} on B"
    way_out = "compare what lo_get gives by hand, or leave them out by naming --tables"
    return [TableResult("pg_largeobject", uncompared=told, way_out=way_out, began=time.time())]


def _side(estate: Estate, context: AdapterContext, place: DatabasePlace, parallel: int) -> ComparedSide:
    return ComparedSide(
        str(place), server_of(estate, context, place.entry, place.node), place.database or None, parallel
    )


def server_of(estate: Estate, context: AdapterContext, entry: str, node: str) -> PostgresNode:
    """The server of a node of the estate. Raises NotFound and ConfigError."""
    if entry not in estate.databases:
        raise not_found("database", entry, estate.databases)
    options = estate.databases[entry]
    database, _ = adapter_for("databases", entry, options).build(entry, options, context)
    servers = {each.node: each for each in database.servers} if isinstance(database, HasServers) else {}
    if node not in servers:
        raise not_found("node", node, servers)
    return servers[node]
