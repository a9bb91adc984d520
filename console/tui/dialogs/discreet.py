"""Texts for a room with guests: hosts and people are named by what they are, never by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from console.tui.store import Store
from state.api.views.header import HeaderView

_ADDRESS = re.compile(
    r"\[?(?:(?:[0-9A-Fa-f]{0,4}:){3,}|::)[0-9A-Fa-f:.]*\]?(?::\d+)?"  # IPv6
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
    r"|\b[\w-]+(?:\.[A-Za-z][\w-]*){2,}\b"
)
"""Addresses, and names of hosts with at least two dots."""
_WORD = re.compile(r"[\w][\w.-]*")


class Discreet:
    """Replaces the names of one moment's hosts and people. Made anew when the views change."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` tells for each name what it is: `a node`, `a person`."""
        self._names = {name.casefold(): what for name, what in names.items() if name}

    def hide(self, text: str) -> str:
        """The text without names, addresses and host names."""
        return _WORD.sub(self._replace, _ADDRESS.sub("a host", text))

    def _replace(self, found: re.Match[str]) -> str:
        word = found[0]
        return self._names.get(word.casefold()) or self._names.get(word.rstrip(".-").casefold(), word)


def names_of(store: Store) -> dict[str, str]:
    """Every name of a host or person that the views hold, with what it is."""
    return dict(_names(store))


def _names(store: Store) -> Iterator[tuple[str, str]]:
    replication, traffic = store.view("replication"), store.view("traffic")
    overview, runbooks, header = store.view("overview"), store.view("runbooks"), store.view(HeaderView)
    if traffic is not None:
        yield from ((row.server, "a server") for row in traffic.servers.values())
        yield from ((row.balancer, "a balancer") for row in traffic.backends.values())
        yield from ((row.server, "a name server") for row in traffic.dns.values())
    if replication is not None:
        yield from ((row.node, "a node") for row in replication.nodes.values())
    for row in overview.services.values() if overview is not None else ():
        for owner in row.owners.split(","):
            yield owner.strip(), "a person"
            yield from ((part, "a person") for part in owner.split() if len(part) > 2)
    if runbooks is not None:
        yield from ((row.actor, "a person") for row in runbooks.runs.values())
        yield from ((row.owner, "a person") for row in runbooks.steps.values())
    if header is not None:
        yield from ((row.person, "a person") for row in header.consoles.values())
        yield from ((row.asks, "a person") for row in header.waiting.values())
    if store.hello is not None:
        yield store.hello.person, "a person"
