"""Patroni's keys in etcd, read over its JSON gateway (v3.4 and later): who holds the lock, by a lease that still runs.

Reads are linearizable, etcd's default: a member that is cut off from its majority gives an error and never an old value
(etcd documentation, "KV API guarantees"). A key whose lease has ended is no lock, whatever it says.
Keys: Patroni, dcs/__init__.py. It is never written to.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.databases.patroni_parse import parse_object
from adapters.net.http_read import HttpReader
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from state.world.manager_parts import StoreReading

LARGEST = 1 << 20
MOST_KEYS = 1000


class EtcdStore:
    """One cluster's folder in etcd, asked at the first of its servers that answers."""

    def __init__(
        self, scope: str, folder: str, servers: Sequence[HttpReader], user: str | None, password: Secret | None
    ) -> None:
        self._scope, self._folder = scope, f"/{folder.strip('/')}/{scope}/"
        self._servers = list(servers)
        self._user, self._password = user, password
        self._token = ""

    async def read(self, *, deadline: float) -> StoreReading:
        """The lock and what stands beside it. Raises ReadFailure when no server has a majority."""
        end = time.monotonic() + deadline
        failure: ReadFailure | None = None
        for place, server in enumerate(self._servers):
            left = (end - time.monotonic()) / (len(self._servers) - place)
            try:
                return await self._read(server, max(0.05, left))
            except ReadFailure as error:
                failure, self._token = failure or error, ""
        raise failure or ReadFailure(Trouble.EMPTY, "no server of the store is named")

    async def close(self) -> None:
        for server in self._servers:
            await server.close()

    async def _read(self, server: HttpReader, deadline: float) -> StoreReading:
        end = time.monotonic() + deadline
        where = f"etcd {server.origin.netloc}"
        if self._user is not None and self._password is not None and not self._token:
            signed = {"name": self._user, "password": self._password.reveal()}
            self._token = str((await self._ask(server, "/v3/auth/authenticate", signed, end, where)).get("token", ""))
        asked = {"key": _base64(self._folder), "range_end": _base64(_after(self._folder)), "limit": str(MOST_KEYS)}
        answer = await self._ask(server, "/v3/kv/range", asked, end, where)
        values, leases = _keys(answer, self._folder, where)
        left = None
        if leases.get("leader"):
            told = await self._ask(server, "/v3/lease/timetolive", {"ID": leases["leader"]}, end, where)
            left = float(_number(told.get("TTL"), where))
        alive = left is None or left > 0
        sync = _object(values.get("sync"))
        return StoreReading(
            scope=self._scope,
            leader=values.get("leader", "") if alive else "",
            lease_left=left,
            system_id=values.get("initialize", ""),
            in_sync=tuple(n for n in str(sync.get("sync_standby") or "").split(",") if n),
        )

    async def _ask(self, server: HttpReader, path: str, body: Any, end: float, where: str) -> dict[str, Any]:
        headers = {"Authorization": self._token} if self._token else {}
        left = max(0.05, end - time.monotonic())
        reply = await server.ask(path, json.dumps(body).encode(), headers, deadline=left, cap=LARGEST)
        return parse_object(reply.body, where)


def _keys(answer: Mapping[str, Any], folder: str, where: str) -> tuple[dict[str, str], dict[str, str]]:
    """Values and leases by the name of the key below the folder. Raises ReadFailure."""
    values: dict[str, str] = {}
    leases: dict[str, str] = {}
    rows = answer.get("kvs") or []
    if not isinstance(rows, list):
        raise ReadFailure(Trouble.ERROR, f"{where}: its keys cannot be read")
    for row in rows:
        try:
            name = base64.b64decode(row["key"], validate=True).decode()
            value = base64.b64decode(row.get("value", ""), validate=True).decode()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ReadFailure(Trouble.ERROR, f"{where}: its keys cannot be read") from error
        values[name.removeprefix(folder)] = value
        if isinstance(row.get("lease"), str):
            leases[name.removeprefix(folder)] = row["lease"]
    return values, leases


def _number(value: Any, where: str) -> int:
    """A whole number, which the gateway writes as text. Raises ReadFailure."""
    if isinstance(value, str) and len(value) < 20:
        try:
            return int(value)
        except ValueError:
            pass
    raise ReadFailure(Trouble.ERROR, f"{where}: it does not tell how long the lease lasts")


def _object(text: str | None) -> Mapping[str, Any]:
    try:
        read = json.loads(text) if text else {}
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _after(folder: str) -> str:
    """The end of the range of all keys that begin with it."""
    return folder[:-1] + chr(ord(folder[-1]) + 1)
