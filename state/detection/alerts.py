"""Alerts that fire and end, by their fingerprint: the same alert from several sources is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from state.detection.families import Family, Look, after, before, lasted, named
from state.detection.follow import NORMAL, Pace, Shift, Told
from state.detection.observations import AlertFired, AlertResolved, EndedAlert, FiringAlert
from state.journal.events import Observation
from state.text import cut
from state.verdicts.alerts import KnownAlert, alerts_verdict
from state.world.readings import AlertsReading

FIRING, SUPPRESSED = "firing", "suppressed"
MOST = 200
"""Alerts in one entry; further ones follow in the next."""
SUMMARY = 500
"""Letters of a summary in an entry."""


class Alerts(Family):
    """All alerts that any source reports, but those for information: what the verdict on alerts counts."""

    pace = Pace(worse=1.0, better=2.0, gather=1.0)
    bodies = (AlertFired, AlertResolved)

    def __init__(self) -> None:
        super().__init__()
        self._facts: dict[str, FiringAlert] = {}

    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        world = look.judgement.world
        keys = world.keys("alerts")
        answers = {key: world.fresh(key, AlertsReading, look.mono) for key in keys}
        # An Alertmanager that started a moment ago has no alert yet: what it lacks has not ended.
        fresh = {key for key, seen in answers.items() if seen is not None and seen.awaited is None}
        verdict = alerts_verdict(look.judgement.estate, world, look.mono)
        found: set[str] = set()
        for known in (*verdict.firing, *verdict.suppressed):
            fact = _fact(known)
            found.add(fact.fingerprint)
            self._facts[fact.fingerprint] = fact
            yield fact.fingerprint, fact.state
        for fingerprint in self.follower.open:
            if fingerprint not in found:
                former = self._facts.get(fingerprint)
                reported = fresh if former is None else {*former.sources} & {*keys} or fresh
                yield fingerprint, NORMAL if reported & fresh else None  # a silent source ends nothing
        kept = found.union(self.follower.open)
        self._facts = {name: fact for name, fact in self._facts.items() if name in kept}

    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        fired, ended = [s for s in shifts if s.now != NORMAL], [s for s in shifts if s.now == NORMAL]
        for at in range(0, len(fired), MOST):
            some = fired[at : at + MOST]
            alerts = tuple(replace(self._facts[s.subject], since=look.told_at(s.since)) for s in some)
            more = self.follower.missed()
            yield AlertFired(_fired(alerts) + (f" (and {more} that ended meanwhile)" if more else ""), alerts, more)
        for at in range(0, len(ended), MOST):
            some = ended[at : at + MOST]
            facts = [self._facts.get(s.subject) for s in some]
            names = [fact.name if fact is not None else s.subject for fact, s in zip(facts, some, strict=True)]
            over = tuple(EndedAlert(s.subject, name, lasted(s), s.more) for s, name in zip(some, names, strict=True))
            yield AlertResolved(f"{named(names)} resolved{after(some)}", over)

    def told(self, body: AlertFired | AlertResolved, at: float) -> Iterable[Told]:
        if isinstance(body, AlertFired):
            self._facts.update({alert.fingerprint: alert for alert in body.alerts})
            return [Told(alert.fingerprint, alert.state, before(alert.since, at)) for alert in body.alerts]
        return [Told(alert.fingerprint, NORMAL) for alert in body.alerts]


def _fact(known: KnownAlert) -> FiringAlert:
    alert = known.alert
    return FiringAlert(
        alert.fingerprint,
        alert.name or alert.fingerprint,
        alert.severity,
        FIRING if alert.suppressed is None else SUPPRESSED,
        alert.started_at,
        cut(alert.summary, SUMMARY),
        known.sources,
        "" if alert.suppressed is None else alert.suppressed.text,
    )


def _fired(alerts: Sequence[FiringAlert]) -> str:
    def shown(alert: FiringAlert) -> str:
        notes = ", ".join(note for note in (alert.severity, alert.suppressed) if note)
        return f"{alert.name} ({notes})" if notes else alert.name

    if len(alerts) == 1:
        alert = alerts[0]
        summary = f": {alert.summary}" if alert.summary else ""
        return f"alert {shown(alert)}{summary}"
    return f"{len(alerts)} alerts: {named(shown(alert) for alert in alerts)}"
