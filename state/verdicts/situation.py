"""The situation: every cause in the order to deal with them, and services and databases in the order to recover them,
each below what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from state.api.views.causes import Cause, NextStep, SubjectKind, Victim
from state.estate.model import Estate
from state.health import Health
from state.units import megabytes
from state.verdicts.cause_service import own_message
from state.verdicts.evidence import rank, worst
from state.verdicts.priority import Priority
from state.verdicts.replication import ClusterVerdict
from state.verdicts.service import ServiceVerdict

Since = Callable[[str, Health], float | None]
"""Since when a service or database (by name) has its health, in monotonic seconds; None = not known."""


@dataclass(frozen=True, slots=True)
class Place:
    """One service or database in the order to recover them; `waits_for` names the row above that it waits for."""

    kind: SubjectKind
    name: str
    depth: int
    waits_for: str
    health: Health
    since_mono: float | None
    message: str
    next: NextStep | None
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Situation:
    """Causes, the worst first, and places, causes before what waits for them."""

    causes: tuple[Cause, ...]
    places: tuple[Place, ...]


class _Judged:
    """What is known about every service and database."""

    def __init__(
        self,
        estate: Estate,
        clusters: Mapping[str, ClusterVerdict],
        services: Mapping[str, ServiceVerdict],
        causes: Sequence[Cause],
    ) -> None:
        self.estate, self.clusters, self.services = estate, clusters, services
        self.healths = {n: v.health for n, v in clusters.items()} | {n: v.health for n, v in services.items()}
        self.own: dict[str, Cause] = {}
        for cause in causes:
            if cause.kind in (SubjectKind.DATABASE, SubjectKind.SERVICE, SubjectKind.RECORD):
                known = self.own.get(cause.name)
                if known is None or rank(cause.health) > rank(known.health):
                    self.own[cause.name] = cause

    def parent(self, name: str) -> str:
        """What it waits for: of the failing and unknown things it needs, the one that is itself a cause, the worst
        first. Empty when it has a cause of its own, or nothing is wrong with it."""
        service = self.estate.services.get(name)
        if service is None or name in self.own or self.healths[name] is Health.PASS:
            return ""
        ill = [n for n in service.depends_on if self._holds_up(n)]
        return min(ill, key=lambda n: (-rank(self.healths[n]), n not in self.own), default="")

    def _holds_up(self, name: str) -> bool:
        cluster = self.clusters.get(name)
        return cluster.holds_up if cluster is not None else self.healths.get(name) is Health.FAIL

    def chain(self, name: str) -> list[str]:
        """Everything it waits for, the root last."""
        above: list[str] = []
        while (name := self.parent(name)) and name not in above:
            above.append(name)
        return above

    def message(self, name: str, parent: str) -> str:
        """Why it has its health: its own fault, or what it waits for and what it suffers meanwhile."""
        if name in self.clusters:
            cause = self.own.get(name)
            return cause.what if cause is not None else _well(self.clusters[name])
        verdict = self.services[name]
        if not parent:
            cause = self.own.get(name)
            return cause.what if cause is not None else verdict.message
        own = own_message(verdict.own)
        return f"waits for {parent}; {own}" if own else f"needs {parent}, which fails"


def _well(cluster: ClusterVerdict) -> str:
    """Of a healthy cluster: who leads, how many follow, what a failover could lose."""
    if cluster.health is not Health.PASS:
        return cluster.message
    follows = (n for n in cluster.nodes.values() if n.facts.node != cluster.facts.standby_leader)
    standbys = sum(n.state in ("streaming", "replaying") for n in follows)
    lost = cluster.risk.lost_bytes
    risk = f", at risk {megabytes(lost)} of {megabytes(cluster.risk.target)}" if lost is not None else ""
    leads = "leads a standby cluster" if cluster.facts.standby_leader else "leads"
    return f"{cluster.leader} {leads}, {standbys} follow{'s' if standbys == 1 else ''}{risk}"


def situation(
    estate: Estate,
    clusters: Mapping[str, ClusterVerdict],
    services: Mapping[str, ServiceVerdict],
    causes: Sequence[Cause],
    order: Sequence[Priority],
    since: Since,
) -> Situation:
    """Arrange what was found; `order` has every service and database once."""
    judged = _Judged(estate, clusters, services, causes)
    keys = {p.name: (-rank(judged.healths[p.name]), place) for place, p in enumerate(order)}
    chains = {name: judged.chain(name) for name in keys}

    def path(name: str) -> tuple[tuple[int, int], ...]:
        return tuple(keys[n] for n in (*reversed(chains[name]), name))

    names = sorted(keys, key=path)
    dated = {n: since(n, judged.healths[n]) for n in names}
    places = tuple(_place(judged, n, chains[n], dated[n]) for n in names)
    waiting = _waiting(places, chains)
    ranked = [_complete(c, judged, waiting.get(c.name, ()), dated) for c in causes]
    position = {n: at for at, n in enumerate(names)}

    def urgency(cause: Cause) -> tuple[int, bool, int, str]:
        """What fails because of a cause makes it as urgent as a failing one, also while it is not proven itself."""
        suffers = worst(
            [cause.health, *(judged.healths[v.name] for v in cause.victims if cause.name in chains[v.name])]
        )
        alert = cause.kind is SubjectKind.ALERT
        return -rank(suffers), alert, position.get(cause.name, len(names)), cause.key

    ranked.sort(key=urgency)
    return Situation(tuple(ranked), places)


def _place(judged: _Judged, name: str, chain: Sequence[str], since: float | None) -> Place:
    parent = chain[0] if chain else ""
    cause, health = judged.own.get(name), judged.healths[name]
    if name in judged.clusters:
        kind, nodes = SubjectKind.DATABASE, judged.clusters[name].facts.nodes.values()
        sources = tuple(key for node in nodes for key in node.keys)
    else:
        kind = SubjectKind.SERVICE
        verdict = judged.services[name]
        sources = (verdict.source,) if verdict.source else verdict.probes
    step = cause.next if cause is not None else None
    shown = since if health is not Health.PASS else None
    return Place(kind, name, len(chain), parent, health, shown, judged.message(name, parent), step, sources)


def _waiting(places: Sequence[Place], chains: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[Victim]]:
    """Those who wait for each name, in the order of the places."""
    found: dict[str, list[Victim]] = {}
    for place in places:
        for name in chains[place.name]:
            found.setdefault(name, []).append(Victim(place.kind, place.name, place.message))
    return found


def _complete(cause: Cause, judged: _Judged, victims: Sequence[Victim], dated: Mapping[str, float | None]) -> Cause:
    """The cause with those who wait for it; of the worst one of a row also with the row's own instant."""
    mine = judged.own.get(cause.name) is cause
    return replace(
        cause,
        victims=cause.victims or (tuple(victims) if mine else ()),
        since_mono=dated[cause.name] if mine and cause.health is judged.healths[cause.name] else cause.since_mono,
    )
