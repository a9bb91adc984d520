"""Two nodes that accept writes: read from every server, since a manager cannot see a server it does not reach."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

from state.verdicts.cluster import ClusterFacts, NodeFacts
from state.verdicts.fork_words import fork_words
from state.verdicts.forks import Fork, fork_of, left_at, same_branch
from state.verdicts.votes import PRIMARY, manager_role


@dataclass(frozen=True, slots=True)
class SplitBrain:
    """The alarm: which nodes accept writes, and where each two of them forked, as far as it is known.

    Row counts are not compared: they can be equal while the content differs.
    """

    nodes: tuple[str, ...]
    forks: tuple[Fork, ...]
    message: str

    @property
    def fork(self) -> Fork | None:
        """The first of which the position is known."""
        return next((each for each in self.forks if each.lsn is not None), None)

    @property
    def one_number(self) -> bool:
        """Whether two of them are on timelines of one number, which only their WAL tells apart."""
        return any(each.one_number or each.apart for each in self.forks)


def split_brain(facts: ClusterFacts) -> SplitBrain | None:
    """The alarm when two nodes accept writes, by a fresh reading of their server or, without one, of their manager."""
    twins = facts.twins
    writers = [n for n in facts.nodes.values() if _writes(n) and n.node not in twins]
    found = [(pair, fork) for pair in combinations(writers, 2) if not _handed_over(*pair, fork := _fork(*pair))]
    if not found:
        return None
    nodes = tuple(n.node for n in writers if any(n in pair for pair, _ in found))
    forks = tuple(fork for _, fork in found)
    return SplitBrain(nodes, forks, _message(facts, nodes, forks))


def fork_of_writers(a: NodeFacts, b: NodeFacts) -> Fork | None:
    """Where two writers of two databases parted; None where one of them has only just handed over to the other."""
    fork = _fork(a, b)
    return None if _handed_over(a, b, fork) else fork


def split_resolved(facts: ClusterFacts, nodes: Collection[str], *, one_number: bool = False) -> bool:
    """Whether an alarm about these nodes may be cleared: at most one accepts writes, and each other one follows it.

    A node that is no longer reached, or that was stopped, clears nothing: what only it has may still be there. Where
    the two timelines had one number and one history, streaming clears nothing either: only their WAL does.
    """
    named = [facts.nodes[n] for n in nodes if n in facts.nodes]
    if sum(map(_writes, named)) > 1:
        return False
    return all(_writes(n) or (_follows(facts, n) and (not one_number or _one_branch(facts, n))) for n in named)


def _follows(facts: ClusterFacts, node: NodeFacts) -> bool:
    """Whether it streams, or is on the timeline of the one primary; without its server, by its own manager."""
    if node.postgres is None:
        return node.patroni is not None and manager_role(node.patroni.role, node.patroni.state) != ""
    primary = facts.primary.postgres if facts.primary is not None else None
    same = primary is not None and node.postgres.timeline == primary.timeline
    apart = primary is not None and same_branch(node.postgres, primary) is False
    return not apart and (node.postgres.receiver_state == "streaming" or same)


def _one_branch(facts: ClusterFacts, node: NodeFacts) -> bool:
    primary = facts.primary.postgres if facts.primary is not None else None
    return primary is not None and node.postgres is not None and bool(same_branch(node.postgres, primary))


def _writes(node: NodeFacts) -> bool:
    if node.postgres is not None:
        return not node.postgres.in_recovery
    return node.patroni is not None and manager_role(node.patroni.role, node.patroni.state) == PRIMARY


def _timeline(node: NodeFacts) -> int | None:
    if node.postgres is not None:
        return node.postgres.timeline
    return node.patroni.timeline if node.patroni is not None else None


def _fork(a: NodeFacts, b: NodeFacts) -> Fork:
    """Where two writers parted. Of one that only its manager tells of, the position is not known."""
    if a.postgres is not None and b.postgres is not None:
        fork = fork_of(a.postgres, b.postgres)
        return fork if fork is not None else Fork((a.node, b.node), None, {}, "both are on one timeline")
    places = [left_at(one.postgres, _timeline(other)) for one, other in ((a, b), (b, a)) if one.postgres is not None]
    place = next((each for each in places if each is not None), None)
    held = {n.node: n.postgres.held if n.postgres is not None else None for n in (a, b)}
    past = {name: None if at is None or place is None else max(0, at - place) for name, at in held.items()}
    return Fork((a.node, b.node), place, past, "" if place is not None else "only a manager tells of one of them")


def _handed_over(a: NodeFacts, b: NodeFacts, fork: Fork) -> bool:
    """Whether the older timeline's reading is only from before an orderly switchover.

    It wrote nothing past the fork, and it either stopped answering since or was read well before the other: the
    next good reading decides. Bytes past the fork are always proof.
    """
    older, newer = (a, b) if (_timeline(a) or 0) <= (_timeline(b) or 0) else (b, a)
    if _timeline(older) == _timeline(newer) or fork.past.get(older.node):
        return False
    seen, other = (n.postgres_seen if n.postgres is not None else n.patroni_seen for n in (older, newer))
    if seen is None or other is None or seen.mono is None or other.mono is None:
        return False
    return seen.error is not None or other.mono - seen.mono > seen.limit / 2


def _message(facts: ClusterFacts, nodes: tuple[str, ...], forks: tuple[Fork, ...]) -> str:
    named = " and ".join(f"{n} (timeline {_timeline(facts.nodes[n]) or 'unknown'})" for n in nodes)
    systems = sorted({s for s in (_system(facts.nodes[n]) for n in nodes) if s})
    which = f"system {systems[0]}" if len(systems) == 1 else f"different systems {', '.join(systems)}"
    told = "; ".join(fork_words(fork) for fork in forks)
    return f"SPLIT BRAIN {facts.name}: {named} accept writes, {which}; {told}"


def _system(node: NodeFacts) -> str:
    if node.postgres is not None:
        return node.postgres.system_id
    return node.patroni.system_id if node.patroni is not None else ""
