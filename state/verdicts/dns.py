"""DNS answers, server by server, against what is expected."""

from __future__ import annotations

from collections.abc import Iterable

from state.estate.model import DnsRecord, ZoneEntry
from state.health import Health
from state.world.readings import DnsReading
from state.world.world import World


def servers_of(zone: str, entry: ZoneEntry, world: World) -> tuple[str, ...]:
    """The zone's servers: as the estate lists them, else those that are read."""
    if entry.asked:
        return entry.asked
    mark = f"dns:{zone}@"
    return tuple(k.removeprefix(mark) for k in world.keys("dns") if k.startswith(mark))


def answer(reading: DnsReading, record: DnsRecord) -> tuple[str, ...]:
    """What one server answers for a record, empty when it has none."""
    return tuple(sorted(reading.records.get(f"{record.name}/{record.type}", ())))


def record_verdict(answers: Iterable[str], expected: Iterable[str]) -> tuple[Health, str]:
    """No answer fails, other answers warn (they may have been changed on purpose), the expected ones pass."""
    got, wanted = set(answers), set(expected)
    if not got:
        return Health.FAIL, "no answer"
    missing, extra = sorted(wanted - got), sorted(got - wanted)
    if not missing and not extra:
        return Health.PASS, "as expected"
    parts = [f"without {', '.join(missing)}"] if missing else []
    parts += [f"also {', '.join(extra)}"] if extra else []
    return Health.WARN, ", ".join(parts)
