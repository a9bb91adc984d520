"""Alerts: no firing alert is a pass only while a watchdog alert proves that alerting works."""

from __future__ import annotations

from state.health import Health
from state.verdicts.evidence import no_data_reason
from state.world.readings import Alert, AlertsReading
from state.world.world import World

_FIRING = ("active", "firing", "unprocessed")


def firing(reading: AlertsReading, severity: str | None = None) -> tuple[Alert, ...]:
    """Alerts that fire and are not suppressed, of one severity or all; never the watchdog itself."""
    return tuple(
        a
        for a in reading.alerts
        if a.state in _FIRING and a.name.lower() != "watchdog" and severity in (None, a.severity)
    )


def alerts_verdict(world: World, now_mono: float, severity: str | None = None) -> tuple[Health, str]:
    """All alert sources together: a critical alert fails, another warns, no answer or no watchdog is unknown."""
    keys = world.keys("alerts")
    if not keys:
        return Health.UNKNOWN, "the estate has no alert source"
    found: list[Alert] = []
    doubts: list[str] = []
    for key in keys:
        name = key.partition(":")[2]
        reading = world.fresh(key, AlertsReading, now_mono)
        if reading is None:
            doubts.append(f"{name}: {no_data_reason(world.observed.get(key))}")
            continue
        found += firing(reading, severity)
        if not reading.watchdog:
            doubts.append(f"{name}: no watchdog alert, so alerting may be down")
    kind = f"{severity} " if severity else ""
    if found:
        names = ", ".join(dict.fromkeys(a.name for a in found[:5]))
        critical = any(a.severity == "critical" for a in found)
        message = f"{len(found)} {kind}firing: {names}"
        return Health.FAIL if critical else Health.WARN, "; ".join([message, *doubts])
    if doubts:
        return Health.UNKNOWN, "; ".join(doubts)
    return Health.PASS, f"no {kind}alert fires, watchdog seen"
