"""Screen 5: what every instance runs, the releases that are known, and to which of them a service can go back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from state.health import Health


class ReleaseStanding(StrEnum):
    """What a release is now: it carries the traffic, or is newer than what does; else whether the service can go back
    to it. Only `offered` is safe; `unknown` lacks evidence."""

    SERVES = "serves"
    NEWER = "newer"
    OFFERED = "offered"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


class Way(StrEnum):
    """How a service goes back to a release: to a colour that runs it, by weights or by the entry of a map where colours
    are backends; or by a command that deploys its artifact."""

    FLIP = "flip"
    MAP = "map"
    REDEPLOY = "redeploy"
    NONE = ""


class ReasonKind(StrEnum):
    """What a reason is about: the range of schemas, what undoes the migrations after it, the marker of a release, what
    a later release says against it, a check that must pass, what would run it, what serves now, and that people went
    back from it."""

    SCHEMA = "schema"
    UNDO = "undo"
    MARKER = "marker"
    BLOCKER = "blocker"
    NEED = "need"
    RUNS = "runs"
    NOW = "now"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class ReleaseReason:
    """One thing that was held against a release, and how it came out."""

    kind: ReasonKind
    health: Health
    fact: str


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """One release of a service, keyed `service/digest`. `place` orders those that the service could go back to, the
    best one first; 0 for the others. `fits` is whether it runs on the schema that is there; where it does not, and
    runs on an older one to which the migrations after it would be undone first, these are `schema_now` and
    `schema_to`."""

    key: str
    service: str
    digest: str
    version: str
    commit: str
    change: str
    schema_min: str
    schema_max: str
    reversible_until: str
    recorded_at: float
    actor: str
    standing: ReleaseStanding
    way: Way
    place: int
    fits: Health
    reasons: tuple[ReleaseReason, ...]
    sources: tuple[str, ...]
    schema_now: str = ""
    schema_to: str = ""


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One instance, keyed `service/instance`, or `service/balancer/server` where no page tells what a server runs.

    `digest` is empty and `doubt` says why where nothing proves what it runs. `state` is that of its server at the
    balancers, `share` its largest share of the traffic of one of them. `fits` is whether its release runs on the schema
    that is there. `drift` is why it should not run this.
    """

    key: str
    service: str
    instance: str
    site: str
    server: str
    colour: str
    digest: str
    version: str
    schema_min: str
    schema_max: str
    fits: Health
    state: str
    share: float
    started_at: float | None
    health: Health
    doubt: str
    drift: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseServiceRow:
    """A service with releases. `schema` is the version that its database has, empty where `schema_why` says why not;
    `schema_read` is whether the estate says where. `order` is its place: what fails first, then by recovery order.
    `running` are the releases that carry traffic, for people. `offered` is the digest that it would go back to, empty
    where `forward` says what is left instead."""

    service: str
    health: Health
    message: str
    schema: str
    schema_why: str
    schema_read: bool
    running: str
    drifts: tuple[str, ...]
    offered: str
    forward: str
    order: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleasesView:
    """Screen 5."""

    services: Mapping[str, ReleaseServiceRow]
    instances: Mapping[str, InstanceRow]
    releases: Mapping[str, ReleaseRow]
