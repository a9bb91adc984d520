"""Names on screen 4: what each authoritative server and each resolver answers, and how far the last change has come."""

from __future__ import annotations

from state.api.views.traffic import DnsRow
from state.detection.names import NameWatch
from state.estate.dns_names import whole_name
from state.estate.model import DnsRecord, ZoneEntry
from state.health import Health
from state.verdicts.dns import record_finding, servers_of, stale_beside
from state.verdicts.evidence import no_data_reason, worst
from state.verdicts.record_moves import Spread
from state.views.context import ViewContext
from state.world.dns_parts import DnsReading


def name_rows(context: ViewContext) -> dict[str, DnsRow]:
    """A row for each record at each place where it is asked, servers first."""
    rows: dict[str, DnsRow] = {}
    for zone, entry in context.estate.zones.items():
        servers = servers_of(zone, entry, context.world)
        places = [*((s, f"dns:{zone}@{s}") for s in servers), *((r, f"resolver:{zone}@{r}") for r in entry.resolvers)]
        readings = {source: context.world.fresh(source, DnsReading, context.now_mono) for _, source in places}
        known = {s: r for s, source in places if (r := readings[source]) is not None and source.startswith("dns:")}
        spreads = {each.name: context.of(NameWatch).spread(zone, each.name) for each in entry.records}
        fresh = frozenset(source for source, reading in readings.items() if reading is not None)
        for at, source in places:
            for record in entry.records:
                reading = readings[source]
                stale = stale_beside(known, at, record) if source.startswith("dns:") else ""
                row = _row(context, zone, entry, at, source, record, reading, spreads[record.name], stale, fresh)
                rows[row.key] = row
    return rows


def _row(
    context: ViewContext,
    zone: str,
    entry: ZoneEntry,
    at: str,
    source: str,
    record: DnsRecord,
    reading: DnsReading | None,
    spread: Spread | None,
    stale: str,
    fresh: frozenset[str],
) -> DnsRow:
    resolver = not source.startswith("dns:")
    mark = "resolver " if resolver else ""
    key = f"{zone}/{record.name}/{record.type}@{mark}{at}"
    answers, ttl = "", None
    if reading is None:
        health, message = Health.UNKNOWN, no_data_reason(context.world.observed.get(source))
    else:
        health, message, found = record_finding(reading, record, record.expect)
        answers, ttl = ", ".join(found), reading.ttls.get(f"{record.name}/{record.type}")
    if stale:
        health, message = worst((health, Health.WARN)), f"{message}; {stale}"
    return DnsRow(
        key=key,
        name=f"{whole_name(record.name, entry.domain or zone)} {record.type}",
        server=f"{mark}{at}",
        answers=answers,
        expected=", ".join(sorted(record.expect)),
        health=health,
        message=message,
        ttl=ttl,
        source=source,
        zone=zone,
        record=record.name,
        type=record.type,
        resolver=resolver,
        moved=_moved(spread, fresh),
        curve=spread.curve if spread is not None else (),
    )


def _moved(spread: Spread | None, fresh: frozenset[str]) -> str:
    """How far the last change has come by what was just read, and from when on it can be everywhere."""
    if spread is None:
        return ""
    return f"{len(spread.shown & fresh)} of {len(spread.asked)} answer the last change, {spread.move.complete}"
