"""`recovery db`: the database clusters as their witnesses report them, and what is done to them."""

from __future__ import annotations

import click

from console.cli.acting import Manner, act, acting_options
from console.cli.db_acts import attach_to
from console.cli.db_compare import compare
from console.cli.db_comparisons import comparisons
from console.cli.db_lost import lost
from console.cli.db_prepare import prepare
from console.cli.db_restore import restore_command, restore_window
from console.cli.db_verify import verify
from console.cli.groups import Defaulting
from console.cli.look import SeenView, gather, heading
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import NOTHING, say, say_json, table
from console.cluster_text import (
    ASCII_TWIGS,
    by_itself,
    candidate_of,
    causes_of,
    edge_words,
    guarantee_message,
    loss,
    loss_reason,
    may_lead,
    ranking,
    restore_words,
    sentence,
    tree,
)
from state.api.requests import PlanChange
from state.api.views.replication import PUBLICATION, ClusterRow, ReplicationView
from state.units import megabytes


@click.group(cls=Defaulting)
def db() -> None:
    """Database clusters; without a verb: show."""


for each in (compare, comparisons, verify, lost, prepare, restore_window, restore_command):
    db.add_command(each)


@db.command()
@estate_option
@json_option
def show(estate: str | None = None, as_json: bool = False) -> int:
    """Clusters, nodes and slots. Exit code 1 when a cluster fails, 3 when one is unknown or old."""
    seen: SeenView[ReplicationView] = ask(gather(client_of(estate, quiet=as_json), "replication"))
    clusters = seen.view.clusters
    if as_json:
        say_json(seen.as_json())
    else:
        for line in [*heading(seen), *_clusters(seen), "", *_nodes(seen), *_slots(seen)]:
            say(line)
    sources = [key for row in seen.view.nodes.values() for key in row.sources]
    return seen.code([row.health for row in clusters.values()], sources)


def _clusters(seen: SeenView[ReplicationView]) -> list[str]:
    lines = []
    for row in seen.view.clusters.values():
        risk = seen.known(row.risk)
        lines += [
            "",
            f"{row.health.value.upper()} {row.name}   leader {row.leader} ({row.votes})   timeline {row.timeline}"
            + ("   PAUSED" if row.paused else ""),
            f"  {row.message}",
            *([f"  {row.split_brain}"] if row.split_brain else []),
            f"  a failover loses {loss(risk)}: {loss_reason(risk)}",
            f"  {guarantee_message(row)}",
            *_restore(seen, row),
            *(f"  note: {note}" for note in row.notes),
            *(f"  may lead: {each.node} {said}" for each, said in ranking(row)),
            *_meanwhile(seen, row),
        ]
    return lines


def _restore(seen: SeenView[ReplicationView], row: ClusterRow) -> list[str]:
    if row.restore is None:
        return []
    window, proof = restore_words(row.restore, seen.hello.mono)
    verdicts = row.restore.health.value.upper(), row.restore.proof.value.upper()
    return [f"  can be restored to: {verdicts[0]} {window}   {verdicts[1]} {proof}"]


def _meanwhile(seen: SeenView[ReplicationView], row: ClusterRow) -> list[str]:
    """What is wrong with it and since when, what happens if nobody acts, and what a person does."""
    lines = []
    for cause in causes_of(row.name, seen.header.causes):
        mono = seen.hello.mono
        lines.append(f"  {cause.health.value.upper()} {sentence(cause, mono)} By itself: {by_itself(cause, mono)}.")
        if cause.next is not None:
            lines.append(f"    next: {cause.next.message}")
    return lines


def _bytes(count: int | None) -> str:
    return "unknown" if count is None else megabytes(count)


def _nodes(seen: SeenView[ReplicationView]) -> list[str]:
    """Each below the node from which it streams."""
    clusters = seen.view.clusters
    rows = []
    for branch in tree(seen.view.nodes, ASCII_TWIGS):
        row, cluster = branch.row, clusters.get(branch.row.cluster)
        rows.append(
            [
                row.health.value.upper(),
                row.cluster,
                f"{branch.lead}{row.node}",
                row.site,
                row.role,
                NOTHING if row.timeline is None else str(row.timeline),
                row.lsn or NOTHING,
                _bytes(row.lag_bytes),
                edge_words(row, cluster) or NOTHING,
                seen.age(row.sources),
                may_lead(candidate_of(row, cluster), cluster.leader if cluster is not None else ""),
                row.message,
            ]
        )
    head = ("VERDICT", "CLUSTER", "NODE", "SITE", "ROLE", "TLI", "LSN", "BEHIND", "STREAM", "AGE", "MAY LEAD", "WHY")
    return table(head, rows, right=("TLI", "LSN", "BEHIND", "AGE"))


def _slots(seen: SeenView[ReplicationView]) -> list[str]:
    rows = [
        [
            row.cluster,
            row.name,
            row.slot_type,
            "active" if row.active else "offered" if row.slot_type == PUBLICATION else "INACTIVE",
            _bytes(row.retained),
            seen.age([row.source]),
            row.message,
        ]
        for row in seen.view.slots.values()
    ]
    head = ("CLUSTER", "SLOT", "TYPE", "STATE", "RETAINS", "AGE", "WHY")
    return ["", *table(head, rows, right=("RETAINS", "AGE"))] if rows else []


@db.command()
@click.argument("database")
@click.argument("to", required=False)
@estate_option
@click.option("--at", metavar="TIME", help="Let the manager do it then: 2026-03-01T04:00:00+00:00.")
@acting_options
def switchover(estate: str | None, database: str, to: str | None, at: str | None, manner: Manner) -> int:
    """Planned switchover of the leader role to node TO or to the best candidate, now or at a later time."""
    args = {"database": database} | ({"to": to} if to else {})
    if at is not None:
        return act(estate, PlanChange("database.schedule", {**args, "at": at}), manner)
    return act(estate, PlanChange("database.switchover", args), manner)


attach_to(db)
