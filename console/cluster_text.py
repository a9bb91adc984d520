"""How a database cluster is worded, once for the screen and for the verb: its tree, who may lead, what a failover
loses, what happens if nobody acts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from state.api.views.causes import Cause, SubjectKind
from state.api.views.header import DataRisk
from state.api.views.replication import CandidateRow, ClusterRow, NodeRow, RestoreBrief
from state.api.views.runbooks import StepRow
from state.health import Health
from state.units import ago, counted, megabytes, utc_date

LEADS = frozenset({"primary", "leader", "master"})
GUARANTEES = {
    "async": "asynchronous: a commit may be on one node only",
    "sync": "synchronous: a commit is on a standby too",
    "quorum": "quorum: a commit is on several nodes",
    "stored": "stored: a commit is also at a receiver that could not lead",
    "elsewhere": "no commits here: its primary is outside",
    "blocked": "commits wait",
    "unknown": "what a commit waits for is not known",
}
LEADER = "leads"
BROKEN = frozenset({"not streaming", "replaying"})
"""States of a standby without a stream; in any other one it may have one that the other end has not told of."""
PLAIN = "plain text"
NOT_TOLD = "not told"
NO_FORECAST = "nothing known to happen"


class Twigs(NamedTuple):
    """The signs of a tree: a branch, the last one, what runs past it, no stream, from where is not known."""

    branch: str
    last: str
    past: str
    broken: str
    unknown: str


UNICODE_TWIGS = Twigs("├─► ", "└─► ", "│   ", "╳ ", "? ")
ASCII_TWIGS = Twigs("|-> ", "`-> ", "|   ", "x ", "? ")


@dataclass(frozen=True, slots=True)
class Bough:
    """A node at its place in the tree; `lead` stands before its name."""

    key: str
    row: NodeRow
    lead: str


def tree(nodes: Mapping[str, NodeRow], twigs: Twigs) -> list[Bough]:
    """Every node of the clusters below the one that it streams from; what streams from none of them begins a tree of
    its own, leaders first."""
    found: list[Bough] = []
    for cluster in dict.fromkeys(row.cluster for row in nodes.values()):
        rows = {row.node: (key, row) for key, row in nodes.items() if row.cluster == cluster}
        found += _of_cluster(rows, twigs)
    return found


def _of_cluster(rows: Mapping[str, tuple[str, NodeRow]], twigs: Twigs) -> list[Bough]:
    below: dict[str, list[str]] = {}
    for name, (_, row) in rows.items():
        if row.upstream in rows and row.upstream != name:
            below.setdefault(row.upstream, []).append(name)
    placed: dict[str, Bough] = {}

    def put(name: str, lead: str, deeper: str) -> None:
        key, row = rows[name]
        placed[name] = Bough(key, row, lead)
        under = [each for each in below.get(name, ()) if each not in placed]
        for each in under:
            if each not in placed:
                last = each == under[-1]
                put(each, deeper + (twigs.last if last else twigs.branch), deeper + ("    " if last else twigs.past))

    fed = {name for names in below.values() for name in names}
    order = sorted(rows, key=lambda name: (name in fed, not accepts_writes(rows[name][1]), name))
    for name in order:  # those that feed each other in a circle come last
        if name not in placed:
            put(name, _root(rows[name][1], twigs), "")
    return list(placed.values())


def _root(row: NodeRow, twigs: Twigs) -> str:
    if accepts_writes(row) or row.role in LEADS or row.upstream:
        return ""
    return twigs.broken if row.state in BROKEN else twigs.unknown


def accepts_writes(row: NodeRow) -> bool:
    """Whether its own server says that it does."""
    return row.state == "writable"


def edge_words(row: NodeRow, cluster: ClusterRow | None) -> str:
    """How it gets its WAL, whether commits wait for it, by which transport, and what else it has: `streaming, sync`,
    `lock, traffic`."""
    parts = [] if accepts_writes(row) else [row.state]
    if not accepts_writes(row) and row.sync not in ("", "async"):
        parts.append(row.sync)
    if row.transport.startswith("TLS") or row.transport == PLAIN:
        parts.append(row.transport if row.transport == PLAIN else row.transport.partition(" ")[0])
    if cluster is not None and cluster.lock == row.node:
        parts.append("lock")
    if cluster is not None and cluster.traffic is not None and row.node in cluster.traffic:
        parts.append("traffic")
    return ", ".join(filter(None, parts))


def candidate_of(row: NodeRow, cluster: ClusterRow | None) -> CandidateRow | None:
    """The node as a leader to be."""
    return next((each for each in cluster.candidates if each.node == row.node), None) if cluster is not None else None


def may_lead(each: CandidateRow | None, leader: str) -> str:
    """`yes, lacks 0 B`, `no: carries the tag nofailover`, `not known: …`; of who leads by all witnesses `leads`."""
    if each is None:
        return NOT_TOLD
    if leads_already(each) and each.node == leader:
        return LEADER
    if each.may_lead is False:
        return f"no: {'; '.join(reasons(each))}"
    notes = [note.removeprefix(f"{each.node} ") for note in each.notes]
    if each.may_lead is None:
        return f"not known: {'; '.join((*each.unknowns, *notes))}"
    return "; ".join((f"yes, lacks {'an unknown part' if each.lacks is None else megabytes(each.lacks)}", *notes))


def reasons(each: CandidateRow) -> list[str]:
    """What stands against it, without the rule and without its own name, which stands beside it."""
    facts = [reason.partition(": ")[2] or reason for reason in each.reasons]
    return [fact.removeprefix(f"{each.node} ").removeprefix(f"{each.node}: ") for fact in facts]


def may_lead_shortly(each: CandidateRow, leader: str) -> str:
    """The same where room is scarce: of the reasons the first one, without its explanation."""
    if each.may_lead is not False or leads_already(each) or not each.reasons:
        return may_lead(replace(each, notes=()), leader)
    first, more = reasons(each)[0].partition(": ")[0], len(each.reasons) - 1
    return f"no: {first}" + (f", {more} more" if more else "")


def leads_already(each: CandidateRow) -> bool:
    """Whether it leads or writes already: the question is who else may."""
    return any(reason.startswith("not-the-leader: ") for reason in each.reasons)


def ranking(cluster: ClusterRow) -> list[tuple[CandidateRow, str]]:
    """Every node but the leader as a leader to be, the best first."""
    return [(each, may_lead(each, cluster.leader)) for each in cluster.candidates if not leads_already(each)]


def loss(risk: DataRisk) -> str:
    """`13.2 MB of 1.0 MB`."""
    lost = "? unknown" if risk.lost_bytes is None else megabytes(risk.lost_bytes)
    return f"{lost} of {megabytes(risk.target)}"


def withheld(risk: DataRisk) -> DataRisk:
    """The same from readings that are too old to be shown."""
    return replace(risk, lost_bytes=None, health=Health.UNKNOWN)


def loss_reason(risk: DataRisk) -> str:
    """Why it is so much, without the word that the figure says already."""
    return risk.message.removeprefix("unknown: ").removeprefix("unknown, ")


def guarantee_message(cluster: ClusterRow) -> str:
    """What a commit waits for, without PostgreSQL's terms, and who waits for less."""
    message = GUARANTEES.get(cluster.guarantee, cluster.guarantee)
    told = f"{message} ({cluster.guarantee_detail})" if cluster.guarantee_detail else message
    return f"{told}; weaker: {', '.join(cluster.weaker)}" if cluster.weaker else told


