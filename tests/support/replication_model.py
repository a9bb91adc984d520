"""A second opinion on replication, from the manuals and with no import of verdict code.

PostgreSQL manual: "synchronous_standby_names", "The Cumulative Statistics System" (pg_stat_replication), "Failover".
Patroni manual: "Replication modes", "Dynamic configuration" (maximum_lag_on_failover, synchronous_mode), "Tags".
"""

from __future__ import annotations

from dataclasses import dataclass, field

MB = 1_000_000
COMMITS_HANG = 3.0
"""Seconds that one commit is seen to wait."""
REPLIES = 25.0
"""Seconds after which a standby that replies every 10 s counts as frozen."""


@dataclass(frozen=True)
class Standby:
    """One standby as generated; distances in bytes behind the primary."""

    name: str
    behind: int = 0
    unapplied: int = 0
    confirmed: int | None = None
    """How far behind it was by its own confirmation to the primary, when the primary was read."""
    streams: bool = True
    answers: bool = True
    agent: str = "running"
    """running, starting or silent."""
    other_system: bool = False
    old_timeline: bool = False
    ahead: int = 0
    """Bytes past the primary, proven by a reading before the primary's."""
    frozen: float = 0.1
    nofailover: bool = False
    priority: int = 1
    listed_sync: bool = False


@dataclass(frozen=True)
class Topology:
    """One cluster under Patroni: its primary `n1` writes, is silent, or is in recovery although it has the lock."""

    standbys: tuple[Standby, ...]
    leader: str = "writes"
    position: int = 1000 * MB
    any_of: bool = False
    needed: int = 0
    names: tuple[str, ...] = ()
    waits: float = 0.0
    weaker: bool = False
    sync_mode: bool = False
    maximum_lag: int = MB
    rpo: int = MB


@dataclass(frozen=True)
class Expected:
    """What must be said of it."""

    health: str
    guarantee: str | None
    candidate: str
    lost: int | None
    refusals: dict[str, frozenset[str]] = field(default_factory=dict)


def connected(of: Topology) -> list[Standby]:
    """Whom the primary has in its list, streaming: also those that we do not reach."""
    return [s for s in of.standbys if s.streams and not s.other_system and not s.old_timeline and not s.ahead]


def sync_states(of: Topology) -> dict[str, str]:
    """sync_state of each stream, as a primary computes it."""
    here = [s.name for s in connected(of)]
    if not of.names:
        return dict.fromkeys(here, "async")
    if of.any_of:
        return {name: "quorum" if name in of.names else "async" for name in here}
    named = [name for name in of.names if name in here]
    states = dict.fromkeys(here, "async")
    for place, name in enumerate(named):
        states[name] = "sync" if place < of.needed else "potential"
    return states


def expected(of: Topology) -> Expected:
    """The right answers."""
    refused = {s.name: refusals(of, s) for s in of.standbys}
    kind = guarantee(of) if of.leader == "writes" else None
    chosen = candidate(of, refused)
    return Expected(
        health(of, refused, kind, chosen), kind, chosen.name if chosen else "", loss(of, kind, chosen), refused
    )


def guarantee(of: Topology) -> str:
    """What a commit waits for, and whether it can get it."""
    if not of.names:
        return "async"
    thawed = {s.name for s in connected(of) if s.frozen <= REPLIES}
    states = sync_states(of)
    able = [name for name, state in states.items() if state in ("sync", "quorum") and name in thawed]
    if len(able) < of.needed or of.waits >= COMMITS_HANG:
        return "blocked"
    return "quorum" if of.any_of else "sync"


def distance(of: Topology, one: Standby) -> int:
    """Bytes it is certain to lack: by the better of what it says and what it has confirmed."""
    if one.confirmed is None or one not in connected(of) or of.leader != "writes":
        return one.behind
    return min(one.behind, one.confirmed)


def refusals(of: Topology, one: Standby) -> frozenset[str]:
    """Why it may not lead."""
    found = set()
    if (one.nofailover or one.priority <= 0) and some_agent(of):
        found.add("may-lead")
    if one.agent == "silent":
        found.add("agent-answers")
    if one.agent == "starting":
        found.add("agent-ready")
    if of.sync_mode and not one.listed_sync and some_agent(of):
        found.add("sync-member")
    if not one.answers:
        return frozenset(found | {"candidate-answers"})
    return frozenset(found | history(of, one))


