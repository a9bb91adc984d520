"""Why Patroni would refuse a switchover: it checks lag and timeline late and answers 503 without the reason.

What stands against one node is told by `eligibility`; here is what stands against moving the role at all.
"""

from __future__ import annotations

from state.errors import Refusal
from state.verdicts.node import DCS_OLD
from state.verdicts.replication import ClusterVerdict
from state.verdicts.senders import sender_of
from state.verdicts.votes import CONFLICT, vote_message

ADMINISTRATOR = "database administrator"
STOP_THE_OTHER = (
    "End one of the two: recovery engine stop on its host. Where that host is gone the lease ends in half a minute"
)


def switchover_obstacles(cluster: ClusterVerdict, to: str) -> tuple[Refusal, ...]:
    """Every reason against a switchover to a node, from fresh readings; `to` empty = let Patroni choose."""
    name = cluster.facts.name
    found: list[Refusal] = []
    if cluster.split is not None:
        found.append(Refusal("single-primary", cluster.split.message, "Fence one of the two nodes first", "commander"))
    if cluster.rival:
        found.append(Refusal("one-engine", f"{name}: {cluster.rival}", STOP_THE_OTHER, ADMINISTRATOR))
    led = cluster.facts.primary is not None or bool(cluster.facts.standby_leader)
    if not led and cluster.split is None:
        found.append(Refusal("known-leader", f"{name}: {cluster.message}", "A switchover needs a leader that answers"))
    elif cluster.leader == CONFLICT and cluster.split is None:
        fact = f"{name}: the witnesses do not agree on the leader; {conflict_words(cluster)}"
        found.append(Refusal("agreed-leader", fact, "Wait until they do, or find out which of them is wrong"))
    if cluster.paused and not to:
        found.append(Refusal("candidate-when-paused", f"{name}: Patroni is paused", "Name the node that is to lead"))
    found += _dcs_obstacles(cluster)
    if to:
        found += _candidate_obstacles(cluster, to)
    return tuple(found)


def switchover_unknowns(cluster: ClusterVerdict, to: str) -> tuple[str, ...]:
    """What is not known beforehand and may still make Patroni refuse."""
    unknown = [] if to else ["which node the manager would choose"]
    if to in cluster.eligible:
        unknown += cluster.eligible[to].unknowns
    if not cluster.facts.tables and all(m is None or m.dcs_age is None for m in cluster.facts.managers.values()):
        unknown.append("when the DCS was last seen")
    return tuple(unknown)


def switchover_notes(cluster: ClusterVerdict, to: str) -> tuple[str, ...]:
    """What a switchover brings with it, to be said before: of the node, of those that follow it, of one to come."""
    found = list(cluster.eligible[to].notes) if to in cluster.eligible else []
    if cluster.scheduled:
        found.append(f"this replaces what is {cluster.scheduled}")
    found += _held_up(cluster, to)
    primary = cluster.facts.primary
    archiver = primary.postgres.archiver if primary is not None and primary.postgres is not None else None
    if archiver is not None and archiver.backlog is not None and archiver.backlog > 1:
        found.append(f"{archiver.backlog} WAL files wait for the archive: a stop waits until all are archived")
    return tuple(found)


def _held_up(cluster: ClusterVerdict, to: str) -> list[str]:
    """A server that stops waits until each attached stream has all of its WAL, or wal_sender_timeout ends it."""
    primary = cluster.facts.primary
    if primary is None or primary.postgres is None:
        return []
    gone = [n for n in cluster.facts.nodes.values() if n.postgres is None and n.node not in (to, primary.node)]
    held = [n.node for n in gone if (s := sender_of(primary.postgres, n.node)) is not None and s.attached]
    who = " and ".join(held)
    stop = f"the stop of {primary.node} waits for {who}, which does not answer and is still attached"
    return [f"{stop}: up to wal_sender_timeout, 60 s by default"] if held else []


def conflict_words(cluster: ClusterVerdict) -> str:
    """Who says what of each node on which the witnesses differ."""
    return "; ".join(f"{n}: {vote_message(v.votes)}" for n, v in cluster.nodes.items() if v.role == CONFLICT)


def _dcs_obstacles(cluster: ClusterVerdict) -> list[Refusal]:
    facts = cluster.facts
    readings = [m for m in facts.managers.values() if m is not None]
    if not readings and facts.tables:
        if any(table is not None for table in facts.tables.values()):
            return []
        return [Refusal("manager-answers", f"the manager of {facts.name} answers nowhere", "Wait until it does")]
    if not facts.managers:
        way = f"recovery db fence {facts.name} {cluster.leader}, then recovery db promote {facts.name}"
        return [Refusal("manager-answers", f"{facts.name} has no manager that could switch over", way)]
    if not readings:
        return [Refusal("manager-answers", "no Patroni node answers", "Wait until one does, or fail over by hand")]
    old = [m.node for m in readings if m.dcs_age is not None and m.dcs_age > DCS_OLD]
    found: list[Refusal] = []
    if old:
        fact = f"{', '.join(old)}: no contact to the DCS for over {DCS_OLD:.0f} s"
        found.append(
            Refusal("dcs-answers", fact, "Restore the DCS; without it Patroni cannot move the lead", ADMINISTRATOR)
        )
    if any(m.unlocked for m in readings):
        found.append(
            Refusal("leader-lock", "no node holds the leader lock", "A switchover needs a leader; see failover")
        )
    return found


def _candidate_obstacles(cluster: ClusterVerdict, to: str) -> list[Refusal]:
    if to not in cluster.eligible:
        names = ", ".join(cluster.nodes)
        return [Refusal("known-node", f"{to} is not a node of {cluster.facts.name}", f"Choose one of {names}")]
    return list(cluster.eligible[to].obstacles)
