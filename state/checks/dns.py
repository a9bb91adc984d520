"""Checks on DNS: every server of a zone answers as expected."""

from __future__ import annotations

from state.checks.hands import dns_by_hand
from state.checks.model import Answer, CheckArgs, CheckKind, answered, unknown
from state.config_files.suggestions import not_found
from state.estate.model import Estate, Name
from state.health import Health
from state.verdicts.dns import record_finding, servers_of
from state.verdicts.evidence import no_data_reason
from state.world.dns_parts import DnsReading
from state.world.world import World


class RecordArgs(CheckArgs):
    """Which record of which zone; `answers` replaces what the estate expects, after a reroute."""

    zone: Name
    record: Name
    answers: tuple[str, ...] = ()


def answers_as_expected(args: RecordArgs, world: World, estate: Estate, now_mono: float) -> Answer:
    """Pass only when every server answers exactly that; unknown when a server does not answer."""
    zone = estate.zones.get(args.zone)
    records = [r for r in zone.records if r.name == args.record] if zone is not None else []
    if zone is None or not records:
        raise not_found(f"record of zone {args.zone}", args.record, [r.name for r in zone.records] if zone else ())
    healths: list[Health] = []
    evidence: list[str] = []
    for server in servers_of(args.zone, zone, world):
        key = f"dns:{args.zone}@{server}"
        reading = world.fresh(key, DnsReading, now_mono)
        for record in records:
            if reading is None:
                healths.append(Health.UNKNOWN)
                evidence.append(f"{server}: {no_data_reason(world.observed.get(key))}")
                continue
            health, finding, got = record_finding(reading, record, args.answers or record.expect)
            healths.append(health)
            evidence.append(f"{server}: {', '.join(got)} {finding}".replace(":  ", ": "))
    if any(h in (Health.FAIL, Health.WARN) for h in healths):
        return answered(False, *evidence)
    if not healths or Health.UNKNOWN in healths:
        return unknown(*(evidence or [f"no server of {args.zone} is known"]))
    return answered(True, *evidence)


KINDS = (
    CheckKind("dns.answers", "every server answers as expected", RecordArgs, answers_as_expected, by_hand=dns_by_hand),
)
