"""A standby cluster whose upstream is a database of the estate too: on one timeline, and only one of the two writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

from state.api.views.causes import Cause
from state.health import Health
from state.units import megabytes
from state.verdicts.cause_parts import database_cause
from state.verdicts.cluster import NodeFacts
from state.verdicts.fork_words import fork_words
from state.verdicts.forks import fork_of
from state.verdicts.replication import ClusterVerdict
from state.verdicts.split_brain import fork_of_writers
from state.world.readings import PostgresReading

HERE, THERE = "the standby cluster", "its upstream"
"""Nodes of two databases may have one name."""


def standby_site_causes(clusters: Iterable[ClusterVerdict]) -> list[Cause]:
    """Two of them that both accept writes; and standby clusters that are not on the timeline of their upstream: what is
    written there does not arrive, though their own members all stream. Without a stream a standby tells its timeline
    only as of its last restart point."""
    known = tuple(clusters)
    found = [each for pair in combinations(known, 2) if (each := _both_write(*pair)) is not None]
    for cluster in known:
        reading = _leader(cluster)
        upstream = None if reading is None else _upstream(reading, cluster, known)
        if reading is None or upstream is None or reading.timeline in (None, upstream.timeline):
            continue
        found.append(_cause(cluster, reading, upstream))
    return found


def _both_write(one: ClusterVerdict, other: ClusterVerdict) -> Cause | None:
    """Two databases of one system that both accept writes, each healthy by itself: a standby cluster that was opened,
    or opened itself, beside its upstream. A copy for tests has no manager that hands its address on: it is told, no
    more."""
    a, b = one.facts.primary, other.facts.primary
    mine, theirs = (None if each is None else each.postgres for each in (a, b))
    if a is None or b is None or mine is None or theirs is None or mine.system_id != theirs.system_id:
        return None
    if mine.started_at == theirs.started_at:
        return None  # one server under two names, for two databases in it
    fork = fork_of_writers(_named(one, a), _named(other, b))
    if fork is None:
        return None
    name, second = one.facts.name, other.facts.name
    what = f"{name} and {second} are one system, and both accept writes: {fork_words(fork)}"
    steps = (
        "By hand: which of the two do clients write to? Stop writes at the other one at once (patronictl pause, then"
        " stop its server), and keep its data. Afterwards rewind or rebuild it from the one that is kept. If one is a"
        " copy for tests, take it out of the estate when it is done."
    )
    managed = bool(one.facts.managers) and bool(other.facts.managers)
    health = Health.FAIL if managed else Health.WARN
    return database_cause(one, f"both-write/{second}", health, what, steps, title="stop one of the two")


def _named(cluster: ClusterVerdict, node: NodeFacts) -> NodeFacts:
    """With the database before its name: nodes of two databases may have one name."""
    name = f"{cluster.facts.name}/{node.node}"
    return replace(node, node=name, postgres=None if node.postgres is None else replace(node.postgres, node=name))


def _leader(cluster: ClusterVerdict) -> PostgresReading | None:
    node = cluster.facts.nodes.get(cluster.facts.standby_leader)
    return node.postgres if node is not None else None


def _upstream(reading: PostgresReading, own: ClusterVerdict, known: Iterable[ClusterVerdict]) -> ClusterVerdict | None:
    """The one other database with this system that has exactly one writer; None without, or with several."""
    found = [
        each
        for each in known
        if each is not own and each.facts.system_id == reading.system_id and each.timeline is not None
    ]
    return found[0] if len(found) == 1 else None


def _cause(cluster: ClusterVerdict, reading: PostgresReading, upstream: ClusterVerdict) -> Cause:
    primary = upstream.facts.primary
    server = primary.postgres if primary is not None else None
    fork = None if server is None else fork_of(replace(reading, node=HERE), replace(server, node=THERE))
    past = fork.past[HERE] if fork is not None else None
    name, theirs = reading.node, upstream.facts.name
    what = f"{name} is on timeline {reading.timeline}, its upstream {theirs} on {upstream.timeline}"
    health = Health.FAIL
    if reading.receiver_state != "streaming":
        health = Health.UNKNOWN
        what += ", as far as is known while nothing streams"
    if past:
        what += f": it holds {megabytes(past)} past the fork, which {theirs} does not have"
        steps = f"By hand: {name} cannot follow as it is: rewind or rebuild the standby cluster from {theirs}."
    else:
        what += f": nothing that {theirs} writes arrives"
        steps = (
            f"By hand: does primary_conninfo of {name} still lead to an old primary of {theirs}? Let it stream from the"
            " one that accepts writes, or from an address that follows it."
        )
    return database_cause(cluster, "upstream-timeline", health, what, steps, title="follow the new primary")
