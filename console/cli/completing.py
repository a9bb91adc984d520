"""What can stand at a place of the command line, asked from the engine while a person presses Tab.

It is quick or silent: without an engine, or with one that does not answer at once, nothing is offered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from console.cli.reach import client_of, host_of
from state.api.run_states import RunState
from state.api.views.replication import ReplicationView
from state.api.views.runbooks import RunbooksView, value_of
from state.api.views.traffic import TrafficView
from state.errors import RecoveryError

NEAR, FAR = 1.0, 5.0  # seconds an engine has, on this host and through ssh
ENDED = frozenset({RunState.DONE, RunState.FAILED, RunState.STOPPED})
Offer = tuple[str, str]
"""A value, and what it is."""
Asked = Callable[[click.Context, str], Iterable[Offer]]


def view_of(context: click.Context, topic: str) -> Any:
    """A view of the engine that the line names. Raises RecoveryError, OSError, TimeoutError."""
    with context.scope(cleanup=False):
        client = client_of(context.params.get("estate"), quiet=True)
        limit = FAR if host_of() else NEAR

    async def read() -> Any:
        async with asyncio.timeout(limit):
            return await client.view(topic)

    return asyncio.run(read())


def _runbooks(context: click.Context) -> RunbooksView:
    view: RunbooksView = view_of(context, "runbooks")
    return view


def _traffic(context: click.Context) -> TrafficView:
    view: TrafficView = view_of(context, "traffic")
    return view


def runs(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """Runs, open ones first, then the newest."""
    view = _runbooks(context)
    rows = [view.runs[key] for key in view.order if key in view.runs]
    rows.sort(key=lambda row: row.state in ENDED)
    return [(row.id, f"{row.state.value} {row.title}") for row in rows]


def steps(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """The steps of the run that the line names."""
    view = _runbooks(context)
    mine = [step for step in view.steps.values() if step.run == context.params.get("run_id")]
    mine.sort(key=lambda step: (step.index, step.instance))
    return [(step.step, f"{step.state.value} {step.title}") for step in mine]


def choices(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """The answers that the run accepts."""
    row = _runbooks(context).runs.get(str(context.params.get("run_id")))
    return [(option, "") for option in row.options] if row is not None else []


def library(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """Runbooks."""
    return [(row.name, row.title) for row in _runbooks(context).library.values()]


def parameters(context: click.Context, incomplete: str) -> Iterable[Offer]:
    """`NAME=` of each parameter that is not given yet, and behind the sign its values."""
    row = _runbooks(context).library.get(str(context.params.get("runbook")))
    if row is None:
        return []
    name, equals, _ = incomplete.partition("=")
    given = {key: value for key, _, value in (word.partition("=") for word in context.params.get("params") or ())}
    if equals:
        known = {param.name: param for param in row.params}
        values = [value_of(known, given, name)] if name in known else []
        values += known[name].names(value_of(known, given, known[name].of)) if name in known else []
        return [(f"{name}={value}", "") for value in dict.fromkeys(filter(None, values))]
    return [(f"{param.name}=", param.kind) for param in row.params if param.name not in given]


def balancers(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """Balancers."""
    return [(row.balancer, "balancer") for row in _traffic(context).backends.values()]


def backends(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """The backends of the balancer."""
    rows = _traffic(context).backends.values()
    return [(row.backend, row.message) for row in rows if row.balancer == context.params.get("balancer")]


def servers(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """The servers of the backend."""
    wanted = (context.params.get("balancer"), context.params.get("backend"))
    rows = _traffic(context).servers.values()
    return [(row.server, f"{row.state} {row.release}".strip()) for row in rows if (row.balancer, row.backend) == wanted]


def databases(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """Databases."""
    view: ReplicationView = view_of(context, "replication")
    return [(row.name, row.message) for row in view.clusters.values()]


def nodes(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """The nodes of the database, those that can take the leader role first."""
    view: ReplicationView = view_of(context, "replication")
    rows = [row for row in view.nodes.values() if row.cluster == context.params.get("database")]
    rows.sort(key=lambda row: row.role != "standby")
    return [(row.node, f"{row.role} {row.message}") for row in rows]


def faults(context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """The faults of the laboratory."""
    from adapters.lab.client import LabClient

    async def read() -> dict[str, Any]:
        async with asyncio.timeout(NEAR):
            return await LabClient(context.params.get("directory")).faults()

    return [(str(row["name"]), str(row["description"])) for row in asyncio.run(read())["catalogue"]]


def kinds(_context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """Kinds of entries of the journal."""
    from state.capabilities import load_events
    from state.journal.events import EVENTS

    load_events()
    return [(kind, "") for kind in EVENTS]


def estates(_context: click.Context, _incomplete: str) -> Iterable[Offer]:
    """Estates of the engines that run here."""
    from console.places import running_estates

    return [(name, "runs here") for name in running_estates()]


ASKED: Mapping[str, Asked] = {
    "run_id": runs,
    "step": steps,
    "choice": choices,
    "runbook": library,
    "params": parameters,
    "balancer": balancers,
    "backend": backends,
    "server": servers,
    "database": databases,
    "node": nodes,
    "kind": kinds,
    "estate": estates,
}
"""What stands for a parameter of this name, in every verb."""

OF_VERBS: Mapping[tuple[str, str], Asked] = {
    ("flip", "to"): servers,
    ("switchover", "to"): nodes,
    ("failover", "to"): nodes,
    ("promote", "to"): nodes,
    ("repoint", "to"): nodes,
    ("show", "name"): library,
    ("inject", "name"): faults,
    ("lift", "name"): faults,
}
"""What stands for a parameter in one verb."""

MIXED = ("estate",)
"""Parameters that may also be a file."""


def attach(command: click.Command) -> None:
    """Let the parameters of a verb, and of the verbs below it, offer what the engine has."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            attach(below)
    for parameter in command.params:
        asked = OF_VERBS.get((str(command.name), str(parameter.name))) or ASKED.get(str(parameter.name))
        if asked is not None:
            parameter.shell_complete = _offering(asked, str(parameter.name))  # type: ignore[assignment, method-assign]


def _offering(asked: Asked, name: str) -> Callable[[click.Context, str], list[CompletionItem[str]]]:
    def offer(context: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        found: dict[str, str] = {}
        with contextlib.suppress(RecoveryError, OSError, RuntimeError, ImportError, LookupError, ValueError):
            found.update((value, about) for value, about in asked(context, incomplete) if value.startswith(incomplete))
        items = [CompletionItem(value, help=" ".join(about.split()) or None) for value, about in found.items()]
        return items if items or name not in MIXED else [CompletionItem(incomplete, type="file")]

    return offer
