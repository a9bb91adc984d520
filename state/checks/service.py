"""Checks on services: within all objectives, or under an error ratio by every monitor that answers."""

from __future__ import annotations

from state.checks.hands import service_by_hand
from state.checks.model import Answer, CheckArgs, CheckKind, answered, unknown
from state.config_files.suggestions import not_found
from state.estate.model import Estate, Name, Ratio
from state.health import Health
from state.units import percent
from state.verdicts.figures import counted_errors, usable_traffic
from state.verdicts.replication import cluster_verdict
from state.verdicts.service import service_verdicts
from state.world.world import World


class Healthy(CheckArgs):
    """Which service."""

    service: Name


class ErrorsBelow(CheckArgs):
    """Which service, and the ratio of 5xx answers it must stay under or at."""

    service: Name
    ratio: Ratio


def healthy(args: Healthy, world: World, estate: Estate, now_mono: float) -> Answer:
    """Pass only within all objectives; a warning does not pass, since it names a problem."""
    _known(estate, args.service)
    databases = {n: cluster_verdict(n, e, world, now_mono).health for n, e in estate.databases.items()}
    verdict = service_verdicts(estate, world, now_mono, databases)[args.service]
    message = f"{args.service}: {verdict.message}"
    fails = any(databases.get(n) is Health.FAIL for n in verdict.waits_for)
    silent = bool(verdict.own) and all(finding.silent for finding in verdict.own) and not fails
    if verdict.health is Health.UNKNOWN or silent:  # a source that is not read yet is no failure
        return unknown(message)
    return answered(verdict.health is Health.PASS, message)


def errors_below(args: ErrorsBelow, world: World, estate: Estate, now_mono: float) -> Answer:
    """By every monitor that has figures: the highest error ratio counts, whichever monitor is preferred."""
    _known(estate, args.service)
    metrics = estate.services[args.service].metrics
    if metrics is None:
        return unknown(f"{args.service} has no metrics in the estate")
    ratios: list[float] = []
    counted: list[str] = []
    lacking: list[str] = []
    for monitor in metrics.monitors:
        traffic, finding = usable_traffic(world, monitor, metrics.service, now_mono)
        ratio = None
        if traffic is not None:
            ratio, finding = counted_errors(traffic)
        (lacking if ratio is None else counted).append(f"{monitor}: {finding}")
        if ratio is not None:
            ratios.append(ratio)
    if not ratios:
        return unknown(*lacking)
    # What decides stands first: a monitor that was not read yet is why neither of a pass nor of a failure.
    return answered(max(ratios) <= args.ratio, *counted, f"limit {percent(args.ratio)}", *lacking)


def _known(estate: Estate, service: str) -> None:
    if service not in estate.services:
        raise not_found("service", service, estate.services)


KINDS = (
    CheckKind(
        "service.healthy", "service within its objectives", Healthy, healthy, ("monitors",), by_hand=service_by_hand
    ),
    CheckKind(
        "service.errors-below",
        "service answers with few errors",
        ErrorsBelow,
        errors_below,
        ("monitors",),
        by_hand=service_by_hand,
    ),
)
