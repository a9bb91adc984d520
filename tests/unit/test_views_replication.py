"""The replication view: who has the lock and the traffic, and in which tree its nodes stand."""

from __future__ import annotations

from console.cluster_text import UNICODE_TWIGS, tree
from state.api.views.replication import ClusterRow, ReplicationView
from state.estate.model import Estate
from state.views.replication import build
from state.world.manager_parts import StoreReading
from state.world.postgres_parts import WalSender
from state.world.world import World
from tests.unit.verdict_world import ESTATE, MB, balancer, blackhole, look, primary, put, sender, server, standby

ROUTED = ESTATE.model_copy(
    update={"databases": {"orders": ESTATE.databases["orders"].model_copy(update={"frontends": {"rw": "primary"}})}}
)


def seen(world: World, estate: Estate = ESTATE) -> ReplicationView:
    return build(look(world, estate=estate))


def orders(world: World, estate: Estate = ESTATE) -> ClusterRow:
    return seen(world, estate).clusters["orders"]


def drawn(world: World) -> list[str]:
    return [f"{branch.lead}{branch.row.node}" for branch in tree(seen(world).nodes, UNICODE_TWIGS)]


def test_the_lock_is_by_the_store_where_it_is_asked_else_by_managers(world: World) -> None:
    assert orders(world).lock == "n1"
    put(world, "store:orders", StoreReading("orders", "n2", 20.0, "7001"))
    assert orders(world).lock == "n2"
    put(world, "store:orders", StoreReading("orders", "", None, "7001"))
    assert orders(world).lock == "", "the store says that nobody has it"


def test_the_lock_is_nobodys_where_no_manager_answers(world: World) -> None:
    for node in ("n1", "n2", "n3"):
        blackhole(world, f"patroni:orders/{node}")
    assert orders(world).lock == ""


def test_traffic_goes_where_balancers_say_and_is_unknown_without_one(world: World) -> None:
    assert orders(world).traffic is None, "no backend is declared to lead to the primary"
    servers = [server(node, backend="rw", up=node == "n2") for node in ("n1", "n2", "n3")]
    put(world, "balancer:edge-east", balancer("edge-east", *servers))
    assert orders(world, ROUTED).traffic == ("n2",)
    blackhole(world, "balancer:edge-east")
    assert orders(world, ROUTED).traffic is None


def test_nodes_stand_below_whom_they_stream_from_and_a_silent_one_below_nobody(world: World) -> None:
    assert drawn(world) == ["n1", "├─► n2", "└─► n3"]
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, senders=(sender("n2"),)))
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, senders=(sender("n3"),)))
    assert drawn(world) == ["n1", "└─► n2", "    └─► n3"]
    blackhole(world, "postgres:orders/n2")
    assert drawn(world) == ["n1", "? n2", "? n3"], "n3 streams, from whom nobody tells"


def test_a_standby_without_a_sender_is_a_broken_stream(world: World) -> None:
    rows: tuple[WalSender, ...] = (sender("n2"),)
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, senders=rows))
    put(world, "postgres:orders/n3", standby("n3", 100 * MB, receiver_state=None))
    assert drawn(world) == ["n1", "└─► n2", "╳ n3"]
