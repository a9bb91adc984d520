"""Screen 1: services by recovery priority with the reason for each verdict, alerts, probes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from state.api.views.causes import Cause
from state.api.views.header import RtoClock
from state.api.views.overview import AlertRow, OpenRunRow, OverviewView, ProbeRow, RecoverRow, ServiceRow
from state.estate.model import Estate, Service
from state.health import Health
from state.runs.fold import RunHistory
from state.runs.model import Run
from state.units import millis
from state.verdicts.alerts import KnownAlert, alerts_verdict
from state.verdicts.evidence import no_data_reason, worst
from state.verdicts.priority import Priority, advice
from state.verdicts.service import ServiceVerdict, probes
from state.verdicts.situation import Place
from state.verdicts.traffic import active_message
from state.views.context import ViewContext
from state.views.situation import Picture
from state.world.balancer_parts import BalancerReading
from state.world.readings import ProbeReading
from state.world.world import World


def build(context: ViewContext) -> OverviewView:
    """Build the overview; a service that is or was impaired has its RTO clock."""
    estate, world, now_mono = context.estate, context.world, context.now_mono
    found, verdicts = context.picture, context.services
    ranked = [p for p in found.order if p.name in estate.services]
    alerts = alerts_verdict(estate, world, now_mono)
    health, message = summary(found, context.causes, alerts.health if world.keys("alerts") else Health.PASS)
    view = OverviewView(
        health=health,
        summary=message,
        advice=advice(found.order, context.healths),
        alerts_health=alerts.health if world.keys("alerts") else None,
        alerts_message=alerts.message,
        alerts_firing=len(alerts.firing) if alerts.firing or alerts.proven else None,
        alerts_suppressed=len(alerts.suppressed),
        recover={f"{p.kind}/{p.name}": _recover_row(order, p, found) for order, p in enumerate(found.places, 1)},
        services={
            p.name: _service_row(estate, world, now_mono, place, p, verdicts[p.name], found.clocks.get(p.name))
            for place, p in enumerate(ranked, 1)
        },
        alerts=_alert_rows(alerts.shown, estate),
        probes=_probe_rows(estate, world, now_mono),
        runs={run.id: _open_run(run) for run in reversed(context.of(RunHistory).open())},
    )
    return context.memory.keep("overview", view)


def summary(found: Picture, causes: Sequence[Cause], alerts: Health) -> tuple[Health, str]:
    """The line about everything. Only a pass of every row, without any cause and with alerting proven, is a pass."""
    healths = [p.health for p in found.places]
    health = worst([*healths, *(c.health for c in causes), alerts])
    count = len(healths)
    if not count:
        return Health.UNKNOWN, "nothing is watched: the estate has no service and no database"
    if health is Health.PASS:
        return health, f"all {count} within their objectives"
    failing, unknown = healths.count(Health.FAIL), healths.count(Health.UNKNOWN)
    told = [f"{n} {word}" for n, word in ((failing, "failing"), (unknown, "unknown")) if n]
    warned = healths.count(Health.WARN)
    told += [f"{warned} impaired"] if warned else []
    if not told:
        told = ["alerting is not proven"] if alerts is Health.UNKNOWN else [f"{len(causes)} to look at"]
    return health, f"{', '.join(told)} of {count}" if failing or unknown or warned else ", ".join(told)


def _open_run(run: Run) -> OpenRunRow:
    done = sum(1 for step in run.steps if run.settled(step))
    asked = run.asking()
    said = (asked[0].step.question if asked else "") or run.message or f"{done} of {len(run.steps)} steps"
    return OpenRunRow(run.id, run.runbook or run.title, run.shown_state(), said)


def _recover_row(order: int, place: Place, found: Picture) -> RecoverRow:
    clock = found.clocks.get(place.name)
    running = clock is not None and clock.ended_mono is None  # also while the first good readings are counted
    return RecoverRow(
        kind=place.kind,
        name=place.name,
        order=order,
        depth=place.depth,
        waits_for=place.waits_for,
        health=place.health,
        since_mono=place.since_mono,
        rto=clock if running else None,
        message=place.message,
        next=place.next,
        sources=place.sources,
        runs=found.runs.get(place.name, ()),
    )


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


SERVICE_LABELS = ("service", "job", "app")
"""Labels of an alert that usually name a service."""


def _alert_rows(shown: Sequence[KnownAlert], estate: Estate) -> dict[str, AlertRow]:
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
            service=_service_of(known.alert.labels, estate),
            copies=known.alert.copies,
        )
        for known in shown
    }


def _service_of(labels: Mapping[str, str], estate: Estate) -> str:
    """The service that an alert is about, by the labels that usually name one; empty when none does."""
    named = (labels.get(label, "") for label in SERVICE_LABELS)
    return next((name for name in named if name in estate.services), "")


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
