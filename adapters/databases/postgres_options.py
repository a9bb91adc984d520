"""What an estate says about the PostgreSQL servers of a cluster, whoever manages it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from adapters.context import split_address
from state.config_files.findings import Finding, refuse
from state.estate.addresses import is_loopback, wrong_address
from state.estate.model import DatabaseEntry, DatabaseNode, Name, SecretRef
from state.estate.values import HostName

LONGEST_FOLDER = 80
"""Bytes of the folder of a PostgreSQL socket: `/.s.PGSQL.5432` is added, and the kernel takes 107."""


def _server_address(text: str) -> str:
    if not text.startswith("/"):
        if expected := wrong_address(text):
            raise ValueError(expected)
        return text
    try:
        folder, _ = split_address(text)
    except ValueError:
        raise ValueError("the folder of a PostgreSQL socket with its port, as /var/run/postgresql:5432") from None
    if len(folder.encode()) > LONGEST_FOLDER or not text.isprintable():
        raise ValueError(f"a folder of at most {LONGEST_FOLDER} bytes")
    return text


ServerAddress = Annotated[str, AfterValidator(_server_address)]
"""`host:port`, or the folder of a PostgreSQL socket with its port, as `/var/run/postgresql:5432`."""


def is_here(address: str) -> bool:
    """Whether a server's address leads to this machine."""
    host, _ = split_address(address)
    return host.startswith("/") or is_loopback(host)


class ServedNode(DatabaseNode):
    """One node: its site and server address."""

    postgres: ServerAddress

    @property
    def server(self) -> tuple[str, str]:
        host, port = split_address(self.postgres)
        return host, str(port)


class PostgresOptions(DatabaseEntry):
    """How the servers of a cluster are logged in to.

    `user` reads; `act_user` is the account that promotes, repoints, drops slots and writes restore points. `cert` and
    `key` are files of a client certificate, `via` a host that leads to the servers. `tls: plain` is plain text; to
    another machine it needs `waive.tls`.
    """

    database: str = "postgres"
    user: str
    password: SecretRef | None = None
    act_user: str | None = None
    act_password: SecretRef | None = None
    tls: Literal["verify-full", "loopback", "plain"] = "verify-full"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    via: HostName | None = None
    nodes: Mapping[Name, ServedNode]

    @property
    def through(self) -> Sequence[str]:
        return () if self.via is None else (self.via,)

    @property
    def goes_without(self) -> Sequence[str]:
        return ("tls",) if any(self._plain()) else ()

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> PostgresOptions:
        if (self.cert is None) != (self.key is None):
            present = "key" if self.cert is None else "cert"
            refuse(type(self), [((present,), getattr(self, present), "cert and key together")])
        return self

    @model_validator(mode="after")
    def _encrypted_or_waived(self) -> PostgresOptions:
        refuse(type(self), self._beyond_loopback())
        if self.waive.tls is None:
            refuse(type(self), self._plain())
        return self

    def _beyond_loopback(self) -> Iterator[Finding]:
        """`tls: loopback` promises that no address leads to another machine."""
        if self.tls != "loopback":
            return
        for name, node in self.nodes.items():
            if not is_here(node.postgres):
                yield ("nodes", name, "postgres"), node.postgres, "a loopback address, because of tls: loopback"

    def _plain(self) -> Iterator[Finding]:
        """Where plain text goes to another machine, and what is expected there unless it is waived."""
        for name, node in self.nodes.items():
            if self.tls == "plain" and not is_here(node.postgres):
                yield ("nodes", name, "postgres"), node.postgres, "tls: verify-full, or waive: {tls: the reason}"
