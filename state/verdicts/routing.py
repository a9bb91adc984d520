"""Which backend has the traffic of a service whose colours are backends of their own, as its map says."""

from __future__ import annotations

from collections.abc import Sequence

from state.estate.model import ServiceTrafficEntry
from state.world.balancer_parts import BalancerReading

Entries = Sequence[tuple[str, str]]
"""Keys and values of a map, in its order; of two entries with one key the first one is found."""


def values_of(entries: Entries, key: str) -> list[str]:
    """The values under a key as it is written."""
    return [value for name, value in entries if name == key]


def alike(entries: Entries, key: str) -> list[tuple[str, str]]:
    """Entries of other spellings that clients may send: another case, with or without a port."""

    def plain(text: str) -> str:
        host, colon, port = text.casefold().rpartition(":")
        return host if colon and port.isdecimal() else text.casefold()

    return [(name, value) for name, value in entries if name != key and plain(name) == plain(key)]


def routed(entry: ServiceTrafficEntry, reading: BalancerReading) -> tuple[str, str]:
    """The backend that has the traffic, and why none is known; the only one there is where there is no map."""
    if entry.routes is None:
        return entry.backend, ""
    entries = reading.maps.get(entry.routes.map)
    if entries is None:
        return "", f"the map {entry.routes.map} is not read"
    found = values_of(entries, entry.routes.key)
    if not found:
        return "", f"the map {entry.routes.map} has no entry {entry.routes.key}"
    return found[0], ""
