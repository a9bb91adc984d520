"""Causes at databases that endanger or halt them: each from when it began until it is proven to be over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from state.api.views.causes import Cause, SubjectKind
from state.detection.families import NAMED, Family, Look, after, before, lasted
from state.detection.follow import NORMAL, Pace, Shift, Told
from state.detection.observations import BegunCause, CauseBegan, CauseEnded, EndedCause
from state.health import Health
from state.journal.events import Observation
from state.text import cut
from state.verdicts.cause_leader import store_trouble
from state.verdicts.replication import ClusterVerdict
from state.verdicts.votes import CONFLICT

LOST = "lost"
"""The value of a slot whose consumer cannot go on; else a cause's value is its health."""
TOLD_BY_OTHERS = frozenset({"split-brain", "no-writer", "unread", "agent", "silent", "refused", "cut", "kept", "other"})
"""Causes that other entries tell: of split brains, writers, sources, lost nodes and standbys that do not follow."""
BY_MANAGERS = frozenset({"no-failover", "paused", "store", "strangers", "outside"})
"""Causes of a whole cluster that its managers tell: while none of them answers, none of these has ended."""
WHAT = 500
"""Letters of a cause in an entry."""


class Causes(Family):
    """Every cause at a database that is no subject of another family, in the words of header and Overview.

    What is not seen any more has ended only where the evidence of it is fresh.
    """

    pace = Pace(worse=1.0, better=2.0, gather=0.5)
    bodies = (CauseBegan, CauseEnded)

    def __init__(self) -> None:
        super().__init__()
        self._whats: dict[str, str] = {}

    def see(self, look: Look) -> Iterator[tuple[str, str | None]]:
        clusters, found = look.judgement.clusters, set[str]()
        for database, cluster in clusters.items():
            trouble, subject = store_trouble(cluster), f"{database}/store"
            if trouble:  # where nobody leads for want of it, the cause tells that nobody writes
                found.add(subject)
                self._whats[subject] = trouble
                yield subject, Health.WARN.value
        for cause in look.judgement.causes:
            subject = _subject(cause)
            if not subject or subject in found or not _tells(clusters[cause.name], _code(subject)):
                continue
            found.add(subject)
            self._whats[subject] = cut(cause.what, WHAT)
            yield subject, _value(clusters[cause.name], cause, subject)
        for subject in self.follower.open:
            database = subject.partition("/")[0]
            if subject not in found and database in clusters:
                yield subject, NORMAL if _proven_over(clusters[database], _code(subject)) else None
        kept = found.union(self.follower.open)
        self._whats = {name: what for name, what in self._whats.items() if name in kept}

    def tell(self, shifts: Sequence[Shift], look: Look) -> Iterator[Observation]:
        began, ended = [s for s in shifts if s.now != NORMAL], [s for s in shifts if s.now == NORMAL]
        if began:
            facts = tuple(self._begun(s, look) for s in began)
            yield CauseBegan(_listed(facts), facts)
        if ended:
            over = tuple(self._ended(s) for s in ended)
            yield CauseEnded(f"over{after(ended)}: {_listed(over)}", over)

    def _begun(self, shift: Shift, look: Look) -> BegunCause:
        database, _, code = shift.subject.partition("/")
        return BegunCause(database, code, shift.now, self._whats.get(shift.subject, code), look.told_at(shift.since))

    def _ended(self, shift: Shift) -> EndedCause:
        database, _, code = shift.subject.partition("/")
        return EndedCause(database, code, self._whats.get(shift.subject, code), lasted(shift), shift.more)

    def told(self, body: CauseBegan | CauseEnded, at: float) -> Iterable[Told]:
        if isinstance(body, CauseEnded):
            over = [f"{each.database}/{each.code}" for each in body.causes]
            self._whats = {name: what for name, what in self._whats.items() if name not in over}
            return [Told(subject, NORMAL) for subject in over]
        self._whats.update({f"{each.database}/{each.code}": each.what for each in body.causes})
        return [Told(f"{each.database}/{each.code}", each.state, before(each.since, at)) for each in body.causes]


def _listed(causes: Sequence[BegunCause | EndedCause]) -> str:
    """For a message; a cause has commas of its own."""
    rest = f"; and {len(causes) - NAMED} more" if len(causes) > NAMED else ""
    return "; ".join(f"{each.database}: {each.what}" for each in causes[:NAMED]) + rest


def _subject(cause: Cause) -> str:
    """`orders/n1/archiver`; empty for what is no cause at a database."""
    return cause.key.removeprefix("database/") if cause.kind is SubjectKind.DATABASE else ""


def _code(subject: str) -> str:
    return subject.partition("/")[2]


def _node(cluster: ClusterVerdict, code: str) -> str:
    """The node that a code names; empty where it is about the whole cluster."""
    node = code.partition("/")[0]
    return node if node in cluster.nodes else ""


def _tells(cluster: ClusterVerdict, code: str) -> bool:
    """Whether it is told here; a standby that lacks more than may be lost is told as one that does not follow."""
    kind = code.rpartition("/")[2] if "/slot/" not in code and "/subscription/" not in code else ""
    if kind == "behind":
        missing = cluster.nodes[_node(cluster, code)].lag.receive
        return missing is not None and missing <= cluster.facts.entry.rpo
    return kind not in TOLD_BY_OTHERS


def _value(cluster: ClusterVerdict, cause: Cause, subject: str) -> str:
    code = _code(subject)
    lost = any(code == f"{fault.node}/slot/{fault.slot.name}" for fault in cluster.slots if fault.lost)
    return LOST if lost else cause.health.value


def _proven_over(cluster: ClusterVerdict, code: str) -> bool:
    """Whether all that would show the cause was read, and it does not: a split or a silent primary hides it."""
    facts = cluster.facts
    if cluster.split is not None or cluster.lost is not None or cluster.leader == CONFLICT:
        return False
    node = _node(cluster, code)
    if node:
        compared = code.endswith(("/ahead", "/behind"))
        return facts.nodes[node].postgres is not None and (not compared or facts.primary is not None)
    if code == "blocked":
        return cluster.guarantee is not None
    if code == "no-failover":
        return any(each.may_lead for each in cluster.eligible.values())
    if code in BY_MANAGERS:
        answered = any(manager is not None for manager in facts.managers.values())
        return answered and (code != "store" or bool(facts.writers or facts.standby_leader))
    return all(each.postgres is not None for each in facts.nodes.values())
