"""How durable a commit is now: synchronous_standby_names configures it, the standbys in sync decide it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from state.units import short_duration, utc
from state.verdicts.cluster import ClusterFacts
from state.verdicts.senders import sender_of, upstream_of
from state.verdicts.sync_names import SyncRule, sync_rule
from state.world.postgres_parts import Waits, WalSender
from state.world.readings import PostgresReading

_SYNCED = ("sync", "quorum")
BLOCKED = "blocked"
STORED = "stored"
"""Who confirms could not lead: an archive receiver, a logical subscriber."""
QUIET_REPLIES = 2.5
"""A standby that has not replied for so many of its own intervals confirms nothing now."""
WAITED = 3.0
"""Seconds that one commit has been seen to wait from which commits hang: the network has had its time."""
REMOTE_APPLY = "remote_apply"
"""The level of synchronous_commit that waits until a commit is applied (PostgreSQL manual, `synchronous_commit`)."""
WEAK = ("off", "local")
"""Levels of synchronous_commit that wait for no standby."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """The actual guarantee: `kind` async, sync, quorum, stored or blocked; `members` are the nodes in sync.

    `needed` is how many have every acknowledged commit, of `named` that may confirm one; `detail` says which, or why
    there are none.
    `weaker` are the roles and databases whose commits wait for less, `notes` what else is to be known: names that match
    nobody, receivers that are no servers. `waiting` commits wait now.
    """

    kind: str
    members: tuple[str, ...]
    needed: int
    detail: str
    weaker: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    waiting: int = 0
    named: int = 0

    @property
    def message(self) -> str:
        """Kind and detail in one line."""
        return guarantee_message(self.kind, "; ".join(filter(None, (self.detail, *self.notes))))

    def survives(self, candidate: str, no_further: Collection[str]) -> bool:
        """Whether the candidate is proven to have every acknowledged commit; `no_further` are the nodes, itself among
        them, that are read and have no more WAL than it. One of a quorum that is not among them may have a commit."""
        if candidate not in self.members or self.weaker:
            return False
        if self.kind == "sync":
            return True
        unseen = self.named - len(set(no_further) & set(self.members))
        return self.kind == "quorum" and unseen < self.needed


def guarantee_message(kind: str, detail: str) -> str:
    """`sync: n2`, `commits wait: no standby of n2 is in sync`."""
    return ": ".join(filter(None, ({BLOCKED: "commits wait"}.get(kind, kind), detail)))


def guarantee(primary: PostgresReading, facts: ClusterFacts) -> Guarantee:
    """The guarantee as the primary has it now, not as it is configured."""
    rule, commit = sync_rule(primary.synchronous_standby_names), primary.synchronous_commit
    if rule is None:
        return Guarantee("async", (), 0, "")
    if commit in WEAK:
        return Guarantee("async", (), 0, f"synchronous_commit is {commit}")
    others = {n.node: n.postgres for n in facts.nodes.values() if n.postgres is not None and n.postgres is not primary}
    in_sync = [s for s in primary.senders if s.attached and s.sync_state in _SYNCED]
    held = {s.pid or s.application_name: why for s in in_sync if (why := _holds_up(s, primary, others))}
    answering = [s for s in in_sync if (s.pid or s.application_name) not in held]
    notes = _notes(rule, primary, others, answering)
    waits = primary.waits
    waiting = waits.count if waits is not None else 0
    if len(answering) < rule.needed:
        detail = _short(primary, rule, answering, list(held.values()))
        return Guarantee(BLOCKED, (), 0, _with_waits(detail, waiting), _weaker(primary), notes, waiting)
    if waits is not None and waits.count and waits.longest >= WAITED:
        slow = list(dict.fromkeys(s.application_name for s in _slow(primary, answering)))
        who = f"{', '.join(slow)} {'does' if len(slow) == 1 else 'do'} not confirm"
        detail = f"{who}; {waiting} waiting now, the longest since {_since(facts, waits)} or before"
        return Guarantee(BLOCKED, (), 0, detail, _weaker(primary), notes, waiting)
    servers = [s for s in answering if not s.only_stores]
    members = tuple(dict.fromkeys(filter(None, (_node(s, primary, others) for s in servers))))
    level = "" if commit in ("on", "") else f" ({commit})"
    shown = ", ".join(dict.fromkeys(_called(s, primary, others) for s in answering))
    if not servers:
        return Guarantee(STORED, (), rule.needed, f"{shown}{level}", _weaker(primary), notes, waiting)
    if rule.any_of:
        detail = f"any {rule.needed} of {shown}{level}"
        named = len(facts.nodes) - 1 if rule.everyone else len(rule.names)
        named = max(named, len({s.application_name for s in in_sync}))
        return Guarantee("quorum", members, rule.needed, detail, _weaker(primary), notes, waiting, named)
    return Guarantee("sync", members, rule.needed, f"{shown}{level}", _weaker(primary), notes, waiting)


def _since(facts: ClusterFacts, waits: Waits) -> str:
    primary = facts.primary
    seen = primary.postgres_seen if primary is not None else None
    return utc(round(seen.at - waits.longest)) if seen is not None and seen.at is not None else "unknown"


def _node(sender: WalSender, primary: PostgresReading, others: dict[str, PostgresReading]) -> str:
    """The node that a stream leads to; the stream's own name where that may be a node which is not read; else empty."""
    claimed = [n for n, r in others.items() if sender_of(primary, n, r) is sender]
    if claimed:
        return claimed[0] if len(claimed) == 1 else ""
    name = sender.application_name
    return "" if name.lower() in {n.lower() for n in others} else name


