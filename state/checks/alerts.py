"""Checks on alerts: no alert fires, and a watchdog alert proves that alerting works."""

from __future__ import annotations

from state.checks.hands import alerts_by_hand
from state.checks.model import Answer, CheckArgs, CheckKind, answered, unknown
from state.estate.model import Estate, Name
from state.estate.severities import known_severities
from state.health import Health
from state.verdicts.alerts import alerts_verdict
from state.world.world import World


class NoAlerts(CheckArgs):
    """Of which severity; all when left out."""

    severity: Name | None = None


def no_alerts(args: NoAlerts, world: World, estate: Estate, now_mono: float) -> Answer:
    """Pass only when every source answered, no alert fires and the watchdog was seen; suppressed ones are named."""
    verdict = alerts_verdict(estate, world, now_mono, args.severity)
    named = args.severity is None or args.severity.lower() in known_severities(estate)
    if not named and not (verdict.firing or verdict.suppressed):
        return unknown(f"{args.severity} is a severity of no monitor here: name it in `severities` of one")
    if verdict.health is Health.UNKNOWN:
        return unknown(verdict.message)
    return answered(verdict.health is Health.PASS, verdict.message)


KINDS = (CheckKind("alerts.none", "no alert fires", NoAlerts, no_alerts, ("monitors",), by_hand=alerts_by_hand),)
