"""Patroni at an address: the cluster as its store has it, each member's own word, and whether its server offers TLS.

Source: Patroni documentation, "Patroni REST API"; `GET /cluster` since 2.0.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from adapters.databases.patroni_parse import MEMBER_ROLES, parse_config, parse_members, parse_object
from adapters.discovery.looking import MOST_AT_ONCE, Looking, answer_of, as_json
from adapters.discovery.plain_address import has_a_credential
from adapters.net.http_read import HttpReader
from state.discovery.found import FoundCluster, FoundMember
from state.errors import ReadFailure, Trouble

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""The first message of a client that wants TLS (PostgreSQL documentation, "Message Formats")."""
MOST_MEMBERS = 100


def is_patroni(answer: Any) -> bool:
    """Whether `GET /patroni` was answered by Patroni."""
    return isinstance(answer, dict) and isinstance(answer.get("patroni"), dict) and "scope" in answer["patroni"]


async def find_cluster(url: str, reader: HttpReader, own: Mapping[str, Any], looking: Looking) -> FoundCluster:
    """The cluster behind one member, whose answer to `GET /patroni` is `own`. Raises ReadFailure."""
    scope, version = str(own["patroni"]["scope"]), str(own["patroni"].get("version", ""))
    cluster = as_json(await answer_of(reader, "/cluster", looking))
    members = _members(cluster) if isinstance(cluster, dict) else ()
    if not members:
        message = f"{reader.origin.netloc}: Patroni {version} of {scope} lists no members"
        raise ReadFailure(Trouble.EMPTY, message)
    looking.tell(f"{url}: Patroni {version}, cluster {scope}, {len(members)} members")
    turn = asyncio.Semaphore(MOST_AT_ONCE)
    asked = await asyncio.gather(*(_confirmed(member, scope, looking, turn) for member in members))
    tolerated, synchronous = await _config(reader, looking)
    return FoundCluster(
        address=url,
        scope=scope,
        members=tuple(asked),
        version=version,
        paused=own.get("pause") is True or cluster.get("pause") is True,
        synchronous=synchronous,
        tolerated=tolerated,
        ca=looking.ca if url.startswith("https:") else "",
    )


def _members(cluster: Mapping[str, Any]) -> tuple[FoundMember, ...]:
    rows = cluster.get("members")
    if not isinstance(rows, list):
        return ()
    found = []
    for row, member in zip(rows[:MOST_MEMBERS], parse_members(cluster), strict=False):
        each = row if isinstance(row, dict) else {}
        port, tags = each.get("port"), each.get("tags")
        found.append(
            FoundMember(
                name=member.name,
                role=MEMBER_ROLES.get(member.role, member.role),
                state=member.state,
                host=str(each.get("host") or ""),
                port=port if isinstance(port, int) and not isinstance(port, bool) else 0,
                api=_base(str(each.get("api_url") or "")),
                tags={str(k): str(v) for k, v in tags.items()} if isinstance(tags, dict) else {},
            )
        )
    return tuple(each for each in found if each.name)


def _base(url: str) -> str:
    """Where the API begins: Patroni tells the address of its page `/patroni`. Nothing of one with a credential."""
    if has_a_credential(url):
        return ""
    return url.removesuffix("/").removesuffix("/patroni")


async def _confirmed(member: FoundMember, scope: str, looking: Looking, turn: asyncio.Semaphore) -> FoundMember:
    async with turn:
        why = await _why_not(member, scope, looking)
        encrypted = await _offers_tls(member.host, member.port, looking)
    return replace(member, answered=why, encrypted=encrypted)


async def _why_not(member: FoundMember, scope: str, looking: Looking) -> str:
    """Empty when the member's own API gives its name and scope, else what it gave."""
    try:
        reader = looking.reader(member.api)
    except ValueError:
        return "Patroni tells no address of its API"
    try:
        reply = await answer_of(reader, "/patroni", looking)
        answer = parse_object(reply.body if reply else b"", member.name)
    except ReadFailure as error:
        return error.message
    finally:
        await reader.close()
    if not is_patroni(answer):
        return "what answers there is not Patroni"
    said = answer["patroni"]
    if said["scope"] != scope:
        return f"what answers there belongs to {said['scope']}"
    if said.get("name", member.name) != member.name:
        return f"what answers there is member {said['name']}"
    return ""


async def _offers_tls(host: str, port: int, looking: Looking) -> bool | None:
    """Whether a PostgreSQL server offers TLS, None when it gives no answer. Nothing else is sent."""
    if not host or not port:
        return None
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(looking.deadline):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(SSL_REQUEST)
                return {b"S": True, b"N": False}.get(await reader.readexactly(1))
            finally:
                writer.transport.abort()
    return None


async def _config(reader: HttpReader, looking: Looking) -> tuple[int | None, bool]:
    """The lag that a failover tolerates, and whether replication is synchronous; unknown where it is not told."""
    try:
        answer = as_json(await answer_of(reader, "/config", looking))
    except ReadFailure:
        return None, False
    if not isinstance(answer, dict) or ("loop_wait" not in answer and "ttl" not in answer):
        return None, False
    return parse_config(answer).maximum_lag, answer.get("synchronous_mode") in (True, "on", "quorum")
