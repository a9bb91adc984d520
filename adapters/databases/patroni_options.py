"""What an estate says about a database cluster under Patroni."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from adapters.databases.postgres_options import PostgresOptions, ServedNode
from adapters.net.origin import BaseUrl, Origin
from state.config_files.findings import Finding
from state.estate.model import Entry, HandStep, Name, SecretRef

COMMANDS = {
    "failover": "patronictl failover {scope} --candidate {to}",
    "schedule": "patronictl switchover {scope} --candidate {to} --scheduled {at}",
    "unschedule": "patronictl flush {scope} switchover",
    "pause": "patronictl pause {scope} --wait",
    "resume": "patronictl resume {scope} --wait",
    "reinitialize": "patronictl reinit {scope} {node}",
}
"""How a person does it, by the name of the act."""


class PatroniNodeEntry(ServedNode):
    """One node: its site, server address and manager URL."""

    api: BaseUrl


class StoreEntry(Entry):
    """Patroni's own store, to ask it who holds the lock: the URLs of etcd, and Patroni's `namespace` in it."""

    etcd: Annotated[tuple[BaseUrl, ...], Field(min_length=1, max_length=9)]
    namespace: str = "/service"
    user: str | None = None
    password: SecretRef | None = None


class PatroniOptions(PostgresOptions):
    """A replicated database cluster under a manager (`kind: patroni`).

    `frontends` names the balancers' backends that lead to it by role: there a server whose node has the other role
    is down by design. Server names are node names. The client certificate is shown to servers and managers alike, and
    `via` leads to both. `store` is asked itself who leads, where it is named.
    """

    scope: Name
    api_user: str | None = None
    api_password: SecretRef | None = None
    nodes: Mapping[Name, PatroniNodeEntry]
    store: StoreEntry | None = None

    def read_by_hand(self) -> HandStep:
        return HandStep(super().read_by_hand().what, f"patronictl list {self.scope}")

    def switch_over_by_hand(self, to: str | None) -> HandStep:
        chosen = f" --candidate {to}" if to else ""
        return HandStep(super().switch_over_by_hand(to).what, f"patronictl switchover {self.scope}{chosen}")

    def restart_by_hand(self, node: str) -> HandStep:
        sent = f"patronictl restart --role replica {self.scope} {node}"
        return HandStep(super().restart_by_hand(node).what, sent)

    def act_by_hand(self, act: str, values: Mapping[str, str]) -> HandStep:
        what = super().act_by_hand(act, values).what
        return HandStep(
            what, COMMANDS[act].format_map({"to": "NODE", **values, "scope": self.scope}) if act in COMMANDS else ""
        )

    def _beyond_loopback(self) -> Iterator[Finding]:
        yield from super()._beyond_loopback()
        for name, node in self.nodes.items() if self.tls == "loopback" else ():
            if not Origin.of(node.api).loopback:
                yield ("nodes", name, "api"), node.api, "a loopback address, because of tls: loopback"
        for number, url in enumerate(self._stores()):
            if not Origin.of(url).loopback:
                yield ("store", "etcd", number), url, "a loopback address, because of tls: loopback"

    def _stores(self) -> tuple[str, ...]:
        return self.store.etcd if self.store is not None else ()

    def _plain(self) -> Iterator[Finding]:
        yield from super()._plain()
        for name, node in self.nodes.items() if self.tls != "loopback" else ():
            api = Origin.of(node.api)
            if api.scheme == "http" and not api.loopback:
                yield ("nodes", name, "api"), node.api, "https:// (plain http needs waive: {tls: the reason})"
        for number, url in enumerate(self._stores()):
            store = Origin.of(url)
            if self.tls != "loopback" and store.scheme == "http" and not store.loopback:
                yield ("store", "etcd", number), url, "https:// (plain http needs waive: {tls: the reason})"
