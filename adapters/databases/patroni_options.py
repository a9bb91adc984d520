"""What an estate says about a database cluster under Patroni."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from adapters.context import split_address
from adapters.net.origin import BaseUrl, Origin
from state.config_files.findings import Finding, refuse
from state.estate.addresses import is_loopback, wrong_address
from state.estate.model import DatabaseEntry, DatabaseNode, Entry, HandStep, Name, SecretRef
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


class PatroniNodeEntry(DatabaseNode):
    """One node: its site, server address and manager URL."""

    postgres: ServerAddress
    api: BaseUrl


class StoreEntry(Entry):
    """Patroni's own store, to ask it who holds the lock: the URLs of etcd, and Patroni's `namespace` in it."""

    etcd: Annotated[tuple[BaseUrl, ...], Field(min_length=1, max_length=9)]
    namespace: str = "/service"
    user: str | None = None
    password: SecretRef | None = None


class PatroniOptions(DatabaseEntry):
    """A replicated database cluster under a manager (`kind: patroni`).

    `frontends` names the balancers' backends that lead to it by role: there a server whose node has the other role
    is down by design. Server names are node names. `cert` and `key` are files of a client certificate, for servers and
    managers alike, `via` a host that leads to them. `store` is asked itself who leads, where it is named. `tls: plain`
    is plain text to the servers; to another machine it needs `waive.tls`, as http does.
    """

    scope: Name
    database: str = "postgres"
    user: str
    password: SecretRef | None = None
    tls: Literal["verify-full", "loopback", "plain"] = "verify-full"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    via: HostName | None = None
    api_user: str | None = None
    api_password: SecretRef | None = None
    nodes: Mapping[Name, PatroniNodeEntry]
    store: StoreEntry | None = None

    @property
    def through(self) -> Sequence[str]:
        return () if self.via is None else (self.via,)

    @property
    def goes_without(self) -> Sequence[str]:
        return ("tls",) if any(self._plain()) else ()

    def read_by_hand(self) -> HandStep:
        return HandStep(super().read_by_hand().what, f"patronictl list {self.scope}")

    def switch_over_by_hand(self, to: str | None) -> HandStep:
        chosen = f" --candidate {to}" if to else ""
        return HandStep(super().switch_over_by_hand(to).what, f"patronictl switchover {self.scope}{chosen}")

    def restart_by_hand(self, node: str) -> HandStep:
        sent = f"patronictl restart --role replica {self.scope} {node}"
        return HandStep(super().restart_by_hand(node).what, sent)

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> PatroniOptions:
        if (self.cert is None) != (self.key is None):
            present = "key" if self.cert is None else "cert"
            refuse(type(self), [((present,), getattr(self, present), "cert and key together")])
        return self

    @model_validator(mode="after")
    def _encrypted_or_waived(self) -> PatroniOptions:
        refuse(type(self), self._beyond_loopback())
        if self.waive.tls is None:
            refuse(type(self), self._plain())
        return self

    def _beyond_loopback(self) -> Iterator[Finding]:
        """`tls: loopback` promises that no address leads to another machine."""
        if self.tls != "loopback":
            return
        expected = "a loopback address, because of tls: loopback"
        for name, node in self.nodes.items():
            if not is_here(node.postgres):
                yield ("nodes", name, "postgres"), node.postgres, expected
            if not Origin.of(node.api).loopback:
                yield ("nodes", name, "api"), node.api, expected
        for number, url in enumerate(self._stores()):
            if not Origin.of(url).loopback:
                yield ("store", "etcd", number), url, expected

    def _stores(self) -> tuple[str, ...]:
        return self.store.etcd if self.store is not None else ()

    def _plain(self) -> Iterator[Finding]:
        """Where plain text goes to another machine, and what is expected there unless it is waived."""
        for name, node in self.nodes.items():
            api = Origin.of(node.api)
            if self.tls == "plain" and not is_here(node.postgres):
                yield ("nodes", name, "postgres"), node.postgres, "tls: verify-full, or waive: {tls: the reason}"
            if self.tls != "loopback" and api.scheme == "http" and not api.loopback:
                yield ("nodes", name, "api"), node.api, "https:// (plain http needs waive: {tls: the reason})"
        for number, url in enumerate(self._stores()):
            store = Origin.of(url)
            if self.tls != "loopback" and store.scheme == "http" and not store.loopback:
                yield ("store", "etcd", number), url, "https:// (plain http needs waive: {tls: the reason})"
