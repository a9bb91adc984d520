"""DNS answers, server by server, against what is expected; compared as DNS compares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from state.estate.model import DnsRecord, ZoneEntry
from state.health import Health
from state.verdicts.evidence import trouble_text
from state.world.dns_parts import DnsReading
from state.world.world import World


class RecordFinding(NamedTuple):
    """The verdict on one record as one server answers it, and the answers as they are shown."""

    health: Health
    message: str
    answers: tuple[str, ...]


def servers_of(zone: str, entry: ZoneEntry, world: World) -> tuple[str, ...]:
    """The zone's servers: as the estate lists them, else those that are read."""
    if entry.asked:
        return entry.asked
    mark = f"dns:{zone}@"
    return tuple(k.removeprefix(mark) for k in world.keys("dns") if k.startswith(mark))


def comparable(text: str) -> str:
    """An address or a name in the one spelling by which it is compared: names are the same in any case, with and
    without the final dot (RFC 4343, RFC 1034 3.1), addresses in any spelling (RFC 5952)."""
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        return text.strip().rstrip(".").lower()


def answer(reading: DnsReading, record: DnsRecord) -> tuple[str, ...]:
    """What one server answers for a record, empty when it has none."""
    return tuple(sorted(reading.records.get(f"{record.name}/{record.type}", ())))


def answers_any(reading: DnsReading, record: DnsRecord) -> bool:
    """Whether a server answers at least one of the expected values, which leads to an address."""
    return not lost_at(reading, record) and bool(_spelt(answer(reading, record)) & _spelt(record.expect))


def unanswered(reading: DnsReading, record: DnsRecord) -> str:
    """Why a server has no authoritative answer to a record; empty when it has one, be it that there is none."""
    lack = reading.lacks.get(f"{record.name}/{record.type}")
    if lack is None:
        return ""
    if lack.delegated:
        return f"delegated to {', '.join(lack.delegated)}: ask there"
    return f"no answer ({trouble_text(lack.trouble, lack.message)})"


def lost_at(reading: DnsReading, record: DnsRecord) -> str:
    """The name without an address to which a record leads as an alias, empty when it leads to one."""
    return reading.lost.get(f"{record.name}/{record.type}", "")


def alias(reading: DnsReading, record: DnsRecord) -> str:
    """The name outside of the zone that an address is the alias of, empty when it is none, or is known to lead to no
    address."""
    if lost_at(reading, record):
        return ""
    return reading.aliases.get(f"{record.name}/{record.type}", "")


def record_finding(reading: DnsReading, record: DnsRecord, expected: Iterable[str]) -> RecordFinding:
    """No answer fails, other answers warn (they may have been changed on purpose), the expected ones pass; what the
    server does not answer by itself is unknown."""
    if why := unanswered(reading, record):
        return RecordFinding(Health.UNKNOWN, why, ())
    if end := lost_at(reading, record):
        return RecordFinding(Health.FAIL, f"{end} has no address", answer(reading, record) or (f"CNAME {end}",))
    if target := alias(reading, record):
        return RecordFinding(Health.WARN, f"other answer: CNAME {target}", (f"CNAME {target}",))
    answers = answer(reading, record)
    health, message = record_verdict(answers, expected)
    return RecordFinding(health, message, answers)


def record_verdict(answers: Iterable[str], expected: Iterable[str]) -> tuple[Health, str]:
    """No answer fails, other answers warn, the expected ones pass."""
    got, wanted = _spelt(answers), _spelt(expected)
    if not got:
        return Health.FAIL, "no answer"
    missing, extra = sorted(wanted - got), sorted(got - wanted)
    if not missing and not extra:
        return Health.PASS, "as expected"
    parts = [f"without {', '.join(missing)}"] if missing else []
    parts += [f"also {', '.join(extra)}"] if extra else []
    return Health.WARN, ", ".join(parts)


def stale_beside(readings: Mapping[str, DnsReading], server: str, record: DnsRecord) -> str:
    """Which other server has the same serial and other answers, where this one is not as expected; empty for none."""
    mine = readings.get(server)
    if mine is None or unanswered(mine, record) or record_finding(mine, record, record.expect).health is Health.PASS:
        return ""
    for other, reading in readings.items():
        same = other != server and reading.serial == mine.serial and not unanswered(reading, record)
        if same and _spelt(answer(reading, record)) != _spelt(answer(mine, record)):
            return f"same serial {mine.serial} as {other} and other content: one of the two is stale"
    return ""


def _spelt(texts: Iterable[str]) -> set[str]:
    return {comparable(text) for text in texts}
