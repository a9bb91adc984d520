"""What the managers and the servers of one cluster say, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.world.postgres_parts import (
    WalSender,
)
from state.world.readings import PatroniMember
from state.world.world import World
from tests.unit.verdict_world import (
    ESTATE,
    MB,
    NOW,
    manager,
    primary,
    put,
    sender,
)

ORDERS = ESTATE.databases["orders"]
NODES = ("n1", "n2", "n3")


def judge(world: World) -> ClusterVerdict:
    return cluster_verdict("orders", ORDERS, world, NOW)


def rules(world: World, node: str) -> list[str]:
    return [each.rule for each in judge(world).eligible[node].obstacles]


def members(**by_node: dict[str, Any]) -> tuple[PatroniMember, ...]:
    return tuple(replace(row, **by_node.get(row.name, {})) for row in manager("n1", "n1").members)


def managers(world: World, leader: str | None = "n1", **facts: Any) -> None:
    for node in NODES:
        put(world, f"patroni:orders/{node}", manager(node, leader, **facts))


def leads(world: World, *senders: WalSender, names: str = "", **facts: Any) -> None:
    made = primary("n1", 100 * MB, senders=senders, synchronous_standby_names=names, **facts)
    put(world, "postgres:orders/n1", made)


def receiver(name: str, sync: str = "async", **facts: Any) -> WalSender:
    return replace(sender(name, sync), **facts)
