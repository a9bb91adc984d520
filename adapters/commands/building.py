"""Builds an estate's own commands and calls, the commands over the connections to its hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from adapters.commands.command import HostPlace, LocalPlace, OwnCommand
from adapters.concealed import Concealed
from adapters.context import AdapterContext, misconfigured
from adapters.databases.postgres import Access
from adapters.databases.statements import HasServers, OwnStatement
from adapters.net.http_act import HttpActor
from adapters.net.origin import Origin
from adapters.net.own_call import OwnCall
from adapters.net.ssh import SshConnections
from adapters.secrets import Secret
from state.estate.model import Estate, SecretRef
from state.estate.own import LOCAL, CommandEntry
from state.ports.database import Database


def place_of(
    on: str, context: AdapterContext, hosts: SshConnections, entry: CommandEntry | None = None
) -> LocalPlace | HostPlace:
    """Where something runs. Raises ConfigError for a secret that cannot be read."""
    if on != LOCAL:
        return HostPlace(context.base, hosts.to(on))
    if entry is None:
        return LocalPlace(context.base, (), {})
    return LocalPlace(context.base, entry.env, secrets_of(entry.secrets, context))


class Own:
    """Builds what is an estate's own. It connects to nothing."""

    def __init__(self, estate: Estate, context: AdapterContext, hosts: SshConnections) -> None:
        self._estate, self._context, self._hosts = estate, context, hosts
        used = estate.commands or estate.http_calls or estate.checks
        self.concealed = concealed_in(estate, context) if used else Concealed(())

    def commands(self) -> dict[str, OwnCommand]:
        """The commands. Raises ConfigError for a secret that cannot be read."""
        return {
            name: OwnCommand(
                f"commands/{name}", place_of(each.on, self._context, self._hosts, each), each.expect, self.concealed
            )
            for name, each in self._estate.commands.items()
        }

    def http_calls(self) -> dict[str, OwnCall]:
        """The calls over HTTP. Raises ConfigError for a secret that cannot be read."""
        found: dict[str, OwnCall] = {}
        for name, each in self._estate.http_calls.items():
            parts = urlsplit(each.url)
            actor = HttpActor(
                Origin.of(f"{parts.scheme}://{parts.netloc}"),
                ca=self._context.authorities(f"http_calls.{name}", each.ca),
                headers=each.headers,
                secret_headers=secrets_of(each.secret_headers, self._context),
            )
            found[name] = OwnCall(f"http_calls/{name}", actor, self.concealed.hide)
        return found


def statements(estate: Estate, context: AdapterContext, databases: Mapping[str, Database]) -> dict[str, OwnStatement]:
    """The statements. Raises ConfigError for a secret that cannot be read, and for a database that has no servers."""
    found: dict[str, OwnStatement] = {}
    for name, each in estate.sql_calls.items():
        cluster = databases[each.database]
        if not isinstance(cluster, HasServers):
            raise misconfigured(f"sql_calls.{name}.database", each.database, "a database whose servers can be asked")
        access = Access(each.user, each.dbname or "postgres", context.secret(each.password))
        found[name] = OwnStatement(f"sql_calls/{name}", cluster.servers, access, each.record)
    return found


def secrets_of(references: Mapping[str, SecretRef], context: AdapterContext) -> dict[str, Secret]:
    """The secrets behind references, by name. Raises ConfigError."""
    return {name: secret for name, ref in references.items() if (secret := context.secret(ref)) is not None}


def concealed_in(estate: Estate, context: AdapterContext) -> Concealed:
    """Every secret that the estate names, to be hidden in what commands say. Raises ConfigError."""
    references = dict.fromkeys(_references(estate))
    found: list[Secret] = [secret for ref in references if (secret := context.secret(ref)) is not None]
    return Concealed(found)


def _references(value: Any) -> Iterator[SecretRef]:
    if isinstance(value, SecretRef):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _references(getattr(value, name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _references(each)
