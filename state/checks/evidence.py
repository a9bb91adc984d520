"""Checks that record: what an investigator wants to know of a target before anybody restarts anything.

They pass when everything asked for was read, whatever it says; where a part has no fresh answer they are unknown, and
the evidence still has the other parts. A run keeps the evidence in the journal.
"""

from __future__ import annotations

from state.checks.hands import database_by_hand, recorded_alerts_by_hand, service_by_hand, traffic_by_hand
from state.checks.model import Answer, CheckArgs, CheckKind, unknown
from state.config_files.suggestions import not_found
from state.estate.model import Estate, Name
from state.health import Health
from state.ports.target import began
from state.units import percent, rate, short_duration, utc
from state.verdicts.alerts import alerts_verdict
from state.verdicts.evidence import no_data_reason
from state.verdicts.figures import counted_errors, usable_traffic
from state.verdicts.lag import lsn
from state.verdicts.node import NodeVerdict
from state.verdicts.replication import cluster_verdict
from state.verdicts.traffic import state_word
from state.world.balancer_parts import BalancerReading, Server
from state.world.readings import PatroniReading, PostgresReading
from state.world.world import World

MOST_SERVERS = 45
"""So many servers of a backend are recorded one by one; a journal entry holds no more."""


class RecordedDatabase(CheckArgs):
    """Which cluster."""

    database: Name


class RecordedBackend(CheckArgs):
    """Which backend of which balancer."""

    balancer: Name
    backend: Name


class RecordedService(CheckArgs):
    """Which service."""

    service: Name


class RecordedAlerts(CheckArgs):
    """All alerts."""


def database(args: RecordedDatabase, world: World, estate: Estate, now_mono: float) -> Answer:
    """Every node: role, timeline, positions, start, sessions, senders, slots; and what its manager says."""
    if args.database not in estate.databases:
        raise not_found("database", args.database, estate.databases)
    cluster = cluster_verdict(args.database, estate.databases[args.database], world, now_mono)
    lines, complete = [f"{args.database}: {cluster.message}"], True
    for node in cluster.nodes.values():
        lines += _server_lines(node)
        manager, seen = node.facts.patroni, node.facts.patroni_seen
        lines.append(
            _manager_line(manager) if manager is not None else f"Patroni {node.facts.node}: {no_data_reason(seen)}"
        )
        complete = complete and node.facts.postgres is not None and (manager is not None or seen is None)
    return _recorded(complete, lines)


def _server_lines(node: NodeVerdict) -> list[str]:
    server, name = node.facts.postgres, node.facts.node
    if server is None:
        return [f"{name}: {no_data_reason(node.facts.postgres_seen)}"]
    where = _positions(server)
    sessions = "" if server.sessions is None else f", {server.sessions} of {server.sessions_limit} sessions"
    lines = [
        f"{name}: {node.role}, timeline {server.timeline}, {where}, PostgreSQL {server.version} since"
        f" {began(server.started_at)}{sessions}"
    ]
    for sender in server.senders:
        at = ", ".join(f"{what} {lsn(p)}" for what, p in (("sent", sender.sent_lsn), ("flushed", sender.flush_lsn),
                       ("applied", sender.replay_lsn)) if p is not None)  # fmt: skip
        lines.append(f"{name} sends to {sender.application_name}: {sender.state}, {sender.sync_state}, {at}")
    for slot in server.slots:
        kept = f", keeps WAL from {lsn(slot.restart_lsn)}" if slot.restart_lsn is not None else ""
        active = "active" if slot.active else "not active"
        lines.append(f"{name} slot {slot.name}: {slot.slot_type}, {active}, {slot.wal_status or 'no WAL status'}{kept}")
    return lines


def _positions(server: PostgresReading) -> str:
    if not server.in_recovery:
        return f"written {lsn(server.write_lsn)}" if server.write_lsn is not None else "position unknown"
    known = [
        f"{what} {lsn(position)}"
        for what, position in (("received", server.receive_lsn), ("applied", server.replay_lsn))
        if position is not None
    ]
    paused = "" if server.replay_pause in (None, "", "not paused") else f", replay {server.replay_pause}"
    return ", ".join([*known, f"receiver {server.receiver_state or 'not running'}"]) + paused


