"""Facts of the servers of a cluster, each read over a session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg

from adapters.databases.comparing.side import SHORT, ComparedSide, said
from adapters.databases.integrity.queries import DATABASE, SERVER
from adapters.net.answers_read import read_json
from state.errors import ReadFailure
from state.integrity.model import (
    ConstraintFacts,
    DatabaseFacts,
    IntegrityFacts,
    KeyFacts,
    SequenceFacts,
    ServerFacts,
    SlotFacts,
)

Opened = Callable[[str, str], ComparedSide]
"""A side by node and database; the caller of all closes it."""


async def cluster_facts(nodes: list[str], opened: Opened) -> IntegrityFacts:
    """What all nodes tell. A node that does not answer is silent, not absent."""
    answers = await asyncio.gather(*(_server(node, opened) for node in nodes))
    told = dict(zip(nodes, answers, strict=True))
    return IntegrityFacts(
        {node: answer for node, answer in told.items() if isinstance(answer, ServerFacts)},
        {node: answer for node, answer in told.items() if isinstance(answer, str)},
    )


async def _server(node: str, opened: Opened) -> ServerFacts | str:
    try:
        side = opened(node, "")
        facts = await side.begin()
        row = (await side.fetch(SERVER, timeout=SHORT))[0]
        databases = {
            name: await _database(opened(node, "" if name == facts.database else name))
            for name in read_json(row["databases"])
        }
    except ReadFailure as failure:
        return failure.message
    except asyncpg.PostgresError as error:
        return said(error)
    written = row["wal_timeline"]
    return ServerFacts(
        row["in_recovery"],
        int(written, 16) if written else max(row["received"], row["checkpoint"]),
        row["system_id"],
        row["version"].partition(" ")[0],
        read_json(row["settings"]),
        tuple(SlotFacts(*each) for each in read_json(row["slots"])),
        read_json(row["prepared"]),
        read_json(row["available"]),
        databases,
        row["streams"],
        row["sends"],
    )


async def _database(side: ComparedSide) -> DatabaseFacts:
    row = (await side.fetch(DATABASE, timeout=SHORT))[0]
    return DatabaseFacts(
        {name: (recorded, actual) for name, (recorded, actual) in read_json(row["collations"]).items()},
        read_json(row["extensions"]),
        tuple(ConstraintFacts(*each) for each in read_json(row["constraints"])),
        tuple(
            KeyFacts(name, table, parent, tuple(tuple(each) for each in joined), state, full, period)
            for name, table, parent, joined, state, full, period in read_json(row["keys"])
        ),
        tuple(SequenceFacts(*each) for each in read_json(row["sequences"])),
        tuple(read_json(row["invalid"])),
        tuple(read_json(row["unlogged"])),
        tuple(read_json(row["tables"])),
        tuple(read_json(row["btrees"])),
        row["amcheck_in"],
        unread=read_json(row["unread"]),
        older={name: tuple(indexes) for name, indexes in read_json(row["older"]).items()},
    )
