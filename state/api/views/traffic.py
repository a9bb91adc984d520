"""Screen 4: backends, servers, DNS records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.health import Health


@dataclass(frozen=True, slots=True)
class BackendRow:
    """One backend of one balancer: how many serve against its floor, colours, drift. `routes` are the colours
    of its service that are backends of their own, the one that has the traffic last. `keeping`: what a
    reload makes of what is set, empty where all is as configured or no file is kept; `kept` says whether it stays."""

    key: str
    balancer: str
    site: str
    backend: str
    service: str
    health: Health
    message: str
    serving: int
    total: int
    floor: int
    active: str
    sessions: int
    drift: str
    source: str
    routes: tuple[str, ...] = ()
    keeping: str = ""
    kept: Health = Health.PASS


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server: `state` is for people (ready, drain, maint, reserve, down…). `colour` is the group whose release it
    runs, empty when it has none."""

    key: str
    balancer: str
    site: str
    backend: str
    server: str
    colour: str
    release: str
    health: Health
    state: str
    weight: int
    share: float
    sessions: int
    queued: int
    rate: float
    error_rate: float
    check: str
    source: str
    trend: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DnsRow:
    """One record as one server answers it, against what the estate expects. `zone`, `record` and `type` name it in the
    estate. Of a `resolver`, `ttl` is the seconds that it keeps the answer. `moved` is how far the last change has come,
    `curve` the share of all that answer it, after each reading."""

    key: str
    name: str
    server: str
    answers: str
    expected: str
    health: Health
    message: str
    ttl: int | None
    source: str
    zone: str = ""
    record: str = ""
    type: str = ""
    resolver: bool = False
    moved: str = ""
    curve: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrafficView:
    """Screen 4; servers are keyed `balancer/backend/server`."""

    backends: Mapping[str, BackendRow]
    servers: Mapping[str, ServerRow]
    dns: Mapping[str, DnsRow]
