"""Alerts as causes: those that no other cause explains, and alerting that proves nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from state.api.views.causes import Cause, SubjectKind
from state.estate.model import Estate
from state.health import Health
from state.units import utc
from state.verdicts.alerts import KnownAlert, alerts_verdict
from state.verdicts.cause_parts import hand
from state.verdicts.evidence import rank, worst
from state.world.readings import AlertsReading
from state.world.world import World

BESIDE = {Health.WARN: "is impaired", Health.UNKNOWN: "is unknown", Health.FAIL: "fails"}
SHOWN = 300
"""So many signs of an alert's own text are shown in its cause."""


def alert_causes(
    estate: Estate, world: World, now_mono: float, told: Mapping[str, Health], others: Sequence[Cause] = ()
) -> list[Cause]:
    """Firing alerts by name. One that has a label with a name in `told` has its cause there already, unless it is worse
    than what is told there: a warning explains no critical alert. Then that cause of `others` is named with it."""
    verdict = alerts_verdict(estate, world, now_mono)
    by_name: dict[str, list[KnownAlert]] = {}
    for known in verdict.firing:
        said = max((rank(told[n]) for n in known.alert.labels.values() if n in told), default=0)
        if rank(known.alert.health) > said:
            by_name.setdefault(known.alert.name, []).append(known)
    found = [_beside(_firing(name, alerts, world), alerts, others) for name, alerts in by_name.items()]
    keys = world.keys("alerts")
    silent = any(world.fresh(key, AlertsReading, now_mono) is None for key in keys)  # then that source is the cause
    if keys and not verdict.proven and not silent:
        steps = "By hand: look whether the monitor's watchdog alert still fires and reaches its Alertmanager."
        if verdict.awaited is not None:
            steps = f"Wait until {utc(verdict.awaited)}: nothing is known to be wrong. Without the alert then: {steps}"
        found.append(_cause("alerts/unproven", "alerts", Health.UNKNOWN, verdict.message, steps, keys))
    return found


def _firing(name: str, alerts: Sequence[KnownAlert], world: World) -> Cause:
    """Since the oldest of them fires by its own time, not since the engine first saw it."""
    first = alerts[0].alert
    count = f", {len(alerts)} times" if len(alerts) > 1 else ""
    summary = first.summary
    if len(summary) > SHOWN:
        summary = f"{summary[:SHOWN]}… (whole on Alerts, Enter on its row)"
    what = f"alert fires{count}: {summary}" if summary else f"alert fires{count}"
    steps = "No cause of this alert is known here. By hand: follow the alert's own runbook or description."
    health = worst(known.alert.health for known in alerts)
    sources = tuple(dict.fromkeys(key for known in alerts for key in known.sources))
    made = _cause(f"alert/{name}", name or "an alert without a name", health, what, steps, sources)
    return replace(made, since_mono=_since(alerts, world))


def _beside(cause: Cause, alerts: Sequence[KnownAlert], others: Sequence[Cause]) -> Cause:
    """With what else is known to be wrong with what the alert names: its next step is the first one to take."""
    named = {value for known in alerts for value in known.alert.labels.values()}
    known = next((each for each in others if each.name in named), None)
    if known is None or known.next is None:
        return cause
    beside = f"{cause.detail}; {known.name}: {known.what}"
    return replace(cause, what=f"{cause.what}; {known.name} {BESIDE[known.health]}", detail=beside, next=known.next)


def _since(alerts: Sequence[KnownAlert], world: World) -> float | None:
    """When the oldest began, by the engine's monotonic clock; None where none tells it."""
    starts = [known.alert.started_at for known in alerts if known.alert.started_at > 0]
    seen = world.observed.get(alerts[0].sources[0])
    if not starts or seen is None or seen.at is None or seen.mono is None:
        return None
    return seen.mono - max(0.0, seen.at - min(starts))


def _cause(key: str, name: str, health: Health, what: str, steps: str, sources: tuple[str, ...]) -> Cause:
    detail = f"{name}: {what}"
    step = hand("by hand", steps)
    return Cause(key, SubjectKind.ALERT, name, health, None, what, detail, (), None, step, sources, False)
