"""Who may lead, in which order, and what each would lack: by PostgreSQL's positions and the manager's own conditions.

The conditions follow Patroni (ha.py: `is_failover_possible`, `_is_healthiest_node`): no tag nofailover, an agent that
answers, a member of the published sync set where one is kept, the leader's timeline, a position (received or replayed,
whichever is further) within maximum_lag_on_failover of the leader's. The HTTP answer names few of them; card,
screen and verbs read them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from state.errors import Refusal
from state.units import megabytes
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.eligible_manager import manager_obstacles, manager_unknowns
from state.verdicts.eligible_server import applies_late, notes_of, server_obstacles, server_unknowns
from state.verdicts.evidence import no_data_reason
from state.verdicts.guarantee import Guarantee
from state.verdicts.lag import ReplicationLag
from state.verdicts.managed import Managed, managed
from state.verdicts.tables import table_obstacles
from state.verdicts.votes import PRIMARY, manager_role


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether one node may lead: None = not known. `obstacles` are the reasons against it, `unknowns` what may be one.

    `rank` 0 is the best; `lacks` are the bytes of the primary's WAL that it would lead without, None = not known, then
    `lacks_at_least`. `notes` are what its promotion would bring with it.
    """

    node: str
    may_lead: bool | None
    obstacles: tuple[Refusal, ...]
    unknowns: tuple[str, ...]
    notes: tuple[str, ...]
    rank: int
    lacks: int | None
    lacks_at_least: int


def eligibility(
    facts: ClusterFacts, lags: Mapping[str, ReplicationLag], sync: Guarantee | None
) -> Mapping[str, Eligibility]:
    """Every node of the estate, the best first."""
    word = managed(facts)
    leading = _leading(facts, word)
    found = [_judged(facts, node, lags[node.node], word, leading) for node in facts.nodes.values()]
    members = sync.members if sync is not None else ()
    order = sorted(found, key=lambda e: (_standing(e), e.node not in members, *_worth(facts, e, word), e.node))
    ranked = {e.node: place for place, e in enumerate(order)}
    return {
        e.node: Eligibility(
            e.node, e.may_lead, e.obstacles, e.unknowns, e.notes, ranked[e.node], e.lacks, e.lacks_at_least
        )
        for e in order
    }


def _standing(each: Eligibility) -> int:
    return {True: 0, None: 1, False: 2}[each.may_lead]


def _worth(facts: ClusterFacts, each: Eligibility, word: Managed) -> tuple[int, int, bool]:
    """The furthest first, of equal ones the one with the higher priority, then one that applies what it receives."""
    reading = facts.nodes[each.node].postgres
    held = reading.held if reading is not None else None
    late = reading is not None and applies_late(reading)
    return -(held if held is not None else -1), -word.priority(each.node), late


def _judged(facts: ClusterFacts, node: NodeFacts, lag: ReplicationLag, word: Managed, leading: str) -> Eligibility:
    lacks, least = _lacks(facts, node, lag)
    if node.node == leading:
        reason = Refusal("not-the-leader", f"{node.node} leads already", "Choose another node")
        return Eligibility(node.node, False, (reason,), (), (), 0, lacks, least)
    obstacles = [*manager_obstacles(node, word), *table_obstacles(facts, node.node)]
    obstacles += server_obstacles(facts, node, lag, word, least)
    unknowns = (*manager_unknowns(node, word), *server_unknowns(facts, node), *_absent_further(facts, node))
    if node.postgres is None:
        fact = f"{node.node}: {no_data_reason(node.postgres_seen)}"
        obstacles = [Refusal("candidate-answers", fact, "Choose a node that answers"), *obstacles]
    may_lead = False if obstacles else None if unknowns else True
    return Eligibility(node.node, may_lead, tuple(obstacles), unknowns, notes_of(facts, node, word), 0, lacks, least)


def _leading(facts: ClusterFacts, word: Managed) -> str:
    """Who leads already: it writes, or by its own manager leads (a standby cluster, or while it is being promoted)."""
    if facts.primary is not None:
        return facts.primary.node
    if facts.standby_leader:
        return facts.standby_leader
    for name, manager in facts.managers.items():
        if manager is not None and manager_role(manager.role, manager.state) == PRIMARY:
            return name
    return word.lock_holder if word.lock_holder in facts.nodes else ""


def _lacks(facts: ClusterFacts, node: NodeFacts, lag: ReplicationLag) -> tuple[int | None, int]:
    """What it lacks of the primary's WAL, and what is certain of it, also when the primary does not answer."""
    if facts.primary is not None and facts.primary.node == node.node:
        return 0, 0
    if lag.receive is not None:
        return lag.receive, lag.receive
    if facts.primary is None:
        return None, missing_since(facts, node)
    return None, 0 if lag.at_least is None else lag.at_least - (lag.unapplied or 0)


def _absent_further(facts: ClusterFacts, node: NodeFacts) -> tuple[str, ...]:
    """Standbys that are silent now and had more WAL than this one: without a primary, only they know what it lacks."""
    held = node.postgres.held if node.postgres is not None else None
    if facts.primary is not None or held is None:
        return ()
    silent = [(n.node, n.last_postgres) for n in facts.nodes.values() if n.postgres is None]
    known = [(n, r.held) for n, r in silent if r is not None and r.in_recovery and r.held is not None]
    return tuple(f"{n} is silent and had {megabytes(at - held)} more than {node.node}" for n, at in known if at > held)


def missing_since(facts: ClusterFacts, node: NodeFacts) -> int:
    """Bytes that a silent primary is known to have written past what a node has, by its last reading."""
    reading = node.postgres
    held = reading.held if reading is not None else None
    last = [
        r.write_lsn
        for n in facts.nodes.values()
        if n.postgres is None and (r := n.last_postgres) is not None and not r.in_recovery and r.write_lsn is not None
        if reading is not None and r.system_id == reading.system_id
    ]
    return max(0, max(last) - held) if last and held is not None else 0
