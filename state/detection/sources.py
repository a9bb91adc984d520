"""Sources that are silent, and services whose health is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from state.detection.families import Family, Look, after, before, lasted, named, silent
from state.detection.follow import NORMAL, Pace, Shift, Told
from state.detection.observations import (
    JudgedService,
    ReadAgain,
    ServiceKnown,
    ServiceUnknown,
    SilentSource,
    SourceBack,
    SourceSilent,
    UnjudgedService,
)
from state.health import Health
from state.journal.events import Observation
from state.units import utc
from state.verdicts.evidence import no_data_reason

SILENT, UNKNOWN = "silent", "unknown"
STARTING = 10.0
"""Seconds after the start of an engine in which services may be unknown, since not every source was read yet."""


class Sources(Family):
    """Every source but the servers of database nodes: those are nodes that are lost."""

    pace = Pace(worse=0.5, better=2.0, gather=2.0)
    bodies = (SourceSilent, SourceBack)

    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        observed = look.judgement.world.observed
        for key, seen in observed.items():
            role, _, name = key.partition(":")
            if role == "postgres":
                continue
            node = observed.get(f"postgres:{name}") if role == "patroni" else None
            lost = node is not None and silent(node, look) is not False
            is_silent = silent(seen, look)
            # A node that is lost is told as such; that its manager is silent too is no news of its own.
            yield key, None if is_silent is None or (is_silent and lost) else SILENT if is_silent else NORMAL

    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        observed = look.judgement.world.observed
        gone, back = [s for s in shifts if s.now != NORMAL], [s for s in shifts if s.now == NORMAL]
        if gone:
            facts = tuple(_silent(s, look) for s in gone)
            reason = no_data_reason(observed.get(gone[0].subject))
            many = f"{len(facts)} sources are silent: " if len(facts) > 1 else ""
            yield SourceSilent(f"{many}{named(f.source for f in facts)}: {reason}, limit {facts[0].limit:g} s", facts)
        if back:
            message = f"{named(s.subject for s in back)} {'gives' if len(back) == 1 else 'give'} values again"
            yield SourceBack(message + after(back), tuple(ReadAgain(s.subject, lasted(s), s.more) for s in back))

    def told(self, body: SourceSilent | SourceBack, at: float) -> Iterable[Told]:
        if isinstance(body, SourceSilent):
            return [Told(each.source, SILENT, before(each.since, at)) for each in body.sources]
        return [Told(each.source, NORMAL) for each in body.sources]


def _silent(shift: Shift, look: Look) -> SilentSource:
    seen = look.judgement.world.observed[shift.subject]
    age, error = seen.age(look.mono), seen.error
    trouble, message = (str(error.trouble), error.message) if error is not None else ("", "no answer yet")
    shown = None if age is None else round(age, 1)
    return SilentSource(shift.subject, seen.at, shown, seen.limit, trouble, message, look.told_at(shift.since))


class Unjudged(Family):
    """Services whose health is unknown."""

    pace = Pace(worse=5.0, better=2.0, gather=2.0)
    bodies = (ServiceUnknown, ServiceKnown)

    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        for name, verdict in look.judgement.services.items():
            unknown = verdict.health is Health.UNKNOWN
            yield name, UNKNOWN if unknown and look.up > STARTING else None if unknown else NORMAL

    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        services = look.judgement.services
        lost, back = [s for s in shifts if s.now != NORMAL], [s for s in shifts if s.now == NORMAL]
        if lost:
            facts = tuple(UnjudgedService(s.subject, services[s.subject].message, look.told_at(s.since)) for s in lost)
            since = utc(look.told_at(min(s.since for s in lost)))
            verb = "is" if len(lost) == 1 else "are"
            yield ServiceUnknown(
                f"{named(f.service for f in facts)} {verb} unknown since {since}: {facts[0].why}", facts
            )
        if back:
            found = tuple(JudgedService(s.subject, services[s.subject].health.value, lasted(s), s.more) for s in back)
            healths = named(f"{f.service} ({f.health})" for f in found)
            yield ServiceKnown(f"known again{after(back)}: {healths}", found)

    def told(self, body: ServiceUnknown | ServiceKnown, at: float) -> Iterable[Told]:
        if isinstance(body, ServiceUnknown):
            return [Told(each.service, UNKNOWN, before(each.since, at)) for each in body.services]
        return [Told(each.service, NORMAL) for each in body.services]
