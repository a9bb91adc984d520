"""What a grant is: its bundle of rights, its state at the target, the sessions under it, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Bundle(StrEnum):
    """A set of rights that is given as one. Only `superuser` makes its holder one: a tier of its own, after whose end
    what it left is looked at."""

    READ_ALL = "read-all"
    MONITOR = "monitor"
    TERMINATE = "terminate"
    CONFIG_RELOAD = "config-reload"
    SCHEMA_FIX = "schema-fix"
    SUPERUSER = "superuser"


class TargetState(StrEnum):
    """What the target itself says of a grant that is there: made without a login, open for one person, or ending."""

    ARMED = "armed"
    OPEN = "open"
    ENDING = "ending"


class ResidueKind(StrEnum):
    """What a grantee can leave behind. `definer` are functions that run with the rights of their owner."""

    PREPARED = "prepared"
    OWNED = "owned"
    RIGHT = "right"
    DEFINER = "definer"
    MAPPING = "mapping"
    DEFAULTS = "default-privileges"
    PASSED_ON = "passed-on"
    SLOT = "slot"
    CLOSED_DATABASE = "closed-database"
    CRONTAB = "crontab"
    AT_JOB = "at-job"
    LINGERING = "lingering"
    USER_UNIT = "user-unit"
    AUTHORIZED_KEYS = "authorized-keys"
    SETUID = "setuid"
    ACCOUNTS = "accounts"
    HOST_FILE = "host-file"


@dataclass(frozen=True, slots=True)
class Residue:
    """One thing that a grant left, in a database of the cluster; `(cluster)` for what all of them share."""

    kind: ResidueKind
    database: str
    thing: str


@dataclass(frozen=True, slots=True)
class GrantSession:
    """A session under a grant, at one node. `since` in epoch seconds; `doing` is the first word of its statement."""

    node: str
    pid: int
    database: str
    backend: str
    state: str
    program: str
    client: str
    since: float
    doing: str


@dataclass(frozen=True, slots=True)
class TargetGrant:
    """A role with raised rights as the target tells it. `ours`: it carries the mark of a grant; of the others the
    fields of the mark are empty. `ends` and `valid_until` in epoch seconds by the target's clock, None = never."""

    oid: int
    role: str
    ours: bool
    can_login: bool
    superuser: bool
    rights: str
    valid_until: float | None
    grant: str = ""
    effect: str = ""
    bundle: str = ""
    person: str = ""
    ticket: str = ""
    made: float | None = None
    ends: float | None = None
    state: TargetState | None = None
    secret: str = ""
    extended_by: str = ""
    certificate: str = ""
    """What its person logs in with, besides the private key; public. Empty where secrets are taken."""


@dataclass(frozen=True, slots=True)
class Door:
    """One way to log in, tried at the target itself without what only the person has. `accepted` is None when that is
    not known; `told` is why."""

    name: str
    accepted: bool | None
    told: str = ""


@dataclass(frozen=True, slots=True)
class PoolerSeen:
    """What a pooler in front of a cluster tells. `forced`: the entries that log in as another user than their client,
    and as whom; `paused` are entries where everybody waits. `clients` and `servers`: how many clients it has, and how
    many sessions it keeps at servers, by user. `shares`: it shares its port with others, and any of them may have
    answered. `disguised`: the entries of another user where it has clients, by user; one of them may be made by
    `*`, of which it does not tell before somebody uses it."""

    forced: Mapping[str, str]
    paused: Sequence[str]
    clients: Mapping[str, int]
    servers: Mapping[str, int]
    shares: bool = False
    disguised: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccessSeen:
    """What all nodes of a cluster tell. `clock` is the primary's, epoch seconds. `unread` are the nodes that did not
    answer and why: nothing is known of sessions there. `reapers` are the grants whose end is waited for inside a
    server, per node. `wal` is how far each node has got, in bytes: what the primary has written, what a standby has
    replayed. `admitting` are the grants whose role can log in at a node by what that node knows. `unable`: what the
    accounts lack to end a grant, empty when nothing. `logged`: which statements the server's log has
    (`log_statement`). `system` is which cluster or machine it says it is, empty where it does not."""

    roles: Sequence[TargetGrant]
    sessions: Mapping[int, Sequence[GrantSession]]
    starting: Mapping[str, Sequence[int]]
    reapers: Mapping[str, Sequence[int]]
    clock: float
    primary: str = ""
    unable: str = ""
    logged: str = ""
    wal: Mapping[str, int] = field(default_factory=dict)
    admitting: Mapping[str, Sequence[int]] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    poolers: Mapping[str, PoolerSeen] = field(default_factory=dict)
    doors: Mapping[int, Sequence[Door]] = field(default_factory=dict)
    """Of grants that end or are over, by OID: the logins that were tried."""
    unmarked: Mapping[int, str] = field(default_factory=dict)
    """Roles without a mark that have the OID of a grant that was asked for, by OID."""
    system: str = ""

    def role(self, oid: int) -> TargetGrant | None:
        """The role of this OID, None when it is gone."""
        return next((each for each in self.roles if each.oid == oid), None)


@dataclass(frozen=True, slots=True)
class Armed:
    """A role that was made for a grant: its OID, and its end by the target's clock in epoch seconds."""

    oid: int
    ends: float


LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL; what is longer is cut there, and may be another one's then."""


def role_name(grant: str, person: str) -> str:
    """The role of a grant: its own part comes first, so that two never share a name when the person's is cut."""
    told = "".join(c if c.isascii() and c.isalnum() else "_" for c in person.lower())
    return f"bg_{grant.lower().replace('-', '')}_{told}"[:LONGEST_NAME]


def host_target(host: str) -> str:
    """A host as a place where access is given. No name of an estate has a space: no database is meant."""
    return f"host {host}"


def host_of_target(place: str) -> str:
    """The name of the host, empty for another place."""
    return place.removeprefix("host ") if place.startswith("host ") else ""


LONGEST_ACCOUNT = 32
"""Characters of the name of an account on Linux."""


def account_name_of(grant: str, person: str) -> str:
    """The account of a grant on a host, its own part first."""
    return role_name(grant, person).lower()[:LONGEST_ACCOUNT]


@dataclass(frozen=True, slots=True)
class EndProof:
    """What was read when a grant was over: no role, and no session of its OID at any of the nodes, twice.

    `at` is the target's clock, epoch seconds; `residue` is what had been left and was handed over or revoked; `logged`
    which statements the server's log has.
    """

    at: float
    nodes: Sequence[str]
    residue: Sequence[Residue] = ()
    was_gone: bool = False
    logged: str = ""
    refused: Sequence[str] = ()
    """The logins that were tried and refused."""


class EndObstacle(StrEnum):
    """Why a grant has not ended yet."""

    UNREAD = "unread"
    ELSEWHERE = "elsewhere"
    """What answers there now is another cluster or machine than the one where it was given."""
    LOGIN = "login-open"
    SESSIONS = "sessions"
    STARTING = "starting"
    RESIDUE = "residue"
    BEHIND = "behind"
    """A node has not heard of the end yet and would let it in."""
    POOLED = "pooled"
    ROLE = "role-there"


@dataclass(frozen=True, slots=True)
class NotEnded:
    """What is against the end of a grant: `told` are the facts, `way_out` what a person does if it stays."""

    obstacle: EndObstacle
    told: str
    way_out: str
    sessions: int | None = None
