"""What endangers a cluster that serves: WAL that the primary lacks, slots, the archive, no failover to come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from state.health import Health
from state.units import megabytes, utc
from state.verdicts.archiving import archiver_finding
from state.verdicts.cluster import ClusterFacts
from state.verdicts.eligibility import Eligibility
from state.verdicts.guarantee import STORED, Guarantee
from state.verdicts.logical import subscription_faults
from state.verdicts.managed import managed
from state.verdicts.node import NodeFinding
from state.verdicts.opening import opening
from state.verdicts.slots import SlotFault
from state.verdicts.tables import table_findings
from state.world.manager_parts import SyncMode

BY_RULE = frozenset({"may-lead", "sync-member", "agent-answers", "member", "watchdog"})
"""Obstacles that stay until a person changes the configuration, starts a manager, or a standby is in sync again."""


def danger_findings(
    facts: ClusterFacts,
    ahead: Mapping[str, int],
    slots: tuple[SlotFault, ...],
    sync: Guarantee | None,
    eligible: Mapping[str, Eligibility],
    *,
    paused: bool,
) -> list[NodeFinding]:
    """None of it stops the service now."""
    found: list[NodeFinding] = []
    leads = facts.primary.node if facts.primary is not None else "the primary"
    for node, size in ahead.items():
        found.append((Health.FAIL, f"{node} holds {megabytes(size)} of WAL that {leads} lacks: commits may be lost"))
    found += [(Health.WARN, fault.message) for fault in slots]
    found += [(Health.WARN, fault.message) for fault in subscription_faults(facts)]
    found += [each for n in facts.nodes.values() if (each := archiver_finding(n)) is not None]
    systems = {n.postgres.system_id for n in facts.nodes.values() if n.postgres is not None}
    if facts.primary is None and len(systems) > 1:
        found.append((Health.WARN, f"its nodes belong to different database systems: {', '.join(sorted(systems))}"))
    if other := store_stranger(facts):
        found.append((Health.WARN, other))
    found += table_findings(facts)
    if opens := opening(facts):
        found.append((Health.WARN, opens))
    modes = {m.sync_mode for m in facts.managers.values() if m is not None} - {None, SyncMode.OFF}
    if modes and sync is not None and sync.kind == "async":
        found.append((Health.WARN, "synchronous mode is on, and commits wait for no standby now"))
    if sync is not None and sync.kind == STORED:
        found.append((Health.WARN, f"commits are confirmed by {sync.detail} alone, which could not lead"))
    found += _sync_short(facts, sync) if modes else []
    nobody = no_failover(facts, eligible)
    if nobody and not paused:
        found.append((Health.WARN, nobody))
    return found


def _sync_short(facts: ClusterFacts, sync: Guarantee | None) -> list[NodeFinding]:
    """Patroni takes fewer than are wanted where there are no more, and says so nowhere (synchronous_node_count)."""
    wanted = max(m.sync_nodes for m in facts.managers.values() if m is not None)
    if sync is None or sync.kind not in ("sync", "quorum") or sync.needed >= wanted:
        return []
    return [(Health.WARN, f"synchronous_node_count is {wanted}, and commits wait for {sync.needed} of them now")]


def store_stranger(facts: ClusterFacts) -> str:
    """A store that knows nothing of the cluster, or another one: a manager that starts would make a new cluster."""
    store = facts.store
    if store is None or not facts.system_id or store.system_id == facts.system_id:
        return ""
    if not store.system_id:
        return "Patroni's store (DCS) knows nothing of this cluster"
    return f"Patroni's store (DCS) has another database system, {store.system_id}"


def no_failover(facts: ClusterFacts, eligible: Mapping[str, Eligibility]) -> str:
    """Why no automatic failover will come although standbys answer; empty when one may, or where nobody would do it."""
    standbys = [e for e in eligible.values() if all(r.rule != "not-the-leader" for r in e.obstacles)]
    if not any(m is not None for m in facts.managers.values()) or not standbys:
        return ""
    if any(e.may_lead is not False for e in standbys):
        return ""
    reasons = {e.node: r.fact for e in standbys for r in e.obstacles[:1] if r.rule in BY_RULE}
    return f"no automatic failover will come: {_together(reasons)}" if len(reasons) == len(standbys) else ""


def _together(reasons: Mapping[str, str]) -> str:
    """What is true of several nodes is said of the first, and likewise of the others."""
    same: dict[str, list[str]] = {}
    for node, fact in reasons.items():
        same.setdefault(fact.removeprefix(f"{node} "), []).append(node)
    parts = (reasons[of[0]] + (f"; likewise {' and '.join(of[1:])}" if of[1:] else "") for of in same.values())
    return "; ".join(parts)


def scheduled_text(facts: ClusterFacts) -> str:
    """A hand-over that waits in the manager: `leader moves n2 -> n3 at 2026-11-26 18:48:39Z`."""
    plan = managed(facts).scheduled
    if plan is None:
        return ""
    day = datetime.fromtimestamp(plan.at, UTC).date().isoformat()
    moves = f"{plan.leader or 'the leader'} -> {plan.candidate or 'the best standby'}"
    return f"scheduled: leader moves {moves} at {day} {utc(plan.at)}"
