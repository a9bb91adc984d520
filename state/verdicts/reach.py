"""Whether requests reach a service: what its DNS names answer, against the addresses the estate expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from state.estate.dns_names import whole_name
from state.estate.model import DnsRecord, Estate
from state.health import Health
from state.verdicts.dns import alias, answer, answers_any, lost_at, servers_of, unanswered
from state.verdicts.evidence import no_data_reason
from state.world.dns_parts import DnsReading
from state.world.world import World


@dataclass(frozen=True, slots=True)
class NameVerdict:
    """The verdict on one name of a service. `name` is the whole name, `answers` what is answered instead. `changeable`:
    a change of its records can be proposed from here. `lost`: the name without an address to which it is an alias.
    `resolvers`: those that answer otherwise while its own servers are right."""

    health: Health
    message: str
    name: str
    record: DnsRecord
    answers: tuple[str, ...]
    ttl: int | None
    sources: tuple[str, ...]
    changeable: bool = False
    lost: str = ""
    resolvers: tuple[str, ...] = ()


def names_of(estate: Estate, service: str) -> Iterator[tuple[str, DnsRecord]]:
    """The records by which a service is reached, with their zones: those that name it, else one of its own name."""
    for zone, entry in estate.zones.items():
        for record in entry.records:
            if (record.service or record.name) == service:
                yield zone, record


def name_verdicts(estate: Estate, service: str, world: World, now_mono: float) -> list[NameVerdict]:
    """Every name of a service. None of its addresses from any server that answers fails: no new client arrives.

    Some of them are left, or only some servers answer otherwise: that warns. An unread server is unknown.
    """
    return [
        replace(_judged(zone, estate, record, world, now_mono), changeable=estate.zones[zone].changeable)
        for zone, record in names_of(estate, service)
    ]


def _judged(zone: str, estate: Estate, record: DnsRecord, world: World, now_mono: float) -> NameVerdict:
    name = whole_name(record.name, estate.zones[zone].domain or zone)
    sources = tuple(f"dns:{zone}@{server}" for server in servers_of(zone, estate.zones[zone], world))
    read = [(s, world.fresh(s, DnsReading, now_mono)) for s in sources]
    given = [(answer(r, record), r) for _, r in read if r is not None and not unanswered(r, record)]
    if not given:
        told = [why for _, r in read if r is not None and (why := unanswered(r, record))]
        reason = no_data_reason(world.observed.get(sources[0])) if sources else "no server of its zone is read"
        reason = told[0] if told else reason
        return NameVerdict(
            Health.UNKNOWN, f"the address of {name} is not known: {reason}", name, record, (), None, sources
        )
    elsewhere = [alias(r, record) for _, r in given if not answers_any(r, record) and alias(r, record)]
    wrong = [(a, r) for a, r in given if not answers_any(r, record) and not alias(r, record)]
    answers, reading = wrong[0] if wrong else given[0]
    ttl = reading.ttls.get(f"{record.name}/{record.type}")
    if not wrong:
        shown = (f"CNAME {elsewhere[0]}",) if elsewhere else answers
        passed = NameVerdict(Health.PASS, "", name, record, shown, ttl, sources)
        if elsewhere and not _read_resolvers(zone, estate, record, world, now_mono):
            said = f"{name} is an alias of {elsewhere[0]}, which is not read"  # only its own servers know its addresses
            return replace(passed, health=Health.WARN, message=said)
        return _resolved(zone, estate, passed, world, now_mono)
    lost = lost_at(reading, record)
    said = f"{name} answers {', '.join(answers)}, none of its own addresses" if answers else f"{name} has no answer"
    said = f"{name} is an alias of {lost}, which has no address" if lost else said
    found = NameVerdict(Health.FAIL, said, name, record, answers, ttl, sources, lost=lost)
    if len(wrong) < len(given):
        where = ", ".join(reading.server for _, reading in wrong)
        return replace(found, health=Health.WARN, message=f"{said}, on {len(wrong)} of {len(given)} servers: {where}")
    return found


def _read_resolvers(zone: str, estate: Estate, record: DnsRecord, world: World, now_mono: float) -> list[DnsReading]:
    """What the resolvers of a zone answer to a record, of those that are read."""
    keys = (f"resolver:{zone}@{each}" for each in estate.zones[zone].resolvers)
    readings = (r for key in keys if (r := world.fresh(key, DnsReading, now_mono)) is not None)
    return [each for each in readings if not unanswered(each, record)]


def _resolved(zone: str, estate: Estate, passed: NameVerdict, world: World, now_mono: float) -> NameVerdict:
    """What resolvers answer while the servers are right: clients of one that has none of the addresses arrive nowhere
    until it asks again. All of them: nobody new arrives."""
    record, keys = passed.record, tuple(f"resolver:{zone}@{each}" for each in estate.zones[zone].resolvers)
    read = _read_resolvers(zone, estate, record, world, now_mono)
    wrong = [each for each in read if not answers_any(each, record)]
    if not wrong:
        return passed
    first, ttls = wrong[0], [r.ttls.get(f"{record.name}/{record.type}") for r in wrong]
    answers, left = answer(first, record), max((ttl for ttl in ttls if ttl is not None), default=None)
    for_long = f" for {left} s more" if left is not None else ""
    who = tuple(r.server for r in wrong)
    lost = lost_at(first, record)
    got = f"is an alias of {lost}, which has no address," if lost else f"answers {', '.join(answers) or 'nothing'}"
    said = f"{passed.name} {got} at {len(wrong)} of {len(read)} resolvers{for_long}"
    health = Health.FAIL if len(wrong) == len(read) else Health.WARN
    said = f"{said}: {', '.join(who)}"
    seen = replace(passed, health=health, message=said, answers=answers, ttl=left, sources=keys)
    return replace(seen, lost=lost, resolvers=who)
