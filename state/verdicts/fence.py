"""Whether a node that may accept writes is proven not to: what a promotion of another node stands on.

No proof: that nobody answers, that a probe fails, that a shutdown was ordered. Each of them was followed by a second
writer somewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from state.ports.database import LeaderLease
from state.units import short_duration
from state.verdicts.twins import twin_fact
from state.world.readings import PostgresReading


class FenceKind(StrEnum):
    """The kinds of proof."""

    DEMOTED = "demoted"
    """Its own server says that it is in recovery."""
    STOPPED = "stopped"
    """A command of the estate read at its host that the server is stopped."""
    EXPIRED = "expired"
    """Its lock has ended for longer than its time to live, its manager stops it then, and no balancer leads to it."""


@dataclass(frozen=True, slots=True)
class HostWord:
    """What a command of the estate read at a node's host: whether its server is stopped; None when it told neither."""

    command: str
    stopped: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class Isolation:
    """Whether the balancers that lead to the primary lead past a node; None when that is not known."""

    isolated: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class FenceEvidence:
    """What was read about one node, just now. `host` is None where the estate names no command. `twin`: the nodes to
    whose server its address leads too, so that `server` may be another one's."""

    node: str
    server: PostgresReading | None
    host: HostWord | None = None
    lease: LeaderLease | None = None
    isolation: Isolation | None = None
    twin: str = ""


@dataclass(frozen=True, slots=True)
class FenceProof:
    """That a node accepts no writes, and by what."""

    node: str
    kind: FenceKind
    fact: str


def fence_proof(evidence: FenceEvidence) -> FenceProof | None:
    """The proof; None when there is none. A server that says it accepts writes is fenced by nothing."""
    node, server, host = evidence.node, evidence.server, evidence.host
    if server is not None and (evidence.twin or not server.in_recovery):
        return None
    if server is not None:
        return FenceProof(node, FenceKind.DEMOTED, f"{node} is in recovery by its own word, read just now")
    if host is not None and host.stopped:
        fact = f"{node} is stopped by {host.command} at its host, read just now ({host.said})"
        return FenceProof(node, FenceKind.STOPPED, fact)
    lease, isolation = evidence.lease, evidence.isolation
    if host is not None and host.stopped is False:
        return None  # its host says that it runs
    if lease is None or isolation is None or _lease_lacks(lease) or not isolation.isolated:
        return None
    assert lease.free_for is not None
    ended = short_duration(lease.free_for)
    fact = f"the lock has had no holder for {ended}, longer than its ttl, and {isolation.said}"
    return FenceProof(node, FenceKind.EXPIRED, fact)


def unfenced(evidence: FenceEvidence) -> str:
    """Why there is no proof, kind by kind."""
    node, server, host = evidence.node, evidence.server, evidence.host
    if server is not None and evidence.twin:
        return f"{twin_fact(node, evidence.twin)}: whether a server of {node} accepts writes is not known"
    if server is not None:
        return f"{node} accepts writes by its own word"
    said = [f"{node} does not answer, which proves nothing"]
    if host is None:
        said.append(f"the estate names no fence command for {node}")
    elif host.stopped is None:
        said.append(f"{host.command} tells neither that it runs nor that it is stopped ({host.said})")
    elif not host.stopped:
        said.append(f"{host.command} says that its server runs ({host.said})")
    if evidence.lease is not None:
        lacks = _lease_lacks(evidence.lease)
        said.append(lacks or "its lock has ended")
        if not lacks and evidence.isolation is not None:
            said.append(evidence.isolation.said)
    return "; ".join(said)


def _lease_lacks(lease: LeaderLease) -> str:
    """Why the lock is no proof; empty when it has ended for longer than its time to live."""
    if lease.free_for is None:
        return f"the lock is held by {lease.holder}" if lease.holder else "who held the lock was not watched"
    if not lease.holder:
        return "who held the lock was not watched"
    if not lease.binding:
        return "its manager is paused or in failsafe mode and does not stop it without the lock"
    if lease.ttl is None:
        return "the ttl of its lock is not known"
    if lease.free_for <= lease.ttl:
        return f"its lock has ended for {lease.free_for:.0f} s of the {lease.ttl:.0f} s that are needed"
    return ""
