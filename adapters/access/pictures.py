"""Takes the picture of a cluster: what everybody may read, and digests of what only superusers see."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import asyncpg

from adapters.access.picture_objects import DATABASE
from adapters.access.picture_sql import CLOSED, CLUSTER, MARKED
from state.errors import ReadFailure, Trouble
from state.granting.picture import MOST, PictureItem, PictureKind
from state.text import clean

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Reading = Callable[[str], AbstractAsyncContextManager[Session]]
"""A session that reads in a database; in that of the estate for an empty name. Raises ReadFailure."""
WHOLE = "(cluster)"
LONGEST = 200
"""Characters of a thing's name."""
ROWS = (
    "select q.a, left(encode(sha256(convert_to(coalesce(q.b::text, ''), getdatabaseencoding())), 'hex'), 16) "
    f"from ({{}}) as q(a, b) limit {MOST + 1}"
)
WHOLE_OF = (
    "select left(encode(sha256(string_agg(sha256(convert_to(concat_ws(E'\\n', q.a::text, q.b::text), "
    "getdatabaseencoding())), ''::bytea order by q.a::text, q.b::text)), 'hex'), 16) from ({}) as q(a, b)"
)


async def taken(reading: Reading, oids: Collection[int]) -> Sequence[PictureItem]:
    """The whole cluster and each database. Raises ReadFailure when the cluster itself is not read."""
    items: list[PictureItem] = []
    async with reading("") as session:
        marked = await session.fetchval(MARKED, list(oids))
        for kind, query in CLUSTER.items():
            items += await _read(session, kind, WHOLE, query, marked)
        items += await _private(session, WHOLE, "select * from recovery_access.private_cluster()")
        databases = [(str(row[0]), bool(row[1]), str(row[2])) for row in await session.fetch(CLOSED)]
    for name, is_open, visits in databases:
        shown = clean(name, LONGEST)
        if not is_open:
            items.append(PictureItem(PictureKind.UNREAD, shown, "refuses connections", clean(visits, LONGEST)))
            continue
        try:
            items += await _database(reading, name, shown)
        except ReadFailure as error:
            items.append(PictureItem(PictureKind.UNREAD, shown, clean(error.message, LONGEST), ""))
    return sorted(items)


async def _database(reading: Reading, name: str, shown: str) -> list[PictureItem]:
    items: list[PictureItem] = []
    async with reading(name) as session:
        for kind, query in DATABASE.items():
            items += await _read(session, kind, shown, query)
        items += await _private(session, shown, "select * from recovery_access.private_database()")
    return items


async def _read(session: Session, kind: PictureKind, database: str, query: str, *args: object) -> list[PictureItem]:
    rows = await session.fetch(ROWS.format(query), *args)
    if len(rows) > MOST:
        digest = await session.fetchval(WHOLE_OF.format(query), *args)
        return [PictureItem(PictureKind.TOO_MANY, database, f"more than {MOST} of {kind.value}", str(digest))]
    return _items(database, [(kind, row[0], str(row[1])) for row in rows])


async def _private(session: Session, database: str, query: str) -> list[PictureItem]:
    """What the functions of superusers tell: digests already. Raises ReadFailure for a kind that is not known."""
    rows = await session.fetch(query)
    try:
        return _items(database, [(PictureKind(row["kind"]), row["thing"], str(row["value"])) for row in rows])
    except ValueError as error:
        raise ReadFailure(Trouble.ERROR, "what it tells for a picture is not as expected") from error


def _items(database: str, rows: Iterable[tuple[PictureKind, object, str]]) -> list[PictureItem]:
    """Names from outside are cleaned; two that are cut to the same are told apart by a digest of the whole."""
    return [PictureItem(kind, database, _named(str(thing)), clean(digest, 20)) for kind, thing, digest in rows]


def _named(thing: str) -> str:
    shown = clean(thing, LONGEST)
    return shown if shown == thing else f"{shown} #{hashlib.sha256(thing.encode()).hexdigest()[:8]}"