def some_agent(of: Topology) -> bool:
    """Whether anybody tells tags, list and limits: every agent knows them of all members."""
    return of.leader != "silent" or any(s.agent != "silent" for s in of.standbys)


def history(of: Topology, one: Standby) -> set[str]:
    """Why it may not lead by its WAL."""
    writes, known = of.leader == "writes", of.leader != "recovery"
    mixed = (
        len({s.other_system for s in of.standbys if s.answers} | ({False} if of.leader == "recovery" else set())) > 1
    )
    if (known and one.other_system) or (not known and mixed):
        return {"same-system"}
    if writes and one.ahead and not one.old_timeline:
        return {"same-history"}
    found = set()
    if one.old_timeline:
        found.add("same-timeline")
    elif writes and not one.streams:
        found.add("streaming")
    if too_far(of, one):
        found.add("lag-limit")
    return found


def too_far(of: Topology, one: Standby) -> bool:
    """Further behind than the manager allows, as far as it is certain."""
    if of.leader == "recovery" or not some_agent(of):
        return False
    return distance(of, one) > of.maximum_lag


def candidate(of: Topology, refused: dict[str, frozenset[str]]) -> Standby | None:
    """Who would lead next: one in sync first, then the furthest, then the higher priority, then by name."""
    able = [s for s in of.standbys if not refused[s.name]]
    able = able or [s for s in of.standbys if refused[s.name] == {"lag-limit"}]
    members = confirming(of) if of.leader == "writes" and guarantee(of) in ("sync", "quorum") else set()
    return min(able, key=lambda s: (s.name not in members, s.behind - s.ahead, -s.priority, s.name), default=None)


def confirming(of: Topology) -> set[str]:
    """Whose confirmations count now."""
    states = sync_states(of)
    return {s.name for s in connected(of) if states[s.name] in ("sync", "quorum") and s.frozen <= REPLIES}


def loss(of: Topology, kind: str | None, chosen: Standby | None) -> int | None:
    """Bytes that a failover now loses; None = not known."""
    if of.leader != "writes" or chosen is None or any(s.ahead and comparable(s) for s in of.standbys):
        return None
    if not of.weaker and chosen.name in confirming(of):
        if kind == "sync":
            return 0
        no_further = [
            s for s in of.standbys if s.answers and s.behind - s.ahead >= chosen.behind and s.name in confirming(of)
        ]
        named = max(len(of.names), len([n for n, state in sync_states(of).items() if state == "quorum"]))
        if kind == "quorum" and named - len(no_further) < of.needed:
            return 0
    return distance(of, chosen)


def comparable(one: Standby) -> bool:
    """Whether its position can be held against the primary's."""
    return one.answers and not one.other_system and not one.old_timeline


def health(of: Topology, refused: dict[str, frozenset[str]], kind: str | None, chosen: Standby | None) -> str:
    """fail, unknown, warn or pass."""
    if (
        of.leader == "silent"
        or kind == "blocked"
        or any(s.ahead and comparable(s) for s in of.standbys if of.leader == "writes")
    ):
        return "fail"
    if of.leader == "recovery":
        return "fail" if all(s.answers for s in of.standbys) else "unknown"
    ill = any(unwell(of, s) for s in of.standbys)
    at_risk = (loss(of, kind, chosen) or 0) > of.rpo
    forbidden = all(refused[s.name] & {"may-lead", "sync-member"} for s in of.standbys)
    unsynced = of.sync_mode and kind == "async"
    return "warn" if ill or at_risk or forbidden or unsynced else "pass"


def unwell(of: Topology, one: Standby) -> bool:
    """Whether something is wrong with it itself."""
    if not one.answers or one.agent == "silent" or one.other_system or one.old_timeline or not one.streams:
        return True
    return one.unapplied > of.rpo or distance_applied(of, one) > of.rpo


def distance_applied(of: Topology, one: Standby) -> int:
    """Bytes it has not applied of what the primary had written, or of what it itself has where that is more."""
    return one.behind + one.unapplied
