"""Service health: figures of the first monitor with fresh data, probes, balancers and dependencies.

The worst finding decides. Missing evidence is unknown, never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.estate.model import Estate, Service
from state.health import Health
from state.units import percent
from state.verdicts.evidence import no_data_reason, rank, worst
from state.verdicts.figures import judge_traffic, usable_metrics
from state.verdicts.traffic import backend_verdict
from state.world.readings import BalancerReading, ProbeReading, ServiceTraffic
from state.world.world import World


@dataclass(frozen=True, slots=True)
class ServiceVerdict:
    """The verdict on a service. `source` is the key of the figures shown; `fallback` = not the preferred monitor's."""

    health: Health
    message: str
    traffic: ServiceTraffic | None
    source: str
    fallback: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """One configured HTTP probe of a service."""

    key: str
    name: str
    site: str


@dataclass(frozen=True, slots=True)
class _Figures:
    """One monitor's figures of one service, with the verdict on them."""

    monitor: str
    health: Health
    message: str
    traffic: ServiceTraffic | None
    fresh: bool


@dataclass(slots=True)
class _Findings:
    """The findings of all sources: verdicts with messages, and notes without influence on the verdict."""

    verdicts: list[tuple[Health, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def verdict(self, otherwise: str) -> tuple[Health, str]:
        health = worst(h for h, _ in self.verdicts)
        bad = [w for h, w in sorted(self.verdicts, key=lambda f: -rank(f[0])) if h is not Health.PASS]
        return health, "; ".join([*(bad or [otherwise]), *self.notes])


def probes(estate: Estate) -> dict[str, list[Probe]]:
    """The probes of every service."""
    found: dict[str, list[Probe]] = {}
    for monitor, entry in estate.monitors.items():
        for name, probe in entry.probes.items():
            found.setdefault(probe.service, []).append(Probe(f"probe:{monitor}/{name}", name, probe.site))
    return found


def service_verdicts(
    estate: Estate, world: World, now_mono: float, databases: Mapping[str, Health]
) -> dict[str, ServiceVerdict]:
    """Every service, dependencies first, so a failing one is named by those that need it."""
    known_probes = probes(estate)
    judged: dict[str, ServiceVerdict] = {}

    def judge(name: str, above: tuple[str, ...]) -> None:
        if name in judged or name in above:
            return
        service = estate.services[name]
        for needed in service.depends_on:
            if needed in estate.services:
                judge(needed, (*above, name))
        depends = {n: judged[n].health if n in judged else databases.get(n) for n in service.depends_on}
        judged[name] = service_verdict(estate, service, world, now_mono, known_probes.get(name, []), depends)

    for name in estate.services:
        judge(name, ())
    return judged


def service_verdict(
    estate: Estate,
    service: Service,
    world: World,
    now_mono: float,
    service_probes: list[Probe],
    depends: Mapping[str, Health | None],
) -> ServiceVerdict:
    """Judge one service; `depends` holds the health of what it depends on (None = not judged)."""
    findings = _Findings()
    shown = _metrics(estate, service, world, now_mono, findings)
    answered = _ask_probes(world, now_mono, service_probes, findings)
    if shown is None and not service_probes:
        findings.verdicts.append((Health.UNKNOWN, "neither metrics nor probes"))
    _balancers(service, world, now_mono, findings)
    for name, health in depends.items():
        if health is Health.FAIL:
            findings.verdicts.append((Health.WARN, f"depends on {name}, which fails"))
        elif health is Health.UNKNOWN:
            findings.notes.append(f"{name} unknown")
    otherwise = "within objectives" if shown is not None else f"{answered} of {len(service_probes)} probes pass"
    health, message = findings.verdict(otherwise)
    if shown is None or not shown.fresh:
        return ServiceVerdict(health, message, None, "", False)
    fallback = service.metrics is not None and shown.monitor != service.metrics.monitors[0]
    return ServiceVerdict(health, message, shown.traffic, f"metrics:{shown.monitor}", fallback)


def _metrics(estate: Estate, service: Service, world: World, now_mono: float, findings: _Findings) -> _Figures | None:
    """Judge the service by its monitors: the first with usable figures is shown, unless another one is worse."""
    if service.metrics is None:
        return None
    asked = [_figures(service, m, world, now_mono) for m in service.metrics.monitors]
    usable = [f for f in asked if f.health is not Health.UNKNOWN]
    shown = usable[0] if usable else next((f for f in asked if f.fresh), asked[0])
    bad = max(usable, key=lambda f: rank(f.health), default=shown)
    if rank(bad.health) > rank(shown.health):
        findings.verdicts.append((bad.health, _disagreement(bad, shown)))
        shown = bad
    else:
        message = shown.message if usable else "; ".join(f"{f.monitor}: {f.message}" for f in asked)
        findings.verdicts.append((shown.health, message))
    first = asked[0]
    if usable and first.health is Health.UNKNOWN:
        how = "scraped directly" if estate.monitors[shown.monitor].kind == "scrape" else f"figures of {shown.monitor}"
        findings.notes.append(f"{first.monitor}: {first.message}, {how}")
    return shown


def _figures(service: Service, monitor: str, world: World, now_mono: float) -> _Figures:
    assert service.metrics is not None
    reading, why = usable_metrics(world, monitor, now_mono)
    if reading is None:
        return _Figures(monitor, Health.UNKNOWN, why, None, False)
    traffic = reading.services.get(service.metrics.service)
    health, message = judge_traffic(traffic, service.objectives)
    return _Figures(monitor, health, message, traffic, True)


def _disagreement(bad: _Figures, shown: _Figures) -> str:
    return f"CONFLICT: {bad.monitor} says {bad.message}, {shown.monitor} says {_figures_text(shown)}"


def _figures_text(figures: _Figures) -> str:
    ratio = figures.traffic.error_ratio if figures.traffic is not None else None
    return figures.message or (f"5xx {percent(ratio)}" if ratio is not None else "nothing")


def _ask_probes(world: World, now_mono: float, service_probes: list[Probe], findings: _Findings) -> int:
    """All failing fails; some failing or without data warns; all without data is unknown. Returns how many passed."""
    answers = [(p, world.fresh(p.key, ProbeReading, now_mono)) for p in service_probes]
    passed = sum(r is not None and r.ok for _, r in answers)
    failed = [f"{p.name} answers {r.status}" for p, r in answers if r is not None and not r.ok]
    silent = [f"{p.name}: {no_data_reason(world.observed.get(p.key))}" for p, r in answers if r is None]
    if failed:
        health = Health.FAIL if len(failed) == len(answers) else Health.WARN
        findings.verdicts.append((health, ", ".join(failed)))
    if silent:
        only_witness = not passed and not failed and all(h is not Health.PASS for h, _ in findings.verdicts)
        findings.verdicts.append((Health.UNKNOWN if only_witness else Health.WARN, ", ".join(silent)))
    if passed and not failed and not silent:
        findings.verdicts.append((Health.PASS, ""))
    return passed


def _balancers(service: Service, world: World, now_mono: float, findings: _Findings) -> None:
    """A site where nothing serves fails the service; an unread balancer warns."""
    entry = service.traffic
    for balancer in entry.balancers if entry is not None else ():
        assert entry is not None
        key = f"balancer:{balancer}"
        reading = world.fresh(key, BalancerReading, now_mono)
        if reading is None:
            findings.verdicts.append((Health.WARN, f"{balancer}: {no_data_reason(world.observed.get(key))}"))
            continue
        verdict = backend_verdict(reading.of(entry.backend), entry.floor, entry.colours)
        if verdict.health is not Health.PASS:
            health = Health.WARN if verdict.health is Health.UNKNOWN else verdict.health
            findings.verdicts.append((health, f"{balancer}: {verdict.message}"))
