"""Two nodes that accept writes: read from every server, since a manager cannot see a server it does not reach."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

from state.units import megabytes
from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.lag import lsn, past_fork
from state.verdicts.votes import PRIMARY, manager_role


@dataclass(frozen=True, slots=True)
class SplitBrain:
    """The alarm: which nodes accept writes, where their timelines forked, and how far the older one wrote past that.

    `fork_lsn` and `past_fork` (bytes) are None when unknown. Row counts are not compared: they can be equal while
    the content differs.
    """

    nodes: tuple[str, ...]
    fork_lsn: int | None
    past_fork: int | None
    message: str


def split_brain(facts: ClusterFacts) -> SplitBrain | None:
    """The alarm when two nodes accept writes, by a fresh reading of their server or, without one, of their manager."""
    writers = [n for n in facts.nodes.values() if _writes(n)]
    pairs = [pair for pair in combinations(writers, 2) if not _handed_over(*pair)]
    if not pairs:
        return None
    nodes = tuple(n.node for n in writers if any(n in pair for pair in pairs))
    fork, past = next((f for f in (_fork(*pair) for pair in pairs) if f[0] is not None), (None, None))
    return SplitBrain(nodes, fork, past, _message(facts, nodes, fork, past))


def split_resolved(facts: ClusterFacts, nodes: Collection[str]) -> bool:
    """Whether an alarm about these nodes may be cleared: at most one accepts writes, and each other one follows it.

    A node that is no longer reached, or that was stopped, clears nothing: what only it has may still be there.
    """
    named = [facts.nodes[n] for n in nodes if n in facts.nodes]
    return sum(map(_writes, named)) <= 1 and all(_writes(n) or _follows(facts, n) for n in named)


def _follows(facts: ClusterFacts, node: NodeFacts) -> bool:
    """Whether it streams, or is on the timeline of the one primary; without its server, by its own manager."""
    if node.postgres is None:
        return node.patroni is not None and manager_role(node.patroni.role, node.patroni.state) != ""
    primary = facts.primary.postgres if facts.primary is not None else None
    same = primary is not None and node.postgres.timeline == primary.timeline
    return node.postgres.receiver_state == "streaming" or same


def _writes(node: NodeFacts) -> bool:
    if node.postgres is not None:
        return not node.postgres.in_recovery
    return node.patroni is not None and manager_role(node.patroni.role, node.patroni.state) == PRIMARY


def _older_first(a: NodeFacts, b: NodeFacts) -> tuple[NodeFacts, NodeFacts]:
    return (a, b) if (_timeline(a) or 0) <= (_timeline(b) or 0) else (b, a)


def _timeline(node: NodeFacts) -> int | None:
    if node.postgres is not None:
        return node.postgres.timeline
    return node.patroni.timeline if node.patroni is not None else None


def _fork(a: NodeFacts, b: NodeFacts) -> tuple[int | None, int | None]:
    """Fork position and bytes written past it by the node of the older timeline."""
    older, newer = _older_first(a, b)
    if newer.postgres is None or newer.postgres.fork_lsn is None or _timeline(older) == _timeline(newer):
        return None, None
    return newer.postgres.fork_lsn, None if older.postgres is None else past_fork(older.postgres, newer.postgres)


def _handed_over(a: NodeFacts, b: NodeFacts) -> bool:
    """Whether the older timeline's reading is only from before an orderly switchover.

    It wrote nothing past the fork, and it either stopped answering since or was read well before the other: the
    next good reading decides. Bytes past the fork are always proof.
    """
    older, newer = _older_first(a, b)
    if _timeline(older) == _timeline(newer) or _fork(a, b)[1]:
        return False
    seen, other = (n.postgres_seen if n.postgres is not None else n.patroni_seen for n in (older, newer))
    if seen is None or other is None or seen.mono is None or other.mono is None:
        return False
    return seen.error is not None or other.mono - seen.mono > seen.limit / 2


def _message(facts: ClusterFacts, nodes: tuple[str, ...], fork: int | None, past: int | None) -> str:
    named = " and ".join(f"{n} (timeline {_timeline(facts.nodes[n]) or 'unknown'})" for n in nodes)
    systems = sorted({s for s in (_system(facts.nodes[n]) for n in nodes) if s})
    which = f"system {systems[0]}" if len(systems) == 1 else f"different systems {', '.join(systems)}"
    message = f"SPLIT BRAIN {facts.name}: {named} accept writes, {which}"
    if fork is None:
        return f"{message}; fork unknown"
    far = "bytes past it unknown" if past is None else f"{megabytes(past)} written past it"
    return f"{message}; forked at {lsn(fork)}, {far}"


def _system(node: NodeFacts) -> str:
    if node.postgres is not None:
        return node.postgres.system_id
    return node.patroni.system_id if node.patroni is not None else ""
