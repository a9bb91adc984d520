"""Screen 1: services by recovery priority with the reason for each verdict, alerts, probes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from state.api.views.header import RtoClock
from state.api.views.overview import AlertRow, OverviewView, ProbeRow, ServiceRow
from state.detection.detector import Detector
from state.estate.model import Estate, Service
from state.health import Health
from state.units import millis
from state.verdicts.alerts import KnownAlert, alerts_verdict
from state.verdicts.evidence import no_data_reason
from state.verdicts.priority import Priority, advice, recovery_order
from state.verdicts.service import ServiceVerdict, probes
from state.verdicts.traffic import active_message
from state.views.context import Contribution, ViewContext
from state.world.readings import BalancerReading, ProbeReading
from state.world.world import World


def build(context: ViewContext) -> OverviewView:
    """Build the overview; a service that is or was impaired has its RTO clock."""
    estate, world, now_mono = context.estate, context.world, context.now_mono
    clocks = context.of(Detector).clocks
    ranked = [p for p in _order(context) if p.name in estate.services]
    verdicts = context.services
    alerts = alerts_verdict(estate, world, now_mono)
    view = OverviewView(
        advice="; ".join(each.advice for each in context.contributions if each.advice),
        alerts_health=alerts.health,
        alerts_message=alerts.message,
        alerts_firing=len(alerts.firing) if alerts.firing or alerts.proven else None,
        alerts_suppressed=len(alerts.suppressed),
        services={
            p.name: _service_row(estate, world, now_mono, place, p, verdicts[p.name], clocks.get(p.name))
            for place, p in enumerate(ranked, 1)
        },
        alerts=_alert_rows(alerts.shown),
        probes=_probe_rows(estate, world, now_mono),
        databases={name: context.healths[name] for name in estate.databases},
    )
    return context.memory.keep("overview", view)


def contribute(context: ViewContext) -> Contribution:
    """The clocks of impaired services, and what to recover first."""
    clocks = context.of(Detector).clocks
    return Contribution(clocks=tuple(clocks.values()), advice=advice(_order(context), context.healths))


def _order(context: ViewContext) -> tuple[Priority, ...]:
    clocks = context.of(Detector).clocks
    return recovery_order(context.estate, context.healths, clocks, context.now_mono)


def _service_row(
    estate: Estate,
    world: World,
    now_mono: float,
    order: int,
    place: Priority,
    verdict: ServiceVerdict,
    clock: RtoClock | None,
) -> ServiceRow:
    service = estate.services[place.name]
    traffic = verdict.traffic
    label = service.metrics.service if service.metrics is not None else ""
    return ServiceRow(
        name=place.name,
        order=order,
        tier=service.tier,
        health=verdict.health,
        message=verdict.message,
        rate=_rounded(traffic.rate, 1) if traffic is not None else None,
        error_ratio=_rounded(traffic.error_ratio, 4) if traffic is not None else None,
        error_limit=service.objectives.error_ratio,
        p99=_rounded(traffic.p99, 4) if traffic is not None else None,
        p99_limit=service.objectives.p99,
        releases=_releases(service, world, now_mono),
        depends_on=service.depends_on,
        unblocks=len(place.unblocks),
        owners=", ".join(estate.people[o].title or o if o in estate.people else o for o in service.owners),
        rto=clock,
        rto_target=service.rto,
        rpo_target=service.rpo,
        source=verdict.source or _first_source(service),
        fallback=verdict.fallback,
        trend=world.trend(f"errors/{label}@{verdict.source.partition(':')[2]}") if verdict.source else (),
        p99_beyond=traffic is not None and traffic.p99_beyond,
    )


def _rounded(value: float | None, digits: int) -> float | None:
    """Shorter figures, NaN as no figure; a value that is not zero is not rounded to zero."""
    if value is None or not math.isfinite(value):
        return None
    return round(value, digits) or value


def _first_source(service: Service) -> str:
    return f"metrics:{service.metrics.monitors[0]}" if service.metrics is not None else ""


def _releases(service: Service, world: World, now_mono: float) -> str:
    """Which releases take the traffic, per balancer only where they differ."""
    entry = service.traffic
    if entry is None:
        return ""
    message: dict[str, str] = {}
    for balancer in entry.balancers:
        reading = world.fresh(f"balancer:{balancer}", BalancerReading, now_mono)
        message[balancer] = (
            "?" if reading is None else active_message(reading.of(entry.backend), entry.colours) or "none"
        )
    if len(set(message.values())) == 1:
        return next(iter(message.values()))
    return " | ".join(f"{balancer} {said}" for balancer, said in message.items())


def _alert_rows(shown: Sequence[KnownAlert]) -> dict[str, AlertRow]:
    """Every alert once, by its fingerprint: those that fire first, the worst first."""
    return {
        known.alert.fingerprint: AlertRow(
            name=known.alert.name,
            severity=known.alert.severity,
            state=known.alert.state,
            started_at=known.alert.started_at,
            summary=known.alert.summary,
            source=known.sources[0],
            health=known.alert.health,
            suppressed=known.alert.suppressed,
            sources=known.sources,
        )
        for known in shown
    }


def _probe_rows(estate: Estate, world: World, now_mono: float) -> dict[str, ProbeRow]:
    rows: dict[str, ProbeRow] = {}
    for service, known in probes(estate).items():
        for probe in known:
            reading = world.fresh(probe.key, ProbeReading, now_mono)
            if reading is None:
                health, message = Health.UNKNOWN, no_data_reason(world.observed.get(probe.key))
            else:
                health = Health.PASS if reading.ok else Health.FAIL
                message = f"{reading.status} in {millis(reading.seconds)}"
            rows[probe.key] = ProbeRow(probe.name, service, probe.site, health, message, probe.key)
    return rows
