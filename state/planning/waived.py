"""Which protections the estate waives for what a plan uses: its targets, what its checks read, and the hosts that
lead there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from state.api.card import CardWarning, WarningKind
from state.changes.floors import services_of
from state.estate.model import Adapted, Estate
from state.estate.waivers import ReasonedWaivers
from state.planning.plan import Draft
from state.runs.steps import PlannedStep

OF_ALERTS = ("alerts.none", "evidence.alerts")
"""Checks that read every monitor of alerts."""


def waived(draft: Draft, estate: Estate) -> tuple[CardWarning, ...]:
    """One warning for each waiver of each entry that a step names or reads, in the order of the estate."""
    used = {name for step in draft.steps for name in _names(step, estate)}
    sections = (estate.databases, estate.balancers, estate.zones, estate.monitors)
    targets: list[tuple[str, Adapted]] = [
        (name, entry) for section in sections for name, entry in section.items() if name in used
    ]
    ways = {host for _, entry in targets for host in entry.through}
    entries: list[tuple[str, ReasonedWaivers]] = [(name, entry.waive) for name, entry in targets]
    entries += [(name, host.waive) for name, host in estate.hosts.items() if name in ways]
    entries += [each for step in draft.steps for each in _own(step, estate)]
    found = [
        CardWarning(WarningKind.WAIVED, name, reason, what)
        for name, waivers in entries
        for what, reason in waivers.given.items()
    ]
    return tuple(dict.fromkeys(found))


def _names(step: PlannedStep, estate: Estate) -> Iterator[str]:
    """Names in the arguments of a step, and what judges the services that it touches."""
    args = [value for value in step.args.values() if isinstance(value, str)]
    yield from args
    if step.what in OF_ALERTS:
        yield from (name for name, entry in estate.monitors.items() if entry.kind == "alertmanager")
    touched = services_of(estate, str(step.args.get("balancer", "")), str(step.args.get("backend", "")))
    judged = _with_needs(args, estate) if step.do == "check" else args
    for service in (*touched, *judged):
        yield service  # what it depends on may be a database
        yield from _probing(service, estate)
        entry = estate.services.get(service)
        if entry is not None and entry.metrics is not None:
            yield from entry.metrics.monitors
        if entry is not None and entry.traffic is not None:
            yield from entry.traffic.balancers
        if entry is not None:
            yield from (part for name in entry.objectives.checks for part in _asked(name, estate))
    yield from _asked(str(step.args.get("check")), estate)
    statement = estate.sql_calls.get(str(step.args.get("statement")))
    if statement is not None:
        yield statement.database


def _with_needs(names: Iterable[str], estate: Estate) -> Iterator[str]:
    """Names, and of services among them everything that they depend on: their health is judged by it."""
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting += estate.services[name].depends_on if name in estate.services else ()


def _probing(service: str, estate: Estate) -> Iterator[str]:
    """The monitors that probe a service."""
    for name, entry in estate.monitors.items():
        if any(probe.service == service for probe in entry.probes.values()):
            yield name


def _asked(check: str, estate: Estate) -> Iterator[str]:
    """The monitor or database that an own check asks."""
    entry = estate.checks.get(check)
    if entry is not None and entry.promql is not None:
        yield entry.promql.monitor
    if entry is not None and entry.sql is not None:
        yield entry.sql.database


def _own(step: PlannedStep, estate: Estate) -> Iterator[tuple[str, ReasonedWaivers]]:
    """The waivers of what is the estate's own: its calls, its checks, and the hosts of its commands."""
    call, command = str(step.args.get("call")), estate.commands.get(str(step.args.get("command")))
    if call in estate.http_calls:
        yield call, estate.http_calls[call].waive
    on = [command.on] if command is not None else []
    checks = {str(step.args.get("check"))}
    for service in (each for each in step.args.values() if isinstance(each, str)):
        checks |= set(estate.services[service].objectives.checks) if service in estate.services else set()
    for name in (each for each in estate.checks if each in checks):
        entry = estate.checks[name]
        for asked in (entry.http, entry.session, entry.keys):
            if asked is not None:
                yield name, asked.waive
        on += [entry.command.on] if entry.command is not None else []
    yield from ((host, estate.hosts[host].waive) for host in on if host in estate.hosts)
