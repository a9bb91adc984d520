"""`recovery db`: the database clusters as their witnesses report them, and what is done to them."""

from __future__ import annotations

import click

from console.cli.acting import Manner, act, acting_options
from console.cli.db_acts import attach_to
from console.cli.db_compare import compare
from console.cli.db_restore import restore_command, restore_window
from console.cli.db_verify import verify
from console.cli.groups import Defaulting
from console.cli.look import SeenView, gather, heading, lost_text
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import NOTHING, say, say_json, table
from state.api.requests import PlanChange
from state.api.views.replication import ReplicationView
from state.units import megabytes


@click.group(cls=Defaulting)
def db() -> None:
    """Database clusters; without a verb: show."""


for each in (compare, verify, restore_window, restore_command):
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
            f"{row.health.value.upper()} {row.name}   leader {row.leader} ({row.votes})   timeline"
            f" {row.timeline}   {row.guarantee} {row.guarantee_detail}".rstrip()
            + ("   PAUSED" if row.paused else ""),
            f"  {row.message}",
            f"  a failover now could lose {lost_text(risk)} of {megabytes(risk.target)} allowed: {risk.message}",
        ]
        if row.split_brain:
            lines.append(f"  {row.split_brain}")
    return lines


def _bytes(count: int | None) -> str:
    return "unknown" if count is None else megabytes(count)


def _nodes(seen: SeenView[ReplicationView]) -> list[str]:
    rows = [
        [
            row.health.value.upper(),
            row.cluster,
            row.node,
            row.site,
            row.role,
            NOTHING if row.timeline is None else str(row.timeline),
            row.lsn or NOTHING,
            _bytes(row.lag_bytes),
            row.sync or NOTHING,
            seen.age(row.sources),
            row.message,
        ]
        for row in seen.view.nodes.values()
    ]
    head = ("VERDICT", "CLUSTER", "NODE", "SITE", "ROLE", "TLI", "LSN", "LAG", "SYNC", "AGE", "WHY")
    return table(head, rows, right=("TLI", "LSN", "LAG", "AGE"))


def _slots(seen: SeenView[ReplicationView]) -> list[str]:
    rows = [
        [
            row.cluster,
            row.name,
            row.slot_type,
            "active" if row.active else "INACTIVE",
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
