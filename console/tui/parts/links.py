"""What a row leads to: service → database → node → run → entry, alert → service, entry → run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from console.tui.parts.messages import row_says
from console.tui.store import Store
from state.api.views.causes import SubjectKind
from state.api.views.journal import JournalRow
from state.api.views.overview import AlertRow, OpenRunRow, ProbeRow, RecoverRow, ServiceRow
from state.api.views.replication import NodeRow, SlotRow
from state.api.views.runbooks import RunbookRow, RunRow, StepRow
from state.api.views.traffic import BackendRow, DnsRow, ServerRow

MOST_EACH = 12
"""Links of one kind, the newest or first ones."""


class Link(NamedTuple):
    """A row of another table, what it is, and what it says."""

    kind: str
    name: str
    message: str
    screen: str
    table: str
    key: str


def links_of(row: Any, store: Store) -> list[Link]:
    """Everything that a row leads to and that the views hold."""
    make = _MAKERS.get(type(row))
    return list(make(row, store)) if make is not None else []


def _service(row: ServiceRow, store: Store) -> Iterator[Link]:
    for need in row.depends_on:
        yield from _database(need, store)
    yield from _rows(store, "overview", "services", "needs", lambda each: each.name in row.depends_on)
    yield from _rows(store, "overview", "services", "needed by", lambda each: row.name in each.depends_on)
    yield from _rows(store, "overview", "probes", "probe", lambda each: each.service == row.name)
    yield from _rows(store, "traffic", "backends", "backend", lambda each: each.service == row.name)
    yield from _runs(store, lambda each: each.service == row.name)


def _recover(row: RecoverRow, store: Store) -> Iterator[Link]:
    """What the service or database of a row leads to, its runs first."""
    yield from _runs(store, lambda each: each.id in row.runs)
    overview = store.view("overview")
    service = overview.services.get(row.name) if overview is not None and row.kind is SubjectKind.SERVICE else None
    if service is not None:
        yield from _service(service, store)
    else:
        yield from _database(row.name, store)
        yield from _of_database(row.name, store)


def _open_run(row: OpenRunRow, store: Store) -> Iterator[Link]:
    yield from _runs(store, lambda each: each.id == row.id)


def _alert(row: AlertRow, store: Store) -> Iterator[Link]:
    yield from _rows(store, "overview", "services", "service", lambda each: each.name == row.service)


def _probe(row: ProbeRow, store: Store) -> Iterator[Link]:
    yield from _rows(store, "overview", "services", "service", lambda each: each.name == row.service)


def _node(row: NodeRow, store: Store) -> Iterator[Link]:
    yield from _rows(
        store, "replication", "nodes", "node", lambda each: each.cluster == row.cluster and each.node != row.node
    )
    yield from _rows(store, "replication", "slots", "slot", lambda each: each.cluster == row.cluster)
    yield from _of_database(row.cluster, store)


def _slot(row: SlotRow, store: Store) -> Iterator[Link]:
    yield from _rows(store, "replication", "nodes", "node", lambda each: each.cluster == row.cluster)


def _of_database(cluster: str, store: Store) -> Iterator[Link]:
    """What needs a database, and the runs of those services."""
    overview = store.view("overview")
    services = overview.services.values() if overview is not None else ()
    needing = {row.name for row in services if cluster in row.depends_on}
    yield from _rows(store, "overview", "services", "needed by", lambda each: each.name in needing)
    yield from _runs(store, lambda each: each.service in needing)


def _run(row: RunRow, store: Store) -> Iterator[Link]:
    yield from _rows(store, "runbooks", "steps", "step", lambda each: each.run == row.id)
    yield from _rows(store, "overview", "services", "service", lambda each: each.name == row.service)
    yield from _rows(store, "runbooks", "library", "runbook", lambda each: each.name == row.runbook)
    yield from _entries(store, lambda each: each.run == row.id)


def _step(row: StepRow, store: Store) -> Iterator[Link]:
    yield from _runs(store, lambda each: each.id == row.run)
    yield from _entries(store, lambda each: each.run == row.run and each.step.partition("#")[0] == row.step)


def _runbook(row: RunbookRow, store: Store) -> Iterator[Link]:
    yield from _runs(store, lambda each: each.runbook == row.name)


def _entry(row: JournalRow, store: Store) -> Iterator[Link]:
    yield from _runs(store, lambda each: each.id == row.run)
    yield from _rows(
        store, "runbooks", "steps", "step", lambda each: each.run == row.run and each.step == row.step.partition("#")[0]
    )


def _backend(row: BackendRow, store: Store) -> Iterator[Link]:
    yield from _rows(store, "overview", "services", "service", lambda each: each.name == row.service)
    here = (row.balancer, row.backend)
    yield from _rows(store, "traffic", "servers", "server", lambda each: (each.balancer, each.backend) == here)


def _server(row: ServerRow, store: Store) -> Iterator[Link]:
    here = (row.balancer, row.backend)
    yield from _rows(store, "traffic", "backends", "backend", lambda each: (each.balancer, each.backend) == here)


def _record(row: DnsRow, store: Store) -> Iterator[Link]:
    yield from _rows(store, "traffic", "dns", "record", lambda each: each.name == row.name and each.key != row.key)


def _database(name: str, store: Store) -> Iterator[Link]:
    view = store.view("replication")
    cluster = view.clusters.get(name) if view is not None else None
    if cluster is not None:
        yield Link("database", name, row_says(cluster), "replication", "clusters", name)


def _runs(store: Store, fits: Callable[[Any], bool]) -> Iterator[Link]:
    yield from _rows(store, "runbooks", "runs", "run", fits)


def _entries(store: Store, fits: Callable[[Any], bool]) -> Iterator[Link]:
    """Entries of the journal, newest first."""
    view = store.view("journal")
    found = [row for row in view.entries.values() if fits(row)] if view is not None else []
    for row in sorted(found, key=lambda each: each.seq, reverse=True)[:MOST_EACH]:
        yield Link("entry", f"{row.seq} {row.kind}", row.message, "journal", "entries", str(row.seq))


def _rows(store: Store, topic: str, table: str, kind: str, fits: Callable[[Any], bool]) -> Iterator[Link]:
    view = store.view(topic)
    rows = getattr(view, table, {}) if view is not None else {}
    found = [(key, row) for key, row in rows.items() if fits(row)]
    for key, row in found[:MOST_EACH]:
        yield Link(
            kind, str(getattr(row, "name", "") or getattr(row, "id", "") or key), row_says(row), topic, table, key
        )


_MAKERS: dict[type, Callable[[Any, Store], Iterator[Link]]] = {
    RecoverRow: _recover,
    OpenRunRow: _open_run,
    ServiceRow: _service,
    AlertRow: _alert,
    ProbeRow: _probe,
    NodeRow: _node,
    SlotRow: _slot,
    RunRow: _run,
    StepRow: _step,
    RunbookRow: _runbook,
    JournalRow: _entry,
    BackendRow: _backend,
    ServerRow: _server,
    DnsRow: _record,
}
