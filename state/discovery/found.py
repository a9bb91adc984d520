"""What was found at an address: typed facts as they were answered, nothing guessed yet. Texts are as received."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.errors import Trouble


@dataclass(frozen=True, slots=True)
class Unreached:
    """An address, or a part of what stands behind it, that gave nothing: why, and what to do."""

    address: str
    trouble: Trouble
    message: str
    way_out: str = ""


@dataclass(frozen=True, slots=True)
class FoundMember:
    """One member of a cluster as its manager lists it. `answered` is empty when its own API confirmed name and scope,
    else why it did not. `encrypted` is whether its server offers TLS, None where it was not told."""

    name: str
    role: str
    state: str
    host: str = ""
    port: int = 0
    api: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    answered: str = "it was not asked"
    encrypted: bool | None = None


@dataclass(frozen=True, slots=True)
class FoundCluster:
    """A PostgreSQL cluster under Patroni. `tolerated` is the lag in bytes that a failover tolerates by its
    configuration, None where that was not told."""

    address: str
    scope: str
    members: tuple[FoundMember, ...]
    version: str = ""
    paused: bool = False
    synchronous: bool = False
    tolerated: int | None = None
    ca: str = ""


@dataclass(frozen=True, slots=True)
class FoundServer:
    """One server of a backend. `serving` is None where only a file was read."""

    name: str
    address: str = ""
    weight: int = 1
    serving: bool | None = None
    up: bool | None = None
    backup: bool = False
    checked: bool = True
    disabled: bool = False
    """Set out of rotation: drained or in maintenance."""

    @property
    def idle(self) -> bool:
        """Whether it takes no traffic by somebody's setting, not because it is down."""
        return self.weight == 0 or self.disabled

    @property
    def waiting(self) -> bool:
        """Whether it is kept ready without traffic, as the other colour is. One that is drained or in maintenance is
        out for some work, and tells nothing about what it is for."""
        return self.weight == 0 and not self.disabled


@dataclass(frozen=True, slots=True)
class FoundBackend:
    """One backend with its servers, in the balancer's order."""

    name: str
    servers: tuple[FoundServer, ...]
    mode: str = ""
    by_role: bool = False
    """Whether its servers are checked for the role of a database, as Patroni tells it (`/primary`, `/replica`)."""

    @property
    def measured(self) -> bool:
        """Whether the running process told it, not only a file."""
        return any(server.serving is not None for server in self.servers)


@dataclass(frozen=True, slots=True)
class FoundBalancer:
    """A HAProxy process, or what its configuration says. `socket` is where its runtime API can be asked, empty where
    the file names none; `level` is what that socket allows."""

    address: str
    socket: str
    backends: tuple[FoundBackend, ...]
    node: str = ""
    version: str = ""
    level: str = ""
    binds: tuple[str, ...] = ()
    """Addresses where its frontends listen, as far as they are told."""
    from_file: bool = False
    state_file: str = ""
    """The server-state file that its next process reads, as an estate names it; empty where there is none, or where it
    is not known."""


@dataclass(frozen=True, slots=True)
class FoundFamily:
    """A family of HTTP metrics that a Prometheus has: its name in `state.discovery.families`, the labels by which it
    tells services, answers and releases, the services, and how often samples come in seconds."""

    family: str
    service: str
    code: str
    services: tuple[str, ...]
    release: str = ""
    durations: bool = False
    interval: float | None = None
    window: float | None = None
    stale_after: float | None = None
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Labels by which series of one service differ (environment, reporter), with their values."""


@dataclass(frozen=True, slots=True)
class FoundMetrics:
    """A Prometheus, or what answers like it."""

    address: str
    version: str = ""
    families: tuple[FoundFamily, ...] = ()
    dotted: tuple[str, ...] = ()
    """Metrics of HTTP whose names have dots, which cannot be asked for by name here."""
    balancers: tuple[str, ...] = ()
    """The HAProxy processes that it scrapes, as it names them."""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class FoundAlerting:
    """An Alertmanager: the alerts that may be its watchdog, severities in use, the members of its cluster."""

    address: str
    version: str = ""
    watchdogs: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    silent_peers: tuple[str, ...] = ()
    """Addresses of members of the cluster whose API was not found."""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A record of a zone, relative to it, and its answers now."""

    name: str
    type: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundZone:
    """A zone: its authoritative servers as address:port and records. `whole` when the server gave all of them."""

    address: str
    zone: str
    servers: tuple[str, ...]
    records: tuple[FoundRecord, ...] = ()
    whole: bool = False


Fact = FoundCluster | FoundBalancer | FoundMetrics | FoundAlerting | FoundZone | Unreached
