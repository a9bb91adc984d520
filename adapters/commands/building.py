"""Builds the commands of an estate over the connections to its hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from adapters.commands.command import HostPlace, LocalPlace, OwnCommand
from adapters.commands.output import Concealed
from adapters.context import AdapterContext
from adapters.net.ssh import SshConnections
from adapters.secrets import Secret
from state.estate.model import Estate, SecretRef
from state.estate.own import LOCAL, CommandEntry


def place_of(
    on: str, context: AdapterContext, hosts: SshConnections, entry: CommandEntry | None = None
) -> LocalPlace | HostPlace:
    """Where something runs. Raises ConfigError for a secret that cannot be read."""
    if on != LOCAL:
        return HostPlace(context.base, hosts.to(on))
    if entry is None:
        return LocalPlace(context.base, (), {})
    secrets = {name: secret for name, ref in entry.secrets.items() if (secret := context.secret(ref)) is not None}
    return LocalPlace(context.base, entry.env, secrets)


def build_own(estate: Estate, context: AdapterContext, hosts: SshConnections) -> dict[str, OwnCommand]:
    """The commands of the estate; nothing is started. Raises ConfigError for a secret that cannot be read."""
    concealed = concealed_in(estate, context) if estate.commands else Concealed(())
    return {
        name: OwnCommand(f"commands/{name}", place_of(entry.on, context, hosts, entry), entry.expect, concealed)
        for name, entry in estate.commands.items()
    }


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
