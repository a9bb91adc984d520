"""Service health: figures of the first monitor with fresh data, probes, balancers, names and dependencies.

The worst finding decides. Missing evidence is unknown, never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from state.estate.model import Estate, Service
from state.health import Health
from state.units import percent
from state.verdicts.evidence import no_data_reason, rank, worst
from state.verdicts.figures import judge_traffic, missing_text, mixed_text, scraping_note, usable_traffic
from state.verdicts.own_checks import own_verdict
from state.verdicts.reach import NameVerdict, name_verdicts
from state.verdicts.routing import routed
from state.verdicts.traffic import backend_verdict, way_in
from state.world.balancer_parts import BalancerReading
from state.world.readings import ProbeReading, ServiceTraffic
from state.world.world import World


class Reason(StrEnum):
    """What a finding is about, the likeliest cause first: a name that leads elsewhere explains missing requests."""

    NAME = "name"
    BALANCER = "balancer"
    FIGURES = "figures"
    PROBES = "probes"
    CHECKS = "checks"
    NEEDS = "needs"


class ServiceFinding(NamedTuple):
    """One finding about a service: a verdict, why, and what it is about. `silent`: all that it tells is that this
    source is silent, which is then the cause; else empty."""

    health: Health
    message: str
    reason: Reason
    silent: str = ""


@dataclass(frozen=True, slots=True)
class ServiceVerdict:
    """The verdict on a service. `source` is the key of the figures shown; `fallback` = not the preferred monitor's.

    `own` are its findings without those about what it needs, the worst first; `waits_for` are the failing and unknown
    things it needs. `reach` is the verdict on each of its names. `partial`: the figures shown lack a target, so that it
    passes proves no recovery: what failed may be silent now. `probes` are the keys of its probes.
    """

    health: Health
    message: str
    traffic: ServiceTraffic | None
    source: str
    fallback: bool
    own: tuple[ServiceFinding, ...] = ()
    waits_for: tuple[str, ...] = ()
    reach: tuple[NameVerdict, ...] = ()
    partial: bool = False
    probes: tuple[str, ...] = ()

    @property
    def own_health(self) -> Health:
        """The verdict without what it needs."""
        return self.own[0].health if self.own else Health.PASS


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

    verdicts: list[ServiceFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, health: Health, message: str, reason: Reason, silent: str = "") -> None:
        self.verdicts.append(ServiceFinding(health, message, reason, silent))

    def ordered(self) -> list[ServiceFinding]:
        """The worst first; of equal ones that which explains the others."""
        return sorted(self.verdicts, key=lambda f: (-rank(f.health), list(Reason).index(f.reason)))

    def verdict(self, otherwise: str) -> tuple[Health, str]:
        health = worst(f.health for f in self.verdicts)
        bad = [f.message for f in self.ordered() if f.health is not Health.PASS]
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
        names = name_verdicts(estate, name, world, now_mono)
        judged[name] = service_verdict(estate, service, world, now_mono, known_probes.get(name, []), depends, names)

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
    names: Sequence[NameVerdict] = (),
) -> ServiceVerdict:
    """Judge one service; `depends` holds the health of what it depends on (None = not judged), `names` its reach."""
    findings = _Findings()
    shown = _metrics(estate, service, world, now_mono, findings)
    answered = _ask_probes(world, now_mono, service_probes, findings)
    checked = _own_checks(service, world, now_mono, findings)
    if shown is None and not service_probes and not checked:
        findings.add(Health.UNKNOWN, "neither metrics nor probes", Reason.FIGURES)
    _balancers(service, world, now_mono, findings)
    _names(names, findings)
    own = tuple(f for f in findings.ordered() if f.health is not Health.PASS)
    for name, health in depends.items():
        if health is Health.FAIL:
            findings.add(Health.WARN, f"depends on {name}, which fails", Reason.NEEDS)
        elif health is Health.UNKNOWN:
            findings.notes.append(f"{name} unknown")
    waits = tuple(n for n, h in depends.items() if h in (Health.FAIL, Health.UNKNOWN))
    probed = f"{answered} of {len(service_probes)} probes pass" if service_probes else f"{len(checked)} checks pass"
    otherwise = "within objectives" if shown is not None else probed
    health, message = findings.verdict(otherwise)
    asked = tuple(probe.key for probe in service_probes)
    if shown is None or not shown.fresh:
        return ServiceVerdict(health, message, None, "", False, own, waits, tuple(names), probes=asked)
    fallback = service.metrics is not None and shown.monitor != service.metrics.monitors[0]
    source = f"metrics:{shown.monitor}"
    partial = bool(shown.traffic is not None and shown.traffic.missing)
    return ServiceVerdict(health, message, shown.traffic, source, fallback, own, waits, tuple(names), partial, asked)


def _metrics(estate: Estate, service: Service, world: World, now_mono: float, findings: _Findings) -> _Figures | None:
    """Judge the service by its monitors: the first with usable figures is shown, unless another one is worse."""
    if service.metrics is None:
        return None
    asked = [_figures(service, m, world, now_mono) for m in service.metrics.monitors]
    usable = [f for f in asked if f.health is not Health.UNKNOWN]
    shown = usable[0] if usable else next((f for f in asked if f.fresh), asked[0])
    bad = max(usable, key=lambda f: rank(f.health), default=shown)
    if rank(bad.health) > rank(shown.health):
        findings.add(bad.health, _disagreement(bad, shown), Reason.FIGURES)
        shown = bad
    else:
        message = shown.message if usable else "; ".join(f"{f.monitor}: {f.message}" for f in asked)
        findings.add(shown.health, message, Reason.FIGURES)
    lost = missing_text(shown.traffic) if shown.traffic is not None else ""
    if lost and lost not in shown.message:
        findings.add(Health.WARN, f"figures of {shown.monitor} {lost}", Reason.FIGURES)  # part of the evidence
    if shown.traffic is not None and (mixed := mixed_text(shown.traffic)):
        findings.add(Health.WARN, f"figures of {shown.monitor} {mixed}", Reason.FIGURES)
    first = asked[0]
    if usable and first.health is Health.UNKNOWN:
        how = "scraped directly" if estate.monitors[shown.monitor].kind == "scrape" else f"figures of {shown.monitor}"
        findings.notes.append(f"{first.monitor}: {first.message}, {how}")
    if shown.traffic is not None and (note := scraping_note(shown.traffic.scraping)):
        findings.notes.append(f"{shown.monitor}: {note}")
    return shown


def _figures(service: Service, monitor: str, world: World, now_mono: float) -> _Figures:
    assert service.metrics is not None
    traffic, why = usable_traffic(world, monitor, service.metrics.service, now_mono)
    if traffic is None:
        return _Figures(monitor, Health.UNKNOWN, why, None, False)
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
        findings.add(health, ", ".join(failed), Reason.PROBES)
    if silent:
        only_witness = not passed and not failed and all(f.health is not Health.PASS for f in findings.verdicts)
        key = next(p.key for p, r in answers if r is None)
        findings.add(Health.UNKNOWN if only_witness else Health.WARN, ", ".join(silent), Reason.PROBES, key)
    if passed and not failed and not silent:
        findings.add(Health.PASS, "", Reason.PROBES)
    return passed


def _own_checks(service: Service, world: World, now_mono: float, findings: _Findings) -> tuple[str, ...]:
    """Each of the estate's own checks must pass: one that fails fails the service, one that is unknown leaves it so."""
    for name in service.objectives.checks:
        health, message = own_verdict(name, world, now_mono)
        findings.add(health, message if health is not Health.PASS else "", Reason.CHECKS)
    return service.objectives.checks


