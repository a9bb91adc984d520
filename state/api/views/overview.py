"""Screen 1: services, alerts, probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.api.views.header import RtoClock
from state.health import Health


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service by recovery priority: verdict with reason, figures, dependencies and what it unblocks."""

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


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert of the monitors; `started_at` in epoch seconds."""

    name: str
    severity: str
    state: str
    started_at: float
    summary: str
    source: str


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
    """Screen 1. `advice` says what to recover first and why; `alerts_message` why the list may be empty; `databases` is
    the verdict on each database that services may need."""

    advice: str
    alerts_health: Health
    alerts_message: str
    services: Mapping[str, ServiceRow]
    alerts: Mapping[str, AlertRow]
    probes: Mapping[str, ProbeRow]
    databases: Mapping[str, Health]