def _manager_line(manager: PatroniReading) -> str:
    notes = [manager.role, manager.state]
    notes += ["paused"] if manager.paused else []
    notes += ["no leader lock"] if manager.unlocked else []
    notes += [f"DCS seen {short_duration(manager.dcs_age)} ago"] if manager.dcs_age is not None else []
    members = ", ".join(f"{m.name} {m.role} {m.state}" for m in manager.members)
    return f"Patroni {manager.node}: {', '.join(notes)}; members: {members or 'none told'}"


def backend(args: RecordedBackend, world: World, estate: Estate, now_mono: float) -> Answer:
    """Every server: state, check, weight, sessions, queue, requests and errors since the balancer started."""
    if args.balancer not in estate.balancers:
        raise not_found("balancer", args.balancer, estate.balancers)
    key = f"balancer:{args.balancer}"
    reading = world.fresh(key, BalancerReading, now_mono)
    if reading is None:
        return unknown(f"{args.balancer}: {no_data_reason(world.observed.get(key))}")
    servers = reading.of(args.backend)
    if not servers:
        return unknown(f"{args.balancer} has no backend {args.backend}")
    lines = [f"{args.balancer}: version {reading.version}, process {reading.process}"]
    lines += [_server_line(server) for server in servers[:MOST_SERVERS]]
    if len(servers) > MOST_SERVERS:
        lines.append(f"and {len(servers) - MOST_SERVERS} more servers, not recorded")
    return _recorded(len(servers) <= MOST_SERVERS, lines)


def _server_line(server: Server) -> str:
    check = f" ({server.check})" if server.check else ""
    weight = f"weight {server.weight}"
    weight += f" (configured {server.configured_weight})" if server.weight != server.configured_weight else ""
    counts = f"{server.sessions} sessions, {server.queued} queued, {server.requests} requests, {server.errors_5xx} 5xx"
    return f"{server.name} {server.address}: {state_word(server)}{check}, {weight}, {counts}"


def service(args: RecordedService, world: World, estate: Estate, now_mono: float) -> Answer:
    """The figures of every monitor that knows the service, by release."""
    if args.service not in estate.services:
        raise not_found("service", args.service, estate.services)
    metrics = estate.services[args.service].metrics
    if metrics is None:
        return unknown(f"{args.service} has no metrics in the estate")
    lines, complete = [], True
    for monitor in metrics.monitors:
        traffic, finding = usable_traffic(world, monitor, metrics.service, now_mono)
        ratio = None
        if traffic is not None:
            ratio, finding = counted_errors(traffic)
        complete = complete and ratio is not None
        lines.append(f"{monitor}: {finding}")
        for each in traffic.releases if traffic is not None else ():
            shown = [rate(each.rate)] if each.rate is not None else ["no rate"]
            shown += [f"5xx {percent(each.error_ratio)}"] if each.error_ratio is not None else []
            lines.append(f"{monitor}, release {each.release}: {', '.join(shown)}")
    return _recorded(complete, lines)


def alerts(args: RecordedAlerts, world: World, estate: Estate, now_mono: float) -> Answer:
    """Every alert that fires or is suppressed, with its beginning."""
    del args
    verdict = alerts_verdict(estate, world, now_mono)
    lines = [verdict.message]
    for each in (*verdict.firing, *verdict.suppressed):
        alert = each.alert
        lines.append(f"{alert.name} ({alert.severity or 'no severity'}) since {utc(alert.started_at)}: {alert.summary}")
    return _recorded(verdict.health is not Health.UNKNOWN, lines)


def _recorded(complete: bool, lines: list[str]) -> Answer:
    return Answer(Health.PASS if complete else Health.UNKNOWN, tuple(lines))


KINDS = (
    CheckKind(
        "evidence.database", "state of a database, recorded", RecordedDatabase, database, by_hand=database_by_hand
    ),
    CheckKind("evidence.backend", "state of a backend, recorded", RecordedBackend, backend, by_hand=traffic_by_hand),
    CheckKind(
        "evidence.service", "figures of a service, recorded", RecordedService, service, ("monitors",), service_by_hand
    ),
    CheckKind("evidence.alerts", "alerts, recorded", RecordedAlerts, alerts, ("monitors",), recorded_alerts_by_hand),
)
