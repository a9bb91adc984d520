"""What only one node has: what is lost when its data is replaced by another node's."""

from __future__ import annotations

from state.errors import ReadFailure
from state.ports.database import CanTellFork, Database, SeenWriter
from state.units import ago, megabytes
from state.verdicts.forks import wrote_past
from state.world.readings import PostgresReading


async def only_here(
    database: Database,
    node: str,
    server: PostgresReading | None,
    primary: PostgresReading | None,
    last: SeenWriter | None,
    deadline: float,
) -> tuple[int | None, str]:
    """Bytes that only `node` has, past the point where its history left the primary's; None when that is not known.

    `last` is the node that wrote last, as it was read then: of one that does not answer it is the least that is known.
    On the primary's own timeline it is what the node has more: two nodes promoted from one point have equal numbers.
    """
    if server is None or primary is None:
        silent = node if server is None else "the node that leads"
        said = f"what only {node} has is not known: {silent} does not answer"
        return None, said + (_then(node, primary, last) if server is None and primary is not None else "")
    if server.system_id != primary.system_id:
        return None, f"{node} is of another database system: all of it is lost"
    at = server.held
    if not server.in_recovery and server.timeline == primary.timeline:
        return None, f"{node} accepts writes on the same timeline as {primary.node}: what only it has is not known"
    if server.timeline == primary.timeline:
        if at is None or primary.write_lsn is None:
            return None, f"the position of {node} is not known"
        ahead = max(0, at - primary.write_lsn)
        return ahead, f"{node} has this much that {primary.node} does not have, on the same timeline" if ahead else ""
    fork = await _fork(database, primary.node, server.timeline, deadline)
    if fork is None or at is None:
        return None, f"{node} is on timeline {server.timeline}; how much it has past the fork is not known"
    return max(0, at - fork), f"{node} has this much on timeline {server.timeline} that {primary.node} does not have"


def _then(node: str, primary: PostgresReading, last: SeenWriter | None) -> str:
    """What it had when it was last read to accept writes."""
    past = wrote_past(last.reading, primary) if last is not None and last.reading.node == node else None
    if last is None or past is None:
        return ""
    return f"; {ago(last.age)} ago it had {megabytes(past)} past the fork from {primary.node}"


async def _fork(database: Database, leader: str, timeline: int | None, deadline: float) -> int | None:
    if timeline is None or not isinstance(database, CanTellFork):
        return None
    try:
        return await database.fork(leader, timeline + 1, deadline=deadline)
    except ReadFailure:
        return None
