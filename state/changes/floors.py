"""Whom the servers of a backend serve, and how many of them must."""

from __future__ import annotations

from typing import NamedTuple

from state.estate.colours import Colour, Colours
from state.estate.model import Backups, Estate, ServiceTrafficEntry


class Promise(NamedTuple):
    """The floor of a backend: the strictest of all services on it, and what its backups are worth.

    `service` needs most; empty when no service uses the backend, which then keeps one server. `services` are all of
    them. A backup counts as far as each of them says that it does.
    """

    service: str
    floor: int
    backups: Backups
    services: tuple[str, ...]


_WORTH: tuple[Backups, ...] = ("reserve", "first", "all")


def backends_of(estate: Estate, balancer: str) -> tuple[str, ...]:
    """The backends of a balancer that serve a service of the estate."""
    entries = [s.traffic for s in estate.services.values() if s.traffic is not None]
    return tuple(dict.fromkeys(name for entry in entries if balancer in entry.balancers for name in _backends(entry)))


def _backends(entry: ServiceTrafficEntry) -> tuple[str, ...]:
    """The backend of a service, or those of its colours."""
    return (entry.backend,) if entry.routes is None else tuple(dict.fromkeys(entry.routes.backends.values()))


def services_of(estate: Estate, balancer: str, backend: str) -> tuple[str, ...]:
    """The services of a backend."""
    entries = ((name, service.traffic) for name, service in estate.services.items())
    return tuple(n for n, t in entries if t and backend in _backends(t) and balancer in t.balancers)


def promise_of(estate: Estate, balancer: str, backend: str) -> Promise:
    """How many servers of a backend must serve, and for whom; one when no service uses it."""
    known = services_of(estate, balancer, backend)
    entries = [(name, entry) for name in known if (entry := estate.services[name].traffic) is not None]
    if not entries:
        return Promise("", 1, "reserve", ())
    floor, name = max((entry.floor, name) for name, entry in entries)
    backups = min((entry.backups for _, entry in entries), key=_WORTH.index)
    return Promise(name, floor, backups, known)


def colours_of(estate: Estate, balancer: str, backend: str) -> Colours:
    """The colours of a backend, as its services name them."""
    found: dict[str, Colour] = {}
    for name in services_of(estate, balancer, backend):
        entry = estate.services[name].traffic
        found |= entry.colours if entry is not None else {}
    return found
