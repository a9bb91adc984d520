"""A real Patroni cluster of two nodes: identity, readings and one true switchover."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.databases import patroni_examine
from adapters.databases.patroni import PatroniCluster, build
from adapters.databases.patroni_options import PatroniOptions
from state.changes.model import Change, ChangeSpec, Finding, ReadBack
from state.changes.registry import build as build_change
from state.diagnosis.model import Asked, Diagnosis
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.estate.model import SecretRef
from state.health import Health
from state.ports.database import ScheduledSwitchover
from state.ports.outside import Outside
from state.world.readings import PatroniReading
from tests.contract.components import PASSWORD, as_user_argv, free_port, postgres_bin
from tests.unit.verdict_world import ESTATE

NODE = """
scope: orders
name: {name}
restapi:
  listen: 127.0.0.1:{api}
  connect_address: 127.0.0.1:{api}
  authentication: {{username: rec, password: {password}}}
raft:
  data_dir: {place}/{name}/raft
  self_addr: 127.0.0.1:{raft}
  partner_addrs: ["127.0.0.1:{partner}", "127.0.0.1:{witness}"]
bootstrap:
  dcs: {{ttl: 20, loop_wait: 1, retry_timeout: 3, maximum_lag_on_failover: 4194304}}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, no-sync]
  post_init: {place}/post_init
postgresql:
  listen: 127.0.0.1:{postgres}
  connect_address: 127.0.0.1:{postgres}
  data_dir: {place}/{name}/data
  bin_dir: {bin}
  pgpass: {place}/{name}/pgpass
  parameters: {{unix_socket_directories: {place}, fsync: "off", shared_buffers: 16MB, wal_log_hints: "on"}}
  basebackup: [no-sync, {{checkpoint: fast}}]
  authentication:
    superuser: {{username: postgres, password: {password}}}
    replication: {{username: replication, password: {password}}}
    rewind: {{username: rewind, password: {password}}}
  pg_hba:
    - local all all trust
    - host all all 127.0.0.1/32 scram-sha-256
    - host replication all 127.0.0.1/32 scram-sha-256
"""
WITNESS = """
raft:
  data_dir: {place}/w/raft
  self_addr: 127.0.0.1:{witness}
  partner_addrs: ["127.0.0.1:{r1}", "127.0.0.1:{r2}"]
