"""Nodes whose addresses lead to one server: what is read there says nothing of the other server.

An address that moves with the leader, a name in DNS that was changed, or a proxy in between does that.
"""

from __future__ import annotations

from collections.abc import Mapping

from state.world.readings import PostgresReading


def one_server(readings: Mapping[str, PostgresReading | None]) -> list[tuple[str, ...]]:
    """The nodes, two or more, whose answers came from one server: of one system, and started at one instant. By which
    address it was reached says nothing."""
    by_server: dict[tuple[str, float], list[str]] = {}
    for node, reading in readings.items():
        if reading is not None and reading.started_at and reading.server_address:
            by_server.setdefault((reading.system_id, reading.started_at), []).append(node)
    return [tuple(nodes) for nodes in by_server.values() if len(nodes) > 1]


def twins(readings: Mapping[str, PostgresReading | None]) -> Mapping[str, str]:
    """By node, all others that are one server with it."""
    groups = one_server(readings)
    return {node: " and ".join(n for n in nodes if n != node) for nodes in groups for node in nodes}


def twin_fact(node: str, others: str) -> str:
    """What is wrong, in words."""
    return f"the addresses of {node} and {others} lead to one server"
