"""Alerts of all monitors together: each counted once, and none firing is a pass only while a watchdog proves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from state.estate.model import Estate
from state.health import Health
from state.units import utc
from state.verdicts.evidence import no_data_reason, rank, worst
from state.world.freshness import Freshness
from state.world.readings import Alert, AlertsReading
from state.world.world import World

NO_SOURCE = "no alert source in the estate"
SEVERAL = "its answers come from several Alertmanagers by turns: give each one a monitor with its own address"
NAMED = 5
"""So many alerts are named in a message; the others are counted."""


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """An alert with the keys of all monitors that have it."""

    alert: Alert
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlertsVerdict:
    """All monitors together. `firing` and `suppressed` are of fresh answers only; `shown` has those of stale ones too.

    `firing` has no suppressed alert and none for information. `proven`: every Alertmanager answers, at least one of its
    processes, and its watchdog alert was seen. `awaited`: nothing is doubtful but that an Alertmanager started a moment
    ago, and its watchdog alert comes at the latest at this time of its own clock (epoch seconds).
    """

    health: Health
    message: str
    firing: tuple[KnownAlert, ...]
    suppressed: tuple[KnownAlert, ...]
    shown: tuple[KnownAlert, ...]
    proven: bool
    awaited: float | None = None


def alerts_verdict(estate: Estate, world: World, now_mono: float, severity: str | None = None) -> AlertsVerdict:
    """The verdict on all alerts, or on those of one severity in any case.

    The worst severity that fires decides; alerts for information do not count. Silent monitors and missing watchdogs
    are doubts: without a firing alert they make it unknown.
    """
    keys = world.keys("alerts")
    if not keys:
        return AlertsVerdict(Health.UNKNOWN, NO_SOURCE, (), (), (), False)
    answers = {key: world.fresh(key, AlertsReading, now_mono) for key in keys}
    wanted = None if severity is None else severity.lower()
    counted = [
        each
        for each in _united((key, reading) for key, reading in answers.items() if reading is not None)
        if wanted in (None, each.alert.severity.lower())
    ]
    sent = [each for each in counted if each.alert.suppressed is None]
    suppressed = tuple(each for each in counted if each.alert.suppressed is not None)
    notes, doubts, waits = _doubts(_clusters(estate, world, keys), world, answers)
    shown = _united((key, seen) for key in keys if (seen := _lasting(world, key, now_mono)) is not None)
    kind = f"{severity} " if severity else ""
    firing = tuple(each for each in sent if wanted is not None or each.alert.health is not Health.PASS)
    quiet = [each for each in sent if wanted is None and each.alert.health is Health.PASS]
    if firing:
        health = worst(each.alert.health for each in firing)
        parts = [f"{len(firing)} {kind}firing: {_names(firing)}", *_unmapped(firing)]
        health = Health.WARN if health is Health.PASS else health
    else:
        health = Health.UNKNOWN if doubts else Health.PASS
        parts = [] if doubts else [f"no {kind}alert fires, watchdog seen"]
    parts += [f"{len(quiet)} for information: {_names(quiet)}"] if quiet else []
    parts += [f"{len(suppressed)} suppressed: {_names(suppressed, why=True)}"] if suppressed else []
    awaited = max(waits) if waits and len(waits) == len(doubts) else None
    return AlertsVerdict(health, "; ".join([*parts, *doubts, *notes]), firing, suppressed, shown, not doubts, awaited)


def _united(readings: Iterable[tuple[str, AlertsReading]]) -> tuple[KnownAlert, ...]:
    """Every alert once, by its fingerprint, the worst first. One that any monitor would send is not suppressed."""
    found: dict[str, KnownAlert] = {}
    for key, reading in readings:
        for alert in reading.alerts:
            known = found.get(alert.fingerprint)
            found[alert.fingerprint] = KnownAlert(alert, (key,)) if known is None else _both(known, alert, key)
    return tuple(sorted(found.values(), key=_order))


def _both(known: KnownAlert, alert: Alert, key: str) -> KnownAlert:
    """An alert with another copy of it: since the first of them fires, where that is known."""
    kept = alert if known.alert.suppressed and not alert.suppressed else known.alert
    starts = [each.started_at for each in (known.alert, alert) if each.started_at > 0]
    copies = tuple(sorted({*known.alert.copies, *alert.copies}))
    kept = replace(kept, started_at=min(starts, default=kept.started_at), copies=copies)
    return KnownAlert(kept, tuple(dict.fromkeys((*known.sources, key))))


def _order(known: KnownAlert) -> tuple[bool, int, float, str]:
    alert = known.alert
    return alert.suppressed is not None, -rank(alert.health), -alert.started_at, alert.fingerprint


def _lasting(world: World, key: str, now_mono: float) -> AlertsReading | None:
    """The last answer of a monitor until it is too old to be shown."""
    seen = world.of(key, AlertsReading)
    return None if seen is None or seen.freshness(now_mono) is Freshness.GONE else seen.value


def _doubts(
    clusters: list[list[str]], world: World, answers: dict[str, AlertsReading | None]
) -> tuple[list[str], list[str], list[float]]:
    """What must be said, what makes "none fires" unknown: a whole Alertmanager silent, or without a watchdog, and until
    when such a one is awaited."""
    notes: list[str] = []
    doubts: list[str] = []
    waits: list[float] = []
    for members in clusters:
        silent = {key: no_data_reason(world.observed.get(key)) for key in members if answers[key] is None}
        heard = [reading for key in members if (reading := answers[key]) is not None]
        said = [f"{key.partition(':')[2]}: {why}" for key, why in silent.items()]
        if not heard:
            doubts += said
            continue
        notes += said
        if not any(reading.watchdog for reading in heard):
            name = ", ".join(key.partition(":")[2] for key in members if answers[key] is not None)
            doubts.append(f"{name}: {_watchdog(heard)}")
            waits += [until] if (until := _awaited(heard)) is not None else []
        doubts += _lost(members, heard)
        doubts += [f"{key.partition(':')[2]}: {SEVERAL}" for key in members if (r := answers[key]) and r.several]
        left_out = max(reading.omitted for reading in heard)
        doubts += (
            [f"{members[0].partition(':')[2]}: {left_out} more alerts, less bad or older, are not listed"]
            if left_out
            else []
        )
    return notes, doubts, waits


def _lost(members: list[str], heard: list[AlertsReading]) -> list[str]:
    """The watchdog alerts that one Alertmanager had and has no more: the servers that sent them may be down."""
    if not any(reading.watchdog for reading in heard):
        return []  # that is said already
    proven = frozenset[str]().union(*(reading.watchdogs for reading in heard))
    lost = {key: seen for reading in heard for key, seen in reading.lost.items() if key not in proven}
    name = members[0].partition(":")[2]
    return [
        f"{name}: no watchdog alert {labels} since {utc(until)}, so its alerting may be down"
        for labels, until in lost.values()
    ]


def _watchdog(heard: list[AlertsReading]) -> str:
    """Why these members of one Alertmanager prove nothing."""
    if (until := _awaited(heard)) is not None:
        return f"just started, its watchdog alert is awaited until {utc(until)}"
    doubtful = next((reading.doubtful for reading in heard if reading.doubtful is not None), None)
    if doubtful is None:
        return "no watchdog alert, so alerting may be down"
    if doubtful.suppressed is not None:
        return f"the watchdog alert is {doubtful.suppressed.text}, so it proves nothing"
    when = f"is {doubtful.state}"
    if doubtful.state == "active":
        when = "is not confirmed"
        if doubtful.updated_at is not None:
            when = f"was last confirmed {utc(doubtful.updated_at)} by its source's clock"
    return f"the watchdog alert {when}, so alerting may be down"


def _awaited(heard: list[AlertsReading]) -> float | None:
    """Until when a watchdog alert is awaited, since all that should have it started a moment ago."""
    times = [reading.awaited for reading in heard if reading.awaited is not None]
    return max(times) if times and len(times) == len(heard) else None


def _clusters(estate: Estate, world: World, keys: tuple[str, ...]) -> list[list[str]]:
    """The monitors that are one Alertmanager: by the estate, or by the members of the cluster that each told last."""
    groups: list[tuple[set[str], list[str]]] = []
    for key in keys:
        seen = world.of(key, AlertsReading)
        members = set(seen.value.cluster) if seen is not None and seen.value is not None else set()
        entry = estate.monitors.get(key.partition(":")[2])
        if entry is not None and entry.alert_cluster:
            members.add(entry.alert_cluster)
        names = [key]
        for group in [each for each in groups if each[0] & members]:
            groups.remove(group)
            members |= group[0]
            names = [*group[1], *names]
        groups.append((members, names))
    return [names for _, names in groups]


def _names(known: Iterable[KnownAlert], *, why: bool = False) -> str:
    """Their names, each once, and how many are left out."""
    listed = list(known)
    reasons = [f" ({k.alert.suppressed.text})" if why and k.alert.suppressed is not None else "" for k in listed]
    texts = list(dict.fromkeys(k.alert.name + reason for k, reason in zip(listed, reasons, strict=True)))
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def _unmapped(known: Iterable[KnownAlert]) -> list[str]:
    """Severities that the estate does not map, which count as a warning."""
    unknown = dict.fromkeys(k.alert.severity or "(none)" for k in known if not k.alert.mapped)
    return [f"severity {', '.join(unknown)} is not in `severities`, taken as a warning"] if unknown else []
