"""Roles by votes: every witness reports a node's role; when witnesses disagree, none is preferred."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from state.world.readings import PatroniReading, PostgresReading

PRIMARY = "primary"
STANDBY = "standby"
CONFLICT = "CONFLICT"
UNKNOWN = "unknown"
STANDBY_LEADER = "standby_leader"
"""The role of the node that leads a standby cluster, in Patroni's word; its server is a standby."""

_ROLES = {
    "primary": PRIMARY,
    "master": PRIMARY,
    "leader": PRIMARY,
    "replica": STANDBY,
    "standby": STANDBY,
    "sync_standby": STANDBY,
    "quorum_standby": STANDBY,
    STANDBY_LEADER: STANDBY,
}
_ALIVE = frozenset({"running", "streaming", "in archive recovery"})


@dataclass(frozen=True, slots=True)
class Vote:
    """The role that one witness reports for a node; empty when it gives no answer."""

    witness: str
    role: str


def agreed(votes: Iterable[Vote]) -> str:
    """The role that all witnesses with an answer name, CONFLICT when two differ, unknown without any answer."""
    roles = {vote.role for vote in votes if vote.role}
    if not roles:
        return UNKNOWN
    return roles.pop() if len(roles) == 1 else CONFLICT


def vote_message(votes: Sequence[Vote]) -> str:
    """The votes for people: `4 of 4 say standby`, or each role with its witnesses when they disagree."""
    silent = [v.witness for v in votes if not v.role]
    by_role: dict[str, list[str]] = {}
    for vote in votes:
        if vote.role:
            by_role.setdefault(vote.role, []).append(vote.witness)
    if not by_role:
        return "no witness answers"
    tail = f"; no answer: {', '.join(silent)}" if silent else ""
    if len(by_role) == 1:
        role, witnesses = next(iter(by_role.items()))
        return f"{len(witnesses)} of {len(votes)} say {role}{tail}"
    sides = "; ".join(f"{', '.join(who)}: {role}" for role, who in sorted(by_role.items()))
    return f"{sides}{tail}"


def manager_role(role: str, state: str) -> str:
    """A manager's role as one of ours; empty when its server does not run."""
    return _ROLES.get(role, "") if state in _ALIVE else ""


def node_votes(
    node: str,
    postgres: PostgresReading | None,
    managers: Mapping[str, PatroniReading | None],
    routes: Mapping[str, frozenset[str]],
) -> tuple[Vote, ...]:
    """Every witness on one node: its server, its own manager, each other manager's view of the cluster, and each
    balancer: where it sends writes to this one node alone, it takes it for the primary. Of a node that it leaves out it
    knows nothing: one that nobody reaches may still write."""
    own = "" if postgres is None else (STANDBY if postgres.in_recovery else PRIMARY)
    votes = [Vote("Postgres", own)]
    for name, reading in managers.items():
        votes.append(Vote(f"Patroni {name}", _said_of(node, name, reading)))
    for balancer, takes in routes.items():
        if takes == {node}:
            votes.append(Vote(f"balancer {balancer}", PRIMARY))
        elif len(takes) != 1:
            votes.append(Vote(f"balancer {balancer}", ""))
    return tuple(votes)


def _said_of(node: str, witness: str, reading: PatroniReading | None) -> str:
    if reading is None:
        return ""
    if witness == node:
        return manager_role(reading.role, reading.state)
    member = next((m for m in reading.members if m.name == node), None)
    return "" if member is None else manager_role(member.role, member.state)
