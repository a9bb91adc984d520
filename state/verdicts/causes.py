"""Every cause that the readings show, at one instant: of databases, services, sources and alerts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from state.api.views.causes import Cause, Victim
from state.api.views.restore import RestoreRow
from state.estate.model import Estate
from state.health import Health
from state.verdicts.cause_alert import alert_causes
from state.verdicts.cause_database import database_causes
from state.verdicts.cause_restore import restore_causes
from state.verdicts.cause_service import PastTrouble, service_cause
from state.verdicts.cause_source import source_causes
from state.verdicts.evidence import worst
from state.verdicts.own_checks import own_check_causes
from state.verdicts.releases import ReleasesVerdict
from state.verdicts.replication import ClusterVerdict
from state.verdicts.service import ServiceVerdict
from state.verdicts.standby_site import standby_site_causes
from state.world.world import World


def find_causes(
    estate: Estate,
    world: World,
    now_mono: float,
    clusters: Mapping[str, ClusterVerdict],
    services: Mapping[str, ServiceVerdict],
    past: Mapping[str, PastTrouble],
    restores: Mapping[str, RestoreRow],
    releases: Mapping[str, ReleasesVerdict],
) -> tuple[Cause, ...]:
    """Unordered; what only waits for another one is none. `past` is the last trouble of each database that had one."""
    databases = [cause for cluster in clusters.values() for cause in database_causes(cluster)]
    databases += standby_site_causes(clusters.values())
    backups = restore_causes(estate, clusters, restores)
    own = _together(_services(estate, world, now_mono, clusters, services, past, releases))
    unknown = frozenset(n for n, v in services.items() if v.health is Health.UNKNOWN)
    writers = [n for c in clusters.values() if c.split is None for n in c.facts.writers]
    told = frozenset(n.patroni_key for n in writers if n.agent_silent)
    silent = source_causes(estate, world, now_mono, unknown, told)
    alerts = alert_causes(estate, world, now_mono, _told(clusters, services), (*databases, *own))
    return (*databases, *backups, *own, *silent, *alerts, *own_check_causes(estate, world, now_mono))


def _together(causes: Iterable[Cause]) -> list[Cause]:
    """Services that cannot be judged for one and the same reason are one cause, at the first of them: one wrong setting
    makes many unknown."""
    found: dict[str, Cause] = {}
    for cause in causes:
        alike = f"{cause.what} {cause.sources}" if cause.health is Health.UNKNOWN else cause.key
        first = found.get(alike)
        if first is None:
            found[alike] = cause
        else:
            others = (*first.victims, Victim(cause.kind, cause.name, "not judged for the same reason"))
            found[alike] = replace(first, victims=others)
    return list(found.values())


def _told(clusters: Mapping[str, ClusterVerdict], services: Mapping[str, ServiceVerdict]) -> dict[str, Health]:
    """How bad the causes are that tell of each name: its own, and those of what it waits for."""
    found: dict[str, Health] = {n: v.health for n, v in clusters.items()}

    def of(name: str, above: tuple[str, ...]) -> Health:
        if name not in found and name not in above and name in services:
            verdict = services[name]
            found[name] = worst([verdict.health, *(of(n, (*above, name)) for n in verdict.waits_for)])
        return found.get(name, Health.PASS)

    for name in services:
        of(name, ())
    return {n: health for n, health in found.items() if health is not Health.PASS}


def _services(
    estate: Estate,
    world: World,
    now_mono: float,
    clusters: Mapping[str, ClusterVerdict],
    services: Mapping[str, ServiceVerdict],
    past: Mapping[str, PastTrouble],
    releases: Mapping[str, ReleasesVerdict],
) -> Iterator[Cause]:
    for name, verdict in services.items():
        needs = estate.services[name].depends_on
        waits = any(services[n].health is Health.FAIL if n in services else clusters[n].holds_up for n in needs)
        last = max((past[n] for n in needs if n in past), key=lambda each: each.until, default=None)
        known = releases.get(name)
        cause = service_cause(estate, name, verdict, world, now_mono, waits=waits, last=last, releases=known)
        if cause is not None:
            yield cause
