"""Which stream of a server leads to which node: by its name, by the slot it uses, by the name it gives itself."""

from __future__ import annotations

from collections.abc import Iterable

from state.world.postgres_parts import WalSender
from state.world.readings import PostgresReading


def sender_of(upstream: PostgresReading, node: str, standby: PostgresReading | None = None) -> WalSender | None:
    """The upstream's row for a node; a streaming one if there are several. `standby` is what the node itself says."""
    rows = [s for s in upstream.senders if s.application_name.lower() == node.lower()]
    if not rows and standby is not None and standby.receiver is not None:
        rows = _by_receiver(upstream, standby)
    return next((s for s in rows if s.attached), rows[0] if rows else None)


def upstream_of(node: str, standby: PostgresReading, others: Iterable[PostgresReading]) -> PostgresReading | None:
    """The server from which a node streams, by the other end's own word."""
    return next((each for each in others if each.node != node and sender_of(each, node, standby) is not None), None)


def _by_receiver(upstream: PostgresReading, standby: PostgresReading) -> list[WalSender]:
    receiver = standby.receiver
    assert receiver is not None
    if receiver.slot:
        pids = {s.active_pid for s in upstream.slots if s.name == receiver.slot and s.active_pid is not None}
        return [s for s in upstream.senders if s.pid in pids]
    named = [s for s in upstream.senders if receiver.name and s.application_name == receiver.name]
    return named if len(named) == 1 and _leads_to(upstream, standby) else []


def _leads_to(upstream: PostgresReading, standby: PostgresReading) -> bool:
    """Whether the standby's receiver names this server's port: names such as `walreceiver` are everybody's."""
    receiver = standby.receiver
    port = upstream.server_address.rpartition(":")[2]
    return receiver is not None and receiver.port is not None and str(receiver.port) == port