def causes_of(name: str, causes: Iterable[Cause]) -> list[Cause]:
    """What is wrong with this database and with its backups, the worst first."""
    kinds = (SubjectKind.DATABASE, SubjectKind.BACKUP)
    return [each for each in causes if each.kind in kinds and each.name == name]


def restore_words(brief: RestoreBrief, now_mono: float) -> tuple[str, str]:
    """To what it can be restored, and when that was last proven."""
    if not brief.ranges:
        window = brief.message
    else:
        begin, end = brief.ranges[0][0], brief.ranges[-1][1]
        gaps = f", {counted(len(brief.ranges) - 1, 'gap')}" if len(brief.ranges) > 1 else ""
        window = f"{utc_date(begin)} to {utc_date(end) if end is not None else 'an unknown end'}{gaps}"
    if brief.proven_at is None or brief.proven_mono is None:
        return window, "never proven"
    return window, f"proven {ago(now_mono - brief.proven_mono)} ago"


def integrity_lines(step: StepRow) -> list[str]:
    """What a look after a switch comes to, then every finding that is no pass; nothing until it was looked at."""
    if not step.integrity_said:
        return []
    bad = [each for each in step.integrity if each.health is not Health.PASS]
    return [step.integrity_said, *(f"{each.health.value}: {each.where}: {each.fact}" for each in bad)]


def sentence(cause: Cause, now_mono: float) -> str:
    """What is wrong and since when."""
    return replace(cause, forecast=None).sentence(now_mono)


def by_itself(cause: Cause, now_mono: float) -> str:
    """What happens if nobody acts."""
    return cause.forecast.text(now_mono) if cause.forecast is not None else NO_FORECAST
