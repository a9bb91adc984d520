"""The estate: what exists and what was promised, as validated values.

`Estate` is built from files by `state.estate.parse` (places in errors, references, cycles). Durations are seconds,
sizes bytes, ratios 0 to 1. Adapter-specific settings stay in `options`, validated by the adapter's own model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from state.units import parse_duration, parse_ratio, parse_size

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
"""Names end up in commands to targets, so they are letters, digits, dot, dash and underscore only."""

Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
Ratio = Annotated[float, BeforeValidator(parse_ratio), Field(ge=0, le=1)]
Role = Literal["observer", "responder", "commander", "approver", "access-admin", "auditor"]
Environment = Literal["production", "staging", "lab", "drill"]


class Entry(BaseModel):
    """Base of every entry: unknown keys are refused, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretRef(Entry):
    """Where a secret is read from at run time; exactly one of file, env, command. Never the secret itself."""

    file: str | None = None
    env: str | None = None
    command: tuple[str, ...] | None = None


class Site(Entry):
    """A place that can be lost as a whole."""

    title: str = ""


class Person(Entry):
    """Somebody with roles; `accounts` are operating-system accounts the kernel will vouch for."""

    title: str = ""
    accounts: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()


class ServiceTrafficEntry(Entry):
    """Where a service is balanced, how many servers must serve per balancer, which colour runs which release."""

    balancers: tuple[Name, ...]
    backend: Name
    floor: int = Field(default=1, ge=0)
    colours: Mapping[Name, str] = Field(default_factory=dict)


class Objectives(Entry):
    """What healthy means: highest 5xx ratio and, where given, highest p99 in seconds."""

    error_ratio: Ratio = 0.01
    p99: Seconds | None = None


class MetricsEntry(Entry):
    """Which monitors know the service, best first, and the label it has there."""

    monitors: tuple[Name, ...]
    service: str


class Service(Entry):
    """A named unit of value with its promise: tier (1 first), RTO seconds, RPO bytes."""

    tier: int = Field(ge=1, le=5)
    rto: Seconds
    rpo: Bytes
    owners: tuple[Name, ...] = ()
    depends_on: tuple[Name, ...] = ()
    state: Literal["stateless", "sessions", "stateful"] = "stateless"
    traffic: ServiceTrafficEntry | None = None
    objectives: Objectives = Objectives()
    metrics: MetricsEntry | None = None


class DatabaseNode(Entry):
    """One node: its site, server address host:port and manager URL."""

    site: Name
    postgres: str
    api: str


class DatabaseEntry(Entry):
    """A replicated database cluster under a manager (`kind: patroni`).

    `frontends` names the balancers' backends that lead to it by role: there a server whose node has the other role
    is down by design. Server names are node names.
    """

    kind: Name
    scope: Name
    rpo: Bytes = 0
    database: str = "postgres"
    user: str
    password: SecretRef | None = None
    tls: Literal["verify-full", "loopback"] = "verify-full"
    ca: str | None = None
    api_user: str | None = None
    api_password: SecretRef | None = None
    frontends: Mapping[Name, Literal["primary", "standby"]] = Field(default_factory=dict)
    nodes: Mapping[Name, DatabaseNode]


class Adapted(BaseModel):
    """An entry whose remaining keys belong to the adapter named by `kind`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: Name

    @property
    def options(self) -> dict[str, Any]:
        """The adapter's own settings, as written."""
        return dict(self.model_extra or {})


class BalancerEntry(Adapted):
    """A load balancer; the rest is its adapter's."""

    site: Name


class MonitorEntry(Adapted):
    """A source of metrics, alerts or probes."""


class DnsRecord(Entry):
    """A record and the answers it should give."""

    name: Name
    type: Literal["A", "AAAA", "CNAME"] = "A"
    expect: tuple[str, ...]


class ZoneEntry(Adapted):
    """A DNS zone and the records that matter here."""

    records: tuple[DnsRecord, ...] = ()


class FaultsEntry(Adapted):
    """Where faults may be injected; only laboratories and drills have it."""


class Polling(Entry):
    """How often sources are read, how long one read may take, and when a value is old (seconds)."""

    every: Seconds = 1.0
    deadline: Seconds = 0.9
    stale_after: Seconds = 3.0


class ConfirmPolicy(Entry):
    """How long a card ignores input after opening, and how long a plan lives (seconds)."""

    arm: Seconds = 0.5
    plan_expires: Seconds = 120.0


class Policies(Entry):
    """Rules of this estate."""

    confirm: ConfirmPolicy = ConfirmPolicy()
    second_person: tuple[Literal["B2", "B3"], ...] = ()


class Estate(Entry):
    """The whole estate. Keys of every mapping are names other entries refer to."""

    estate: Name
    environment: Environment
    sites: Mapping[Name, Site]
    people: Mapping[Name, Person] = Field(default_factory=dict)
    services: Mapping[Name, Service] = Field(default_factory=dict)
    databases: Mapping[Name, DatabaseEntry] = Field(default_factory=dict)
    balancers: Mapping[Name, BalancerEntry] = Field(default_factory=dict)
    zones: Mapping[Name, ZoneEntry] = Field(default_factory=dict)
    monitors: Mapping[Name, MonitorEntry] = Field(default_factory=dict)
    polling: Polling = Polling()
    runbooks: tuple[str, ...] = ("runbooks",)
    policies: Policies = Policies()
    faults: FaultsEntry | None = None
