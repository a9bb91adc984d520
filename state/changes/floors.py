"""Whom the servers of a backend serve, and how many of them must."""

from __future__ import annotations

from state.estate.model import Estate


def services_of(estate: Estate, balancer: str, backend: str) -> tuple[str, ...]:
    """The services of a backend."""
    entries = ((name, service.traffic) for name, service in estate.services.items())
    return tuple(n for n, t in entries if t and t.backend == backend and balancer in t.balancers)


def floor_of(estate: Estate, balancer: str, backend: str) -> tuple[str, int]:
    """How many servers of a backend must serve, and the service that needs most; one when no service uses it."""
    floors = [(s.traffic.floor, name) for name, s in estate.services.items() if s.traffic]
    known = services_of(estate, balancer, backend)
    floor, name = max(((f, n) for f, n in floors if n in known), default=(1, ""))
    return name, floor