def _called(sender: WalSender, primary: PostgresReading, others: dict[str, PostgresReading]) -> str:
    """A stream's name, and where that is another one the node's."""
    name, node = sender.application_name, _node(sender, primary, others)
    return name if node.lower() in ("", name.lower()) else f"{node} (as {name})"


def _slow(primary: PostgresReading, answering: list[WalSender]) -> list[WalSender]:
    """Whose confirmation commits wait for: of several those that are behind the others."""
    column = {"remote_apply": "replay_lsn", "remote_write": "write_lsn"}.get(primary.synchronous_commit, "flush_lsn")
    at = [(s, getattr(s, column) or 0) for s in answering]
    furthest = max(position for _, position in at)
    return [s for s, position in at if position < furthest] or answering


def _holds_up(sender: WalSender, primary: PostgresReading, others: dict[str, PostgresReading]) -> str:
    """Why a standby in sync confirms nothing now: it does not reply, or it applies nothing, or late, where a commit
    waits until it is applied (remote_apply). Empty where it confirms."""
    reading = others.get(_node(sender, primary, others))
    settings = reading.settings if reading is not None else None
    interval, name = settings.status_interval if settings is not None else 10.0, sender.application_name
    if sender.quiet is not None and interval > 0 and sender.quiet > QUIET_REPLIES * interval:
        return f"{name} does not answer its primary"
    if primary.synchronous_commit != REMOTE_APPLY or reading is None:
        return ""
    if reading.replay_pause == "paused":
        return f"replay on {name} is paused, and commits wait until it has applied them"
    if settings is not None and settings.apply_delay >= WAITED:
        late = short_duration(settings.apply_delay)
        return f"{name} applies {late} late by its settings, and commits wait until it has applied them"
    return ""


def _short(primary: PostgresReading, rule: SyncRule, answering: list[WalSender], held: list[str]) -> str:
    """Why commits wait: how many standbys must confirm, and how many can."""
    because = "".join(f"; {why}" for why in held)
    if not answering and rule.needed == 1:
        what = "confirms" if held else "is in sync"
        return f"no standby of {primary.synchronous_standby_names.strip()} {what}{because}"
    return f"{rule.needed} standbys needed, {len(answering)} in sync{because}"


def _with_waits(detail: str, waiting: int) -> str:
    return f"{detail}; {waiting} waiting now" if waiting else detail


def _weaker(primary: PostgresReading) -> tuple[str, ...]:
    return primary.settings.weaker if primary.settings is not None else ()


def _notes(
    rule: SyncRule, primary: PostgresReading, others: dict[str, PostgresReading], answering: Iterable[WalSender]
) -> tuple[str, ...]:
    found = []
    for name in () if rule.everyone else rule.names:
        if any(s.application_name.lower() == name.lower() for s in primary.senders):
            continue
        node = next((r for n, r in others.items() if n.lower() == name.lower()), None)
        via = upstream_of(name, node, others.values()) if node is not None else None
        found.append(f"{name} streams from {via.node} and cannot confirm" if via else f"{name} is no standby of it")
    names = [s.application_name for s in answering if not s.only_stores]
    if twice := sorted({n for n in names if sum(s.application_name == n for s in primary.senders if s.attached) > 1}):
        found.append(f"several streams are called {', '.join(twice)}: whose confirmations count is not known")
    for each in (s for s in answering if s.only_stores):
        what = "is a logical subscriber" if each.logical else "only stores WAL"
        found.append(f"{each.application_name} {what}: no node could take over with it")
    weaker = _weaker(primary)
    return (*found, *((f"not for {', '.join(weaker)}",) if weaker else ()))
