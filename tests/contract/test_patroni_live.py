"""A real Patroni cluster of two nodes: identity, readings and one true switchover."""

from __future__ import annotations

import pytest

from adapters.context import AdapterContext
from adapters.databases import patroni_examine
from adapters.databases.patroni import PatroniCluster, build
from adapters.databases.patroni_options import PatroniOptions
from state.diagnosis.model import Asked, Diagnosis
from state.errors import EffectRefused
from state.health import Health
from state.world.readings import PatroniReading
from tests.contract.live_patroni import Live, close, entry_of, settled


@pytest.fixture
def entry(live_cluster: Live, context: AdapterContext) -> PatroniOptions:
    return entry_of(live_cluster, context)


@pytest.fixture
async def database(entry: PatroniOptions, context: AdapterContext) -> PatroniCluster:
    return build("orders", entry, context)[0]


async def test_a_standby_is_restarted_and_a_leader_refuses_it(database: PatroniCluster) -> None:
    leader, replica = await settled(database)
    began = {node: (await database.read_node(node, deadline=2)).started_at for node in (leader, replica)}
    with pytest.raises(EffectRefused) as refusal:
        await database.restart(leader, pending=False, deadline=20)
    assert refusal.value.code == "role-503"
    assert (await database.restart(replica, pending=False, deadline=20)).code == "restarted"
    assert await settled(database) == (leader, replica)
    now = {node: (await database.read_node(node, deadline=2)).started_at for node in (leader, replica)}
    assert now[leader] == began[leader]
    assert now[replica] > began[replica]
    await close(database)


async def test_a_real_switchover_is_read_refused_and_done(database: PatroniCluster) -> None:
    leader, replica = await settled(database)
    before = await database.identify(deadline=2)
    assert before.facts["leader"] == leader
    assert (await database.identify(deadline=2)).difference(before) == ""
    await database.read_member(replica, deadline=2)
    reading: PatroniReading = await database.read_member(replica, deadline=2)
    assert reading.maximum_lag == 4194304
    assert {m.name: m.role for m in reading.members} == {leader: "leader", replica: "replica"}
    assert reading.dcs_age is not None
    assert reading.dcs_age < 20
    own = await database.read_node(replica, deadline=2)
    assert own.system_id == reading.system_id

    with pytest.raises(EffectRefused) as refusal:
        await database.switch_over(replica, leader, deadline=20)
    assert (refusal.value.code, refusal.value.message) == ("impossible-412", "leader name does not match")

    receipt = await database.switch_over(leader, replica, deadline=20)
    assert receipt.code == "switched"
    assert await settled(database) == (replica, leader)
    after = await database.identify(deadline=2)
    assert after.facts["leader"] == replica
    assert int(after.facts["timeline"]) == int(before.facts["timeline"]) + 1
    await close(database)


async def kept(database: PatroniCluster) -> list[bytes]:
    """What a change would change: configuration, history and members of the cluster, as every node has them."""
    readers = [database.manager(node).reader for node in database.nodes]
    config = [await reader.get("/config", deadline=60) for reader in readers]
    history = [await reader.get("/history", deadline=60) for reader in readers]
    roles = [f"{(await database.read_member(node, deadline=60)).role}".encode() for node in database.nodes]
    return [*config, *history, *roles]


def wrong(found: list[Diagnosis]) -> list[tuple[str, Asked, Health]]:
    return [(row.target, row.asked, row.health) for row in found if row.health is not Health.PASS]


async def test_a_cluster_is_examined_without_effect(
    database: PatroniCluster, entry: PatroniOptions, context: AdapterContext
) -> None:
    leader, replica = await settled(database)
    before = await kept(database)
    found = await patroni_examine.examine("orders", entry, context, deadline=60)
    assert not wrong(found)
    assert {(row.target, row.reason) for row in found} >= {
        ("databases/orders", f"{leader} leads, 1 of 1 others follow"),
        (f"databases/orders/{replica}", "replica, by Patroni and by its server"),
        (
            f"databases/orders/{replica}",
            "account rec may switch over (a change of nothing was refused as such)",
        ),
    }
    swapped = entry.model_copy(
        update={
            "nodes": {
                node: each.model_copy(update={"postgres": entry.nodes[replica if node == leader else leader].postgres})
                for node, each in entry.nodes.items()
            }
        }
    )
    told = wrong(await patroni_examine.examine("orders", swapped, context, deadline=60))
    assert told == [(f"databases/orders/{node}", Asked.ROLE, Health.FAIL) for node in entry.nodes]
    (context.base / "patroni").write_text("another")
    another = AdapterContext(context.base, context.polling)  # a context reads each secret once
    told = wrong(await patroni_examine.examine("orders", entry, another, deadline=60))
    assert told == [(f"databases/orders/{node}", Asked.CREDENTIAL, Health.FAIL) for node in entry.nodes]
    assert await kept(database) == before
    await close(database)
