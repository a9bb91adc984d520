"""The estate: what exists and its objectives, as validated values.

`Estate` is built from files by `state.estate.parse` (places in errors, references, cycles). Durations are seconds,
sizes bytes, ratios 0 to 1. An entry with a `kind` is an instance of that adapter's own model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, ModelWrapValidatorHandler, ValidationInfo, model_validator

from state.estate.access import AccessEntry
from state.estate.attested import EncryptedAtRest
from state.estate.backups import BackupsEntry
from state.estate.colours import Colour, colour_of
from state.estate.dns_names import FourAddress, RecordName, SixAddress
from state.estate.entry import MOST_SERVERS, Bytes, Entry, Name, ObjectName, Ratio, Seconds, SecretRef
from state.estate.hosts import SshHost
from state.estate.own import CommandEntry
from state.estate.own_calls import HttpCallEntry
from state.estate.own_checks import OwnCheck
from state.estate.own_statements import SqlCallEntry
from state.estate.people import Person
from state.estate.policies import Policies, Polling
from state.estate.releases import InstanceEntry, ServiceReleases
from state.estate.routes import RoutesEntry
from state.estate.safety import SafetyRule
from state.estate.values import (
    BalancerName,
    CommandName,
    HostPort,
    MonitorName,
    NeededName,
    OwnCheckName,
    PersonName,
    ServiceName,
    SiteName,
)
from state.estate.waivers import Waivers
from state.estate.windows import WindowEntry

__all__ = [
    "Bytes",
    "Entry",
    "Estate",
    "Name",
    "ObjectName",
    "Person",
    "Policies",
    "Polling",
    "Ratio",
    "Seconds",
    "SecretRef",
]

Backups = Literal["reserve", "first", "all"]
Environment = Literal["production", "staging", "lab", "drill"]


class Site(Entry):
    """A location that can fail as a whole. `addresses`: those by which clients come to it, as DNS gives them."""

    title: str = ""
    addresses: tuple[FourAddress | SixAddress, ...] = ()


class ServiceTrafficEntry(Entry):
    """The backend of a service, how many servers must serve per balancer, and the release of each colour.

    `backups`: what servers marked `backup` are worth for the floor once no other one serves. `reserve`: nothing;
    `first`: the first of them stands in, as HAProxy does by itself; `all`: all do, as with its `option allbackups`.
    `routes`: its colours are backends of their own, and a map says which of them has the traffic.
    """

    balancers: tuple[BalancerName, ...]
    backend: ObjectName
    floor: int = Field(default=1, ge=0, le=MOST_SERVERS)
    colours: Mapping[ObjectName, Colour] = Field(default_factory=dict)
    backups: Backups = "reserve"
    routes: RoutesEntry | None = None

    @property
    def names_of_colours(self) -> tuple[str, ...]:
        """The colours between which its traffic moves: backends where a map leads to them, else groups of servers."""
        return tuple(self.colours if self.routes is None else self.routes.backends)

    def colour_at(self, backend: str, server: str) -> str:
        """The colour of a server, empty when it has none."""
        return colour_of(self.colours, server) if self.routes is None else self.routes.colour_of(backend)


class Objectives(Entry):
    """The limits for healthy: highest 5xx ratio and, where given, highest p99 in seconds; the estate's own checks that
    must pass."""

    error_ratio: Ratio = 0.01
    p99: Seconds | None = None
    checks: tuple[OwnCheckName, ...] = ()


class MetricsEntry(Entry):
    """Which monitors know the service, best first, and the label it has there."""

    monitors: tuple[MonitorName, ...]
    service: str


class Service(Entry):
    """A service with its objectives: tier (1 first), RTO in seconds, RPO in bytes. `downtime` is what was agreed for
    one change, seconds."""

    tier: int = Field(ge=1, le=5)
    rto: Seconds
    rpo: Bytes
    owners: tuple[PersonName, ...] = ()
    depends_on: tuple[NeededName, ...] = ()
    state: Literal["stateless", "sessions", "stateful"] = "stateless"
    traffic: ServiceTrafficEntry | None = None
    objectives: Objectives = Objectives()
    metrics: MetricsEntry | None = None
    releases: ServiceReleases | None = None
    downtime: Seconds | None = None


Kinds = Mapping[tuple[str, str], type[BaseModel]]
"""The options model of every adapter, by section of the estate and kind: `("balancers", "haproxy")`."""


class Adapted(Entry):
    """An entry that the adapter named by `kind` serves; the adapter's options model is a subclass with its own keys.

    Validated with `Kinds` as context, an entry becomes an instance of the model of its kind. Without them only the
    common fields of all kinds are known.
    """

    section: ClassVar[str]
    kind: Name
    waive: Waivers = Waivers()

    @classmethod
    def model_for(cls, entry: Any, kinds: Kinds) -> type[BaseModel] | None:
        """The options model for the data of an entry: of its kind, else the only one there is, else None."""
        kind = entry.get("kind") if isinstance(entry, Mapping) else None
        models = {name: model for (section, name), model in kinds.items() if section == cls.section}
        only = next(iter(models.values())) if len(models) == 1 else None
        return models.get(kind, only) if isinstance(kind, str) else only

    @property
    def through(self) -> Sequence[str]:
        """The hosts that lead to it."""
        return ()

    @property
    def goes_without(self) -> Sequence[str]:
        """The names of the waivers that this entry needs; an adapter refuses the address that needs one it lacks."""
        return ()

    @model_validator(mode="after")
    def _waives_what_it_needs(self) -> Self:
        self.waive.refuse_needless(type(self), self.goes_without)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _by_kind(cls, entry: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Any:
        if not isinstance(entry, Mapping) or info.context is None:
            return handler(entry)
        model = cls.model_for(entry, info.context)
        if model is None or issubclass(cls, model):
            return handler(entry)
        return model.model_validate(entry, context=info.context)


class DatabaseNode(Entry):
    """One node, its site, and the commands of the estate that act on its host.

    `fence` stops its server so that it stays stopped; its `read` tells whether it is stopped. `rejoin` makes a stopped
    or former primary a standby again without copying everything (pg_rewind), `rebuild` copies everything anew
    (pg_basebackup). They may have the parameters `node`, `source` (the node that leads), `host` and `port` of its
    server.
    """

    site: SiteName
    fence: CommandName | None = None
    rejoin: CommandName | None = None
    rebuild: CommandName | None = None

    @property
    def server(self) -> tuple[str, str]:
        """Host and port of its server; empty where its kind does not have them."""
        return "", ""


class HandStep(NamedTuple):
    """How something is done or read without this product: what, and the command, empty where none is known."""

    what: str
    command: str = ""


DATABASE_ACTS: Mapping[str, str] = {
    "failover": "prove that no other node accepts writes, then let {to} lead with the cluster's own manager",
    "promote": "prove that no other node accepts writes, then promote {to}",
    "schedule": "schedule a switchover to {to} at {at} with the cluster's own manager",
    "unschedule": "take the scheduled switchover back with the cluster's own manager",
    "pause": "pause the cluster's own manager on every node",
    "resume": "let the cluster's own manager act again",
    "reinitialize": "copy the leader to {node} anew with the cluster's own manager: its data is removed",
    "fence": "stop PostgreSQL on {node} so that it stays stopped, and look that it is",
    "rejoin": "stop {node}, pg_rewind it from the primary after its first checkpoint, start it as a standby",
    "rebuild": "stop {node}, remove its data, pg_basebackup it from the primary, start it as a standby",
    "repoint": "let {node} stream from {to}: primary_conninfo, then reload",
    "drop-slot": "drop the slot {slot} of {node}, which must be lost and not in use",
    "restore-point": "on the primary: select pg_create_restore_point('{point}'), and note the position that it prints",
    "prove": "write something on the primary, and look that every standby has it",
}
"""What a person does instead of a change, by its name."""


class DatabaseEntry(Adapted):
    """A replicated database cluster under a manager, and the bytes of data it may lose.

    `frontends` names the balancers' backends that lead to it by role: there a server whose node has the other role
    is down by design. Server names are node names. `checkpoint` is how long the one may take that a manager makes
    before it stops a server: meanwhile nothing shows that it is about to. `backups` say from what it can be restored,
    `encrypted` who attests that it is encrypted at rest. `access` allows grants that end by themselves.
    """

    section = "databases"
    rpo: Bytes = 0
    checkpoint: Seconds = 30.0
    frontends: Mapping[ObjectName, Literal["primary", "standby"]] = Field(default_factory=dict)
    nodes: Mapping[Name, DatabaseNode]
    backups: BackupsEntry | None = None
    access: AccessEntry | None = None
    encrypted: EncryptedAtRest | None = None

    def read_by_hand(self) -> HandStep:
        """How its members, their roles and their lag are read."""
        return HandStep("ask the manager of the cluster for its members, their roles and their lag")

    def switch_over_by_hand(self, to: str | None) -> HandStep:
        """How its leader role is handed over."""
        return HandStep(f"hand the leader role to {to or 'the best candidate'} with the cluster's own manager")

    def restart_by_hand(self, node: str) -> HandStep:
        """How a person restarts the server of a standby."""
        return HandStep(f"restart PostgreSQL of {node}, which must be a standby, with the cluster's own manager")

    def act_by_hand(self, act: str, values: Mapping[str, str]) -> HandStep:
        """How a person does what a change of this name does."""
        return HandStep(DATABASE_ACTS[act].format_map({"to": "the best candidate", **values}))


class BalancerEntry(Adapted):
    """A load balancer."""

    section = "balancers"
    site: SiteName

    def read_by_hand(self, backend: str) -> HandStep:
        """How the servers of a backend are read: state, weight, sessions."""
        return HandStep(f"look at the servers of {backend}: state, weight and sessions")

    def set_by_hand(self, backend: str, server: str, setting: str) -> HandStep:
        """How a server is set: `weight 50`, `state drain`."""
        return HandStep(f"set {server} of {backend} to {setting}")

    def route_by_hand(self, name: str, key: str, value: str) -> HandStep:
        """How an entry of a map is set, in memory and in its file."""
        return HandStep(f"let {key} lead to {value} in {name}, in memory and in the file")


class ProbeEntry(Entry):
    """An HTTP probe: its site and the service it stands for."""

    site: SiteName
    service: ServiceName


class MonitorEntry(Adapted):
    """A source of metrics, alerts, probes or versions."""

    section = "monitors"

    @property
    def probes(self) -> Mapping[str, ProbeEntry]:
        """What it probes, by name; its sources are `probe:<monitor>/<name>`."""
        return {}

    @property
    def instances(self) -> Mapping[str, InstanceEntry]:
        """The instances that it asks for what they run, by name; its sources are `version:<monitor>/<name>`."""
        return {}

    @property
    def alert_severities(self) -> Sequence[str]:
        """The severities of alerts that it lists, besides the usual ones."""
        return ()

    @property
    def alert_cluster(self) -> str:
        """Monitors with the same name here have the same alerts, each of them all; empty for one on its own."""
        return ""


class DnsRecord(Entry):
    """A record, its expected answers, and the service that is reached by it; left out, the service of the same name."""

    name: RecordName
    type: Literal["A", "AAAA", "CNAME"] = "A"
    expect: tuple[str, ...]
    service: ServiceName | None = None


class ZoneEntry(Adapted):
    """A DNS zone and the records that matter here.

    `domain` is its DNS name where the entry has another one, as for one of two views. `resolvers` are asked what
    clients get; they prove nothing about the zone.
    """

    section = "zones"
    domain: Name | None = None
    records: tuple[DnsRecord, ...] = ()
    resolvers: tuple[HostPort, ...] = ()

    def read_by_hand(self, zone: str, record: str) -> Sequence[HandStep]:
        """How a record is read at every server."""
        return [HandStep(f"ask every server of {zone} for {record}")]

    @property
    def changeable(self) -> bool:
        """Whether the entry has what a change of its records needs."""
        return False

    def set_by_hand(self, zone: str, record: str, updates: Sequence[str]) -> Sequence[HandStep]:
        """How a name is changed; `updates` are lines of nsupdate."""
        return [HandStep(f"at the primary server of {zone}: {'; '.join(updates)}")]

    @property
    def asked(self) -> tuple[str, ...]:
        """The servers that are read one by one, if the entry lists them; its sources are `dns:<zone>@<server>`."""
        return ()


class AnchorEntry(Adapted):
    """A place outside of this host that keeps anchors of the journal."""

    section = "anchors"


class FaultsEntry(Adapted):
    """Where faults may be injected; allowed in laboratories and drills only."""

    section = "faults"


LEFT_OUT = r"^(services|databases|balancers|zones|monitors)\.[A-Za-z0-9][A-Za-z0-9._-]{0,300}$"


class InitWishes(Entry):
    """What `recovery init --update` shall not add: paths such as `services.static`."""

    leave_out: tuple[Annotated[str, Field(pattern=LEFT_OUT)], ...] = ()


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
    anchors: Mapping[Name, AnchorEntry] = Field(default_factory=dict)
    hosts: Mapping[Name, SshHost] = Field(default_factory=dict)
    commands: Mapping[Name, CommandEntry] = Field(default_factory=dict)
    http_calls: Mapping[Name, HttpCallEntry] = Field(default_factory=dict)
    sql_calls: Mapping[Name, SqlCallEntry] = Field(default_factory=dict)
    checks: Mapping[Name, OwnCheck] = Field(default_factory=dict)
    windows: Mapping[Name, WindowEntry] = Field(default_factory=dict)
    rules: Mapping[Name, SafetyRule] = Field(default_factory=dict)
    polling: Polling = Polling()
    runbooks: tuple[str, ...] = ("runbooks",)
    policies: Policies = Policies()
    faults: FaultsEntry | None = None
    init: InitWishes = InitWishes()
