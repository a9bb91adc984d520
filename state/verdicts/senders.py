"""Which stream of a server leads to which node: by the slot that it uses, else by the name that it gives itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from state.world.postgres_parts import WalReceiver, WalSender
from state.world.readings import PostgresReading

UNSENT = "unsent"
"""The state of a receiver that says it streams, where no server sends to it."""


def sender_of(upstream: PostgresReading, node: str, standby: PostgresReading | None = None) -> WalSender | None:
    """The upstream's row for a node, None where there is none or several could be it. `standby` is what the node itself
    says: it goes before the node's name here, which another one may use (a copied configuration)."""
    rows = _rows(upstream, node, standby)
    attached = [s for s in rows if s.attached]
    if len(attached) > 1:
        return None
    return attached[0] if attached else rows[0] if rows else None


def upstream_of(node: str, standby: PostgresReading, others: Iterable[PostgresReading]) -> PostgresReading | None:
    """The server from which a node streams, by the other end's own word."""
    return next((each for each in others if each.node != node and sender_of(each, node, standby) is not None), None)


def nobody_sends(standby: PostgresReading, servers: Mapping[str, PostgresReading | None]) -> bool:
    """Whether a standby says that it streams and no server of its cluster sends to it: a receiver that hangs, or whose
    connection ended without a word, goes on saying so (wal_receiver_timeout, a minute by default, never where it is 0).

    Only where every server is read and each of their streams is another's: one of which that is not known may be its.
    `servers` are the last readings by node, None where there is none.
    """
    if standby.receiver_state != "streaming" or any(each is None or not each.privileged for each in servers.values()):
        return False
    known = {node: each for node, each in servers.items() if each is not None}
    for upstream in known.values():
        if _rows(upstream, standby.node, standby):
            return False
        others = [(n, each if each.in_recovery else None) for n, each in known.items() if n != standby.node]
        led = [sender_of(upstream, node, each) for node, each in others]
        maybe = (s for s in upstream.senders if s.state != "backup" and not s.only_stores)
        if any(row not in led for row in maybe):
            return False
    return True


def _rows(upstream: PostgresReading, node: str, standby: PostgresReading | None) -> list[WalSender]:
    named = [s for s in upstream.senders if s.application_name.lower() == node.lower()]
    if standby is None:
        return named
    receiver = standby.receiver
    if receiver is None:  # without a receiver no stream in force is its own
        streams = standby.receiver_state is not None or not standby.privileged
        return named if streams else [s for s in named if not s.attached]
    if receiver.slot:
        return _by_slot(upstream, receiver, named)
    if not receiver.name.isascii() or receiver.name.lower() in ("", node.lower()):
        return named  # the other end shows only the ASCII of a name
    own = [s for s in upstream.senders if s.application_name == receiver.name]
    return own if len(own) == 1 and _leads_to(upstream, receiver) else []


def _by_slot(upstream: PostgresReading, receiver: WalReceiver, named: list[WalSender]) -> list[WalSender]:
    """The stream that has the slot; a row that tells no process can only be known by its name."""
    pids = {s.active_pid for s in upstream.slots if s.name == receiver.slot and s.active_pid is not None}
    return [s for s in upstream.senders if s.pid in pids] or [s for s in named if s.pid is None]


def _leads_to(upstream: PostgresReading, receiver: WalReceiver) -> bool:
    """Whether the standby's receiver names this server's place: names such as `walreceiver` are everybody's."""
    host, _, port = upstream.server_address.rpartition(":")
    if receiver.port is None or str(receiver.port) != port:
        return False
    theirs, own = _address(receiver.host), _address(host)
    return theirs is None or own is None or theirs == own or theirs.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
