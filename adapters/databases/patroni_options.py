"""What an estate says about a database cluster under Patroni."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import model_validator

from adapters.context import split_address
from adapters.net.origin import BaseUrl, Origin
from state.config_files.findings import Finding, refuse
from state.estate.addresses import is_loopback
from state.estate.model import DatabaseEntry, DatabaseNode, Name, SecretRef
from state.estate.values import HostPort


class PatroniNodeEntry(DatabaseNode):
    """One node: its site, server address host:port and manager URL."""

    postgres: HostPort
    api: BaseUrl


class PatroniOptions(DatabaseEntry):
    """A replicated database cluster under a manager (`kind: patroni`).

    `frontends` names the balancers' backends that lead to it by role: there a server whose node has the other role
    is down by design. Server names are node names.
    """

    scope: Name
    database: str = "postgres"
    user: str
    password: SecretRef | None = None
    tls: Literal["verify-full", "loopback"] = "verify-full"
    ca: str | None = None
    api_user: str | None = None
    api_password: SecretRef | None = None
    nodes: Mapping[Name, PatroniNodeEntry]

    @model_validator(mode="after")
    def _credentials_are_encrypted(self) -> PatroniOptions:
        refuse(type(self), self._in_plain_text())
        return self

    def _in_plain_text(self) -> Iterator[Finding]:
        """Credentials are sent in plain text over loopback only, and only with `tls: loopback`."""
        for name, node in self.nodes.items():
            api = Origin.of(node.api)
            if self.tls != "loopback" and api.scheme == "http":
                expected = "https:// (plain http needs tls: loopback and loopback addresses)"
                yield ("nodes", name, "api"), node.api, expected
            if self.tls == "loopback":
                expected = "a loopback address, because of tls: loopback"
                if not is_loopback(split_address(node.postgres)[0]):
                    yield ("nodes", name, "postgres"), node.postgres, expected
                if not api.loopback:
                    yield ("nodes", name, "api"), node.api, expected
