"""The verbs of `recovery db` that ask for one change of a database each: made of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from console.cli.acting import Manner, act, acting_options
from console.cli.reach import estate_option
from state.api.requests import PlanChange


@dataclass(frozen=True, slots=True)
class DatabaseVerb:
    """A verb: its words after the database (`[x]` may be left out), and what it does."""

    name: str
    words: tuple[str, ...]
    help: str

    @property
    def kind(self) -> str:
        return f"database.{self.name}"


DATABASE_VERBS = (
    DatabaseVerb("failover", ("[to]",), "Let node TO lead where no node does; what it lacks is lost."),
    DatabaseVerb("promote", ("[to]",), "Let standby TO lead in a cluster without a manager, by the server itself."),
    DatabaseVerb("unschedule", (), "Take back a scheduled switchover."),
    DatabaseVerb("pause", (), "Pause the cluster's manager: nothing fails over by itself."),
    DatabaseVerb("resume", (), "Let the cluster's manager act again."),
    DatabaseVerb("restart", ("node",), "Restart the server of a standby."),
    DatabaseVerb("reinitialize", ("node",), "Remove a standby's data and copy the leader's, through the manager."),
    DatabaseVerb("fence", ("node",), "Stop a node by the estate's command so that it accepts no writes."),
    DatabaseVerb("rejoin", ("node",), "Make a former primary a standby again by the estate's command (pg_rewind)."),
    DatabaseVerb("rebuild", ("node",), "Copy the primary to a node anew by the estate's command (pg_basebackup)."),
    DatabaseVerb("repoint", ("node", "to"), "Let a standby stream from node TO."),
    DatabaseVerb("drop-slot", ("node", "slot"), "Drop a replication slot that is lost and not in use."),
    DatabaseVerb("restore-point", ("point",), "Write a restore point POINT on the primary: a place to restore to."),
    DatabaseVerb("prove", (), "Write a mark on the primary and look for it on every other node."),
)


def request_of(verb: DatabaseVerb, given: dict[str, Any]) -> PlanChange:
    """The change that a verb asks for; what was left out is not in it."""
    return PlanChange(verb.kind, {name: value for name, value in given.items() if value is not None})


def _command(verb: DatabaseVerb) -> click.Command:
    def run(estate: str | None, manner: Manner, **given: Any) -> int:
        return act(estate, request_of(verb, given), manner)

    run.__doc__ = verb.help
    made = estate_option(acting_options(run))
    for word in reversed(("database", *verb.words)):
        made = click.argument(word.strip("[]"), required=not word.startswith("["))(made)
    return click.command(verb.name)(made)


def attach_to(group: click.Group) -> None:
    """Add the verbs to `recovery db`."""
    for verb in DATABASE_VERBS:
        group.add_command(_command(verb))
