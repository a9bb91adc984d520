"""What a PgBouncer in front of a cluster tells of grants: whose clients it has, which sessions it keeps for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from adapters.access.pooler_console import DATABASE, pooler_console
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from state.granting.model import PoolerSeen
from state.text import clean

LONGEST = 63


@dataclass(frozen=True, slots=True)
class PgBouncer:
    """One of the estate. `user` is one of its `admin_users` or `stats_users`."""

    name: str
    host: str
    port: int
    user: str
    password: Secret | None

    async def seen(self, *, deadline: float) -> PoolerSeen:
        """Its entries, clients, server connections and settings. Raises ReadFailure."""
        secret = "" if self.password is None else self.password.reveal()
        try:
            async with pooler_console(self.host, self.port, self.user, secret, deadline=deadline) as console:
                entries = await console.show("DATABASES")
                clients = await console.show("CLIENTS")
                servers = await console.show("SERVERS")
                settings = await console.show("CONFIG")
        except ReadFailure as error:
            raise ReadFailure(error.trouble, f"pooler {self.name}: {error.message}") from error
        try:
            return PoolerSeen(
                forced={_text(each["name"]): _text(each["force_user"]) for each in entries if _forces(each)},
                paused=tuple(_text(each["name"]) for each in entries if each["paused"] == "1"),
                clients=_counted(clients),
                servers=_counted(servers),
                shares=any(each["key"] == "so_reuseport" and each["value"] not in ("0", "no") for each in settings),
                disguised=_disguised(clients, {each["name"] for each in entries if _forces(each)}),
            )
        except (KeyError, ValueError) as error:
            told = f"pooler {self.name}: its answer is not as expected ({type(error).__name__})"
            raise ReadFailure(Trouble.ERROR, told) from error


def _forces(entry: Mapping[str, str]) -> bool:
    """The console itself is an entry too, and no way to a server."""
    return bool(entry["force_user"]) and entry["name"] != DATABASE


def _disguised(clients: Sequence[Mapping[str, str]], forced: Collection[str]) -> Mapping[str, Sequence[str]]:
    """The entries of another user where each user's clients are."""
    found: dict[str, list[str]] = {}
    for row in clients:
        names = found.setdefault(_text(row["user"]), []) if row["database"] in forced else []
        if _text(row["database"]) not in names:
            names.append(_text(row["database"]))
    return found


def _counted(rows: Sequence[Mapping[str, str]]) -> Mapping[str, int]:
    """How many there are of each user."""
    found: dict[str, int] = {}
    for row in rows:
        name = _text(row["user"])
        found[name] = found.get(name, 0) + 1
    return found


def _text(text: str) -> str:
    return clean(text, LONGEST)
