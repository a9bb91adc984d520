"""Which member answered: by its own word, or where an older Patroni gives none, by the cluster's list of addresses.

`GET /patroni` tells the name since Patroni 3.2; before, only `GET /cluster` tells whose API is at which address.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

from adapters.net.origin import Origin
from state.errors import ReadFailure, Trouble

RESOLVE_SECONDS = 2.0


class MemberName:
    """The name of the member behind one address of the estate. What the list proved holds for that server process."""

    def __init__(self, node: str, api: str) -> None:
        self.node = node
        origin = Origin.of(api)
        self._host, self._port = origin.host, origin.port
        self._proven: tuple[str, str] | None = None

    async def prove(self, own: Mapping[str, Any], cluster: Mapping[str, Any] | None) -> str:
        """How it is known that this member answered, for people: its own word or the list.

        `own` is its answer to GET /patroni, `cluster` the one to GET /cluster, None where that gave none. Raises
        ReadFailure when it is another member, or nothing tells which one it is.
        """
        patroni = own.get("patroni")
        said = patroni if isinstance(patroni, dict) else {}
        name, scope = said.get("name"), said.get("scope")
        if isinstance(name, str) and name:
            if name != self.node:
                raise ReadFailure(Trouble.ERROR, f"{self.node} says it is member {name} of scope {scope}")
            return f"says it is member {name}"
        process = (str(own.get("database_system_identifier")), str(own.get("postmaster_start_time")))
        names = await self._listed(cluster) if cluster is not None else set()
        if names == {self.node}:
            self._proven = process
        elif names:
            there = " and ".join(sorted(names))
            raise ReadFailure(Trouble.ERROR, f"the cluster lists {there} at the address of {self.node}")
        elif process != self._proven or not own.get("postmaster_start_time"):
            version = said.get("version", "")
            message = f"{self.node}: Patroni {version} tells no name, and GET /cluster lists no member at its `api`"
            raise ReadFailure(Trouble.EMPTY, message)
        return f"is listed by its cluster as member {self.node}"

    async def _listed(self, cluster: Mapping[str, Any]) -> set[str]:
        """The names of the members that the cluster lists at this address."""
        rows = cluster.get("members")
        listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        at = {str(row.get("name")): _place(str(row.get("api_url"))) for row in listed}
        found = {name for name, place in at.items() if place == (self._host, self._port)}
        if found:
            return found
        own = await _addresses(self._host)
        same_port = [(name, place[0]) for name, place in at.items() if place is not None and place[1] == self._port]
        return {name for name, host in same_port if own & await _addresses(host)}


def _place(url: str) -> tuple[str, int] | None:
    try:
        origin = Origin.of(url)
    except ValueError:
        return None
    return origin.host, origin.port


async def _addresses(host: str) -> set[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return set()
    return {str(entry[4][0]) for entry in found}