def _balancers(service: Service, world: World, now_mono: float, findings: _Findings) -> None:
    """A site where nothing serves fails the service; an unread balancer warns."""
    entry = service.traffic
    for balancer in entry.balancers if entry is not None else ():
        assert entry is not None
        key = f"balancer:{balancer}"
        reading = world.fresh(key, BalancerReading, now_mono)
        if reading is None:
            message = f"{balancer}: {no_data_reason(world.observed.get(key))}"
            findings.add(Health.WARN, message, Reason.BALANCER, key)
            continue
        backend, lacking = routed(entry, reading)
        if lacking:
            findings.add(
                Health.UNKNOWN, f"{balancer}: {lacking}: nobody knows which backend has its traffic", Reason.BALANCER
            )
            continue
        servers, empty = reading.of(backend), backend in reading.empty
        way = way_in(reading, backend)
        verdict = backend_verdict(servers, entry.floor, entry.colours, entry.backups, empty=empty, entry=way)
        message = f"{balancer}: {verdict.message}"
        seen_well = any(f.health is Health.PASS for f in findings.verdicts)
        if verdict.health is Health.UNKNOWN and servers and seen_well:
            findings.notes.append(message)  # nobody checks its servers; figures and probes have seen it serve
        elif verdict.health is not Health.PASS:
            health = Health.WARN if verdict.health is Health.UNKNOWN else verdict.health
            findings.add(health, message, Reason.BALANCER)


def _names(names: Sequence[NameVerdict], findings: _Findings) -> None:
    """A service that no new client can reach fails, whatever its old clients still measure."""
    wrong = [n for n in names if n.health is Health.FAIL]
    for name in names:
        if name.health is Health.UNKNOWN:
            findings.notes.append(name.message)  # its DNS server is a source of its own
        elif name.health is Health.FAIL and len(wrong) < len(names):
            findings.add(Health.WARN, name.message, Reason.NAME)
        elif name.health is not Health.PASS:
            findings.add(name.health, name.message, Reason.NAME)
