"""How each check is read without this product: for the page that a person follows when the console is down."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from state.estate.model import Estate, HandStep
from state.estate.own import LOCAL
from state.estate.own_checks import HttpCheck, PromqlCheck, SqlCheck
from state.units import percent


def traffic_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The servers of one backend, as their balancer shows them."""
    return [estate.balancers[args.balancer].read_by_hand(args.backend)]


def database_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The members of one cluster, and of each server whether it accepts writes."""
    asked = HandStep("on each node, on its own server: f accepts writes", 'psql -Atc "select pg_is_in_recovery()"')
    return [estate.databases[args.database].read_by_hand(), asked]


def service_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The objectives in words, where they are measured, and what the service needs."""
    return list(_service(args.service, estate))


def _service(name: str, estate: Estate) -> Iterator[HandStep]:
    service = estate.services[name]
    limit = f"{name}: at most {percent(service.objectives.error_ratio)} of its answers are errors"
    if service.objectives.p99 is not None:
        limit += f", and 99 of 100 come within {service.objectives.p99:g} s"
    yield HandStep(limit)
    if service.metrics is not None:
        yield HandStep(f"measured by {', '.join(service.metrics.monitors)}, there it is {service.metrics.service}")
    if service.depends_on:
        yield HandStep(f"what it needs is well too: {', '.join(service.depends_on)}")


def alerts_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """Every monitor that may have alerts."""
    severity = f" of severity {args.severity}" if args.severity else ""
    return [
        HandStep(f"no alert{severity} fires in {', '.join(estate.monitors) or 'any monitor'}, and the watchdog does")
    ]


def recorded_alerts_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """Every monitor that may have alerts."""
    del args
    return [HandStep(f"write down what fires in {', '.join(estate.monitors) or 'any monitor'}, and since when")]


def dns_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """One record at every server of its zone."""
    zone = estate.zones[args.zone]
    expected = args.answers or next((r.expect for r in zone.records if r.name == args.record), ())
    return [
        *zone.read_by_hand(args.zone, args.record),
        HandStep(f"each must answer {', '.join(expected)} and nothing else"),
    ]


def own_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The question of the estate as it stands there, and what passes; credentials are not shown."""
    entry = estate.checks[args.check]
    if entry.promql is not None:
        return [HandStep(f"ask {entry.promql.monitor}, {_passes(entry.promql)}: {entry.promql.query}")]
    if entry.http is not None:
        command = f"curl -sS -i {shlex.quote(entry.http.url)}"
        return [HandStep(f"get {entry.http.url} with its headers, {_passes(entry.http)}", command)]
    if entry.sql is not None:
        return [HandStep(f"at the primary of {entry.sql.database}, {_passes(entry.sql)}: {entry.sql.query}")]
    if entry.session is not None:
        there = " and ".join(entry.session.accept.values())
        return [HandStep(f"log in at {entry.session.login}, then open {there} with that session: it must be accepted")]
    if entry.keys is not None:
        commands = "; ".join(f"curl -sS {shlex.quote(url)}" for url in entry.keys.at.values())
        return [HandStep("compare the signing keys: all must publish the same ones", commands)]
    assert entry.command is not None, "a check asks exactly one thing"
    where = "here, as the engine's account" if entry.command.on == LOCAL else f"on {entry.command.on}"
    codes = " or ".join(map(str, entry.command.passes))
    fails = " or ".join(map(str, entry.command.fails))
    said = f"exit code {codes} passes, {fails} fails, any other one tells nothing"
    return [HandStep(f"run {where}: {said}", shlex.join(entry.command.argv))]


def _passes(asked: PromqlCheck | HttpCheck | SqlCheck) -> str:
    fails = f", and fails with {asked.fails}" if asked.fails is not None else ""
    return f"which passes with {asked.passes}{fails}"
