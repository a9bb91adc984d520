"""Screen 1: services, alerts, probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.api.run_states import RunState
from state.api.views.causes import NextStep, SubjectKind
from state.api.views.header import RtoClock
from state.health import Health
from state.units import utc


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service by recovery priority: verdict with reason, figures, dependencies and what it unblocks.

    `p99_beyond`: the 99th percentile is at least `p99`, the highest bound of the service's histogram. `trend` is the
    last minute of errors; the last hour is in the topic `history`.
    """

    name: str
    order: int
    tier: int
    health: Health
    message: str
    rate: float | None
    error_ratio: float | None
    error_limit: float
    p99: float | None
    p99_limit: float | None
    releases: str
    depends_on: tuple[str, ...]
    unblocks: int
    owners: str
    rto: RtoClock | None
    rto_target: float
    rpo_target: int
    source: str
    fallback: bool
    trend: tuple[float, ...]
    p99_beyond: bool


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why an alert is not sent: `kind` is `silenced`, `inhibited` or `muted`; `by` is the author of the silence, the
    alert that inhibits, or the time interval. A silence ends at `until` (epoch seconds, None = not known)."""

    kind: str
    by: str
    until: float | None
    comment: str

    @property
    def text(self) -> str:
        """In words: `silenced by ada until 07:30:00Z`."""
        by = f" by {self.by}" if self.by else ""
        return self.kind + by + (f" until {utc(self.until)}" if self.until is not None else "")


@dataclass(frozen=True, slots=True)
class RecoverRow:
    """One service or database in the order to recover them: causes first, what waits for them below.

    `depth` 0 = a cause, or nothing is wrong with it; more = it waits for `waits_for`, a row above. `since_mono` is the
    first failing reading. `rto` runs while it fails; of a database it is that of its most urgent service. `runs` are
    the open runs that touch it.
    """

    kind: SubjectKind
    name: str
    order: int
    depth: int
    waits_for: str
    health: Health
    since_mono: float | None
    rto: RtoClock | None
    message: str
    next: NextStep | None
    sources: tuple[str, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenRunRow:
    """A run that has not ended: its runbook, and what it says or asks."""

    id: str
    title: str
    state: RunState
    message: str


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert, whichever and how many monitors have it; `started_at` in epoch seconds.

    `health` is the verdict on its severity by the estate's `severities` (PASS: for information). `sources` are the
    keys of all monitors that have it, `source` is the first of them. A suppressed alert does not count as firing.
    `service` is the service that its labels name, empty when they name none. `copies` tell the servers of a pair apart
    that sent it (`replica=a`): it is one alert.
    """

    name: str
    severity: str
    state: str
    started_at: float
    summary: str
    source: str
    health: Health
    suppressed: Suppression | None
    sources: tuple[str, ...]
    service: str = ""
    copies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One HTTP health probe."""

    name: str
    service: str
    site: str
    health: Health
    message: str
    source: str


@dataclass(frozen=True, slots=True)
class OverviewView:
    """Screen 1. `summary` is the one line about everything: it says that all is within its objectives only when that is
    proven. `advice` says what to recover first and why; `alerts_message` why the list may be empty. `recover` is keyed
    `service/NAME` and `database/NAME`; `runs` are those that have not ended, the newest first.

    `alerts_firing` counts the alerts that fire and are not suppressed: None while no monitor proves it. With doubts
    named in `alerts_message` there may be more. `alerts_health` is
    None in an estate without any alert source. `alerts_suppressed` counts those that are silenced, inhibited or muted.
    """

    health: Health
    summary: str
    advice: str
    alerts_health: Health | None
    alerts_message: str
    alerts_firing: int | None
    alerts_suppressed: int
    recover: Mapping[str, RecoverRow]
    services: Mapping[str, ServiceRow]
    alerts: Mapping[str, AlertRow]
    probes: Mapping[str, ProbeRow]
    runs: Mapping[str, OpenRunRow] = field(default_factory=dict)