"""
POST_INIT = f"""#!/bin/sh
{{bin}}/psql "$1" -qc "create role recovery login password '{PASSWORD}' in role pg_monitor"
"""


@dataclass(frozen=True)
class Member:
    name: str
    postgres: int
    api: int
    raft: int


@dataclass(frozen=True)
class Live:
    """Two members and a witness, each in a session of its own."""

    place: Path
    members: tuple[Member, ...]
    processes: list[subprocess.Popen[bytes]]


def patroni(program: str, config: Path, log: Path) -> subprocess.Popen[bytes]:
    argv = as_user_argv(sys.executable, "-m", program, str(config))
    with log.open("ab") as said:
        return subprocess.Popen(argv, stdout=said, stderr=said, start_new_session=True)


@pytest.fixture(scope="module")
def live(folder: Path) -> Iterator[Live]:
    place = Path(tempfile.mkdtemp(dir=folder))
    members = tuple(Member(name, free_port(), free_port(), free_port()) for name in ("n1", "n2"))
    witness = free_port()
    script = place / "post_init"
    script.write_text(POST_INIT.format(bin=postgres_bin()))
    script.chmod(0o700)
    running = Live(place, members, [])
    try:
        for member, other in zip(members, reversed(members), strict=True):
            (place / member.name).mkdir()
            config = place / f"{member.name}.yml"
            config.write_text(
                NODE.format(
                    name=member.name,
                    api=member.api,
                    raft=member.raft,
                    partner=other.raft,
                    witness=witness,
                    postgres=member.postgres,
                    place=place,
                    bin=postgres_bin(),
                    password=PASSWORD,
                )
            )
        (place / "w").mkdir()
        witness_file = place / "w.yml"
        witness_file.write_text(WITNESS.format(place=place, witness=witness, r1=members[0].raft, r2=members[1].raft))
        running.processes.append(patroni("patroni.raft_controller", witness_file, place / "w.log"))
        for member in members:
            running.processes.append(patroni("patroni", place / f"{member.name}.yml", place / f"{member.name}.log"))
        yield running
    finally:
        end(running)


def end(running: Live) -> None:
    """Patroni first, so that it starts nothing again; then the postmasters."""
    for process in running.processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for member in running.members:
        lock = running.place / member.name / "data" / "postmaster.pid"
        if lock.exists():
            try:
                os.kill(int(lock.read_text().split()[0]), signal.SIGQUIT)
            except ProcessLookupError:
                continue


@pytest.fixture
def entry(live: Live, context: AdapterContext) -> PatroniOptions:
    for name in ("postgres", "patroni"):
        (context.base / name).write_text(PASSWORD)
        (context.base / name).chmod(0o600)
    nodes = {
        member.name: {
            "site": "east",
            "postgres": f"127.0.0.1:{member.postgres}",
            "api": f"http://127.0.0.1:{member.api}",
        }
        for member in live.members
    }
    return PatroniOptions(
        kind="patroni",
        scope="orders",
        user="recovery",
        password=SecretRef(file="postgres"),
        tls="loopback",
        api_user="rec",
        api_password=SecretRef(file="patroni"),
        nodes=nodes,
    )


@pytest.fixture
async def database(entry: PatroniOptions, context: AdapterContext) -> PatroniCluster:
    return build("orders", entry, context)[0]


async def settled(database: PatroniCluster) -> tuple[str, str]:
    """(leader, replica) once one leads and the other streams."""
    said = ""
    for _ in range(300):
        try:
            readings = [await database.read_member(node, deadline=2) for node in database.nodes]
            servers = [await database.read_node(node, deadline=2) for node in database.nodes]
        except ReadFailure as failure:
            said = failure.message
        else:
            roles = {reading.role: reading.node for reading in readings}
            said = str(roles)
            if set(roles) == {"primary", "replica"} and any(s.receiver_state == "streaming" for s in servers):
                return roles["primary"], roles["replica"]
        await asyncio.sleep(0.1)
    raise AssertionError(f"never settled: {said}")


async def close(database: PatroniCluster) -> None:
    for node in database.nodes:
        await database.close_node(node)
        await database.close_member(node)


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


def changes(database: PatroniCluster, kind: str, **args: str) -> Change:
    """A change of this cluster, as the engine builds it."""
    estate = ESTATE.model_copy(update={"databases": {"orders": ESTATE.databases["orders"]}})
    return build_change(ChangeSpec(kind, {"database": "orders", **args}), estate, Outside((), {}, {"orders": database}))


async def found(change: Change, facts: Mapping[str, Any], wanted: Finding, seconds: float = 90.0) -> ReadBack:
    """What is read back once it is this."""
    seen: ReadBack | None = None
    async with asyncio.timeout(seconds):
        while seen is None or seen.finding is not wanted:
            await asyncio.sleep(0.3)
            with suppress(ReadFailure):
                seen = await change.read_back(facts, deadline=4)
    return seen


async def test_the_manager_is_paused_and_resumed(database: PatroniCluster) -> None:
    await settled(database)
    for kind in ("database.pause", "database.resume"):
        change = changes(database, kind)
        shown = await change.preview(deadline=4)
        assert (shown.refusals, shown.already) == ((), False), kind
        assert (await change.apply(shown.facts, effect="e", deadline=20)).code == "configured"
        await found(change, shown.facts, Finding.DONE)
        assert (await change.preview(deadline=4)).already
    await close(database)


async def test_a_switchover_is_scheduled_and_taken_back(database: PatroniCluster) -> None:
    leader, replica = await settled(database)
    at = datetime.fromtimestamp(time.time() + 3600, UTC).replace(microsecond=0)
    change = changes(database, "database.schedule", to=replica, at=at.isoformat())
    shown = await change.preview(deadline=4)
    assert (shown.refusals, shown.already) == ((), False)
    assert (await change.apply(shown.facts, effect="e", deadline=20)).code == "scheduled"
    await found(change, shown.facts, Finding.DONE)
    assert await database.scheduled(deadline=4) == ScheduledSwitchover(at.timestamp(), leader, replica)
    back = changes(database, "database.unschedule")
    shown = await back.preview(deadline=4)
    assert shown.undo is not None
    assert dict(shown.undo.args) == {"database": "orders", "to": replica, "at": at.isoformat()}
    assert (await back.apply(shown.facts, effect="e", deadline=20)).code == "unscheduled"
    await found(back, shown.facts, Finding.DONE)
    with pytest.raises(EffectRefused) as refusal:
        await database.unschedule(deadline=20)
    assert refusal.value.code == "none-scheduled-404"
    past = datetime.fromtimestamp(time.time() - 3600, UTC).timestamp()
    with pytest.raises(EffectRefused) as refusal:
        await database.schedule(leader, replica, past, deadline=20)
    assert refusal.value.code == "bad-request-422"
    await close(database)


async def test_a_standby_is_reinitialised_and_a_leader_refuses_it(database: PatroniCluster) -> None:
    leader, replica = await settled(database)
    with pytest.raises(EffectRefused) as refusal:
        await database.reinitialize(leader, deadline=20)
    assert refusal.value.code == "refused-503"
    change = changes(database, "database.reinitialize", node=replica)
    shown = await change.preview(deadline=4)
    assert (shown.refusals, shown.loss_bytes) == ((), 0)
    assert (await change.apply(shown.facts, effect="e", deadline=20)).code == "begun"
    await found(change, shown.facts, Finding.DONE)
    assert await settled(database) == (leader, replica)
    await close(database)


async def test_every_standby_proves_that_it_follows_without_any_grant(database: PatroniCluster) -> None:
    leader, replica = await settled(database)
    change = changes(database, "database.prove")
    change.effect = "R-1/prove"  # type: ignore[attr-defined]
    shown = await change.preview(deadline=4)
    assert (await change.apply(shown.facts, effect="R-1/prove", deadline=20)).code == "marked"
    await found(change, shown.facts, Finding.DONE)
    assert await database.marked(replica, deadline=4) == await database.marked(leader, deadline=4) != ""
    await close(database)


async def test_a_dead_leader_is_no_proof_and_a_failover_is_done_when_its_manager_says_so(
    database: PatroniCluster, live: Live
) -> None:
    """Paused, Patroni promotes nobody by itself and starts no server again: a person decides."""
    leader, replica = await settled(database)
    await database.pause(paused=True, deadline=20)
    await found(changes(database, "database.pause"), {}, Finding.DONE)
    lock = live.place / leader / "data" / "postmaster.pid"
    os.kill(int(lock.read_text().split()[0]), signal.SIGQUIT)
    change = changes(database, "database.failover", to=replica)
    async with asyncio.timeout(60):
        while (shown := await change.preview(deadline=4)).facts["leader"] != "nobody":
            await asyncio.sleep(0.2)
    assert [refusal.rule for refusal in shown.refusals] == ["fenced"], "that it does not answer proves nothing"
    assert shown.loss_bytes is None
    receipt, said = None, ""
    async with asyncio.timeout(120):
        while receipt is None:
            try:
                receipt = await database.fail_over(replica, deadline=40)
            except (EffectRefused, EffectUnknown) as error:  # while the old leader still has its lock
                said = str(error)
                await asyncio.sleep(1)
    assert receipt.code == "switched", said
    done = await found(change, shown.facts, Finding.DONE)
    assert done.figures["leader"] == replica
    await database.pause(paused=False, deadline=20)
    assert await settled(database) == (replica, leader)
    await close(database)
