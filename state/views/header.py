"""The header on every screen: clocks, worst risk, alarms, and every source with its age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.api.views.header import DataRisk, HeaderView, RtoClock, SourceRow
from state.estate.model import Estate
from state.health import Health
from state.verdicts.clocks import most_urgent
from state.verdicts.evidence import rank
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.verdicts.traffic import drift
from state.views.memory import Memory
from state.world.readings import BalancerReading
from state.world.world import World


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine itself adds: who commands, what runs, whether effects are allowed, the journal's head."""

    running: tuple[str, ...] = ()
    effects: str = ""
    journal_seq: int = 0
    journal_head: str = ""
    alarms: tuple[str, ...] = ()


def header(
    estate: Estate,
    world: World,
    impaired: Mapping[str, RtoClock],
    expected: Mapping[str, int | str],
    desk: EngineFacts,
    now_mono: float,
    memory: Memory,
) -> HeaderView:
    """Build the header; the engine's own alarms follow those read from the world."""
    clusters = [cluster_verdict(n, e, world, now_mono) for n, e in estate.databases.items()]
    view = HeaderView(
        estate=estate.estate,
        environment=estate.environment,
        rto=most_urgent(impaired, now_mono),
        risk=worst_risk([c.risk for c in clusters]),
        running=desk.running,
        effects=desk.effects,
        journal_seq=desk.journal_seq,
        journal_head=desk.journal_head,
        alarms=(*alarms(clusters, world, expected, now_mono), *desk.alarms),
        sources=sources(world),
    )
    return memory.keep("header", view)


def worst_risk(risks: list[DataRisk]) -> DataRisk | None:
    """The database with most to lose: by verdict, then by share of its objective."""
    return max(risks, key=lambda r: (rank(r.health), (r.lost_bytes or 0) / (r.target or 1)), default=None)


def alarms(
    clusters: list[ClusterVerdict], world: World, expected: Mapping[str, int | str], now_mono: float
) -> tuple[str, ...]:
    """What must be seen from every screen: two writers, a cluster without primary, lost balancer state."""
    found = [c.split.message for c in clusters if c.split is not None]
    found += [f"{c.facts.name}: {c.message}" for c in clusters if c.split is None and c.health is Health.FAIL]
    for key in world.keys("balancer"):
        reading = world.fresh(key, BalancerReading, now_mono)
        changed = drift(None, reading, expected) if reading is not None else ""
        if changed:
            found.append(f"{key.partition(':')[2]}: {changed}")
    return tuple(found)


def sources(world: World) -> dict[str, SourceRow]:
    """Every source: when it last gave a good reading, its age limit, and its last error if any."""
    return {
        key: SourceRow(
            key,
            None if seen.mono is None else round(seen.mono, 3),
            seen.limit,
            str(seen.error.trouble) if seen.error is not None else "",
            seen.error.message if seen.error is not None else "",
        )
        for key, seen in world.observed.items()
    }
