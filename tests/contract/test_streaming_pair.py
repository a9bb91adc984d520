"""A real pair without a manager: fenced, promoted, rewound, proven, repointed; by the changes that the engine uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.context import AdapterContext
from adapters.databases.streaming import StreamingCluster
from adapters.registry import kinds
from adapters.wiring import wire
from state.changes.model import Change, ChangeSpec, Finding, OfEffect, Preview, ReadBack
from state.changes.registry import build
from state.config_files.located import Located
from state.errors import EffectRefused, NotFound, ReadFailure
from state.estate.parse import parse_estate
from state.ports.database import HasManagers
from state.ports.outside import Outside
from tests.contract.components import postgres_bin, postgres_with_tls
from tests.support.plain_pair import Servers, plain_pair


class Engineer:
    """Previews, sends and reads back the changes of one estate."""

    def __init__(self, servers: Servers, *nodes: str, fenced: bool = True) -> None:
        raw = {
            "estate": "pair", "environment": "lab", "sites": {"east": {}},
            "databases": {"ledger": servers.database(*nodes, fenced=fenced)},
            "commands": servers.commands() if fenced else {},
        }  # fmt: skip
        self.estate = parse_estate(Located(raw, str(servers.pair.place / "estate.yaml")), kinds())
        self.outside: Outside = wire(self.estate, servers.pair.place)
        database = self.outside.databases["ledger"]
        assert isinstance(database, StreamingCluster)
        self.database = database

    def change(self, kind: str, **args: str) -> Change:
        made = build(ChangeSpec(f"database.{kind}", {"database": "ledger", **args}), self.estate, self.outside)
        if isinstance(made, OfEffect):
            made.effect = f"R-1/{kind}"
        return made

    async def refused(self, kind: str, **args: str) -> list[str]:
        return [each.rule for each in (await self.change(kind, **args).preview(deadline=10)).refusals]

    async def ready(self, kind: str, **args: str) -> tuple[Change, Preview]:
        """The change once nothing refuses it."""
        change = self.change(kind, **args)
        async with asyncio.timeout(60):
            while (shown := await change.preview(deadline=10)).refusals:
                await asyncio.sleep(0.2)
        return change, shown

    async def does(self, kind: str, **args: str) -> ReadBack:
        """Done, by reading."""
        change, shown = await self.ready(kind, **args)
        assert not shown.already, kind
        await change.apply(shown.facts, effect=f"R-1/{kind}", deadline=90)
        return await self.found(change, shown, Finding.DONE)

    async def found(self, change: Change, shown: Preview, wanted: Finding) -> ReadBack:
        seen: ReadBack | ReadFailure | None = None
        for _ in range(400):
            try:
                seen = await change.read_back(shown.facts, deadline=10)
            except ReadFailure as failure:
                seen = failure
            if isinstance(seen, ReadBack) and seen.finding is wanted:
                return seen
            await asyncio.sleep(0.2)
        raise AssertionError(f"never {wanted}: {seen}")

    async def received(self, source: str, target: str) -> None:
        """Wait until a node has received all that another one has written."""
        async with asyncio.timeout(60):
            while True:
                written = (await self.database.read_node(source, deadline=10)).write_lsn or 0
                if ((await self.database.read_node(target, deadline=10)).receive_lsn or 0) >= written:
                    return
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        for node in self.database.nodes:
            await self.database.close_node(node)


@pytest.fixture
def servers() -> Iterator[Servers]:
    with plain_pair() as made:
        yield made


@pytest.fixture
async def engineer(servers: Servers) -> AsyncIterator[Engineer]:
    made = Engineer(servers, "a", "b")
    yield made
    await made.close()


@pytest.mark.parametrize("programs", [postgres_bin(), postgres_with_tls()], ids=["18", "15"])
async def test_a_pair_is_fenced_promoted_rewound_and_proven(programs: Path) -> None:
    with plain_pair(programs) as servers:
        engineer = Engineer(servers, "a", "b")
        await through_a_failover(servers, engineer)
        await engineer.close()


async def through_a_failover(servers: Servers, engineer: Engineer) -> None:
    """Fence a, promote b, let a come back as a second writer, fence it again, rewind it, prove that it follows."""
    assert not isinstance(engineer.database, HasManagers)
    assert await engineer.refused("promote", to="b") == ["no-leader", "fenced"]
    assert await engineer.refused("switchover", to="b") != [], "nobody could hand the role over"
    servers.sql("a", "insert into ledger select generate_series(1, 1000)")
    await engineer.does("prove")
    servers.sql("a", "checkpoint")  # what reading has pruned is written to disk by no commit, and would count as lost
    await engineer.received("a", "b")

    fence = engineer.change("fence", node="a")
    shown = await fence.preview(deadline=10)
    assert (shown.refusals, shown.downtime) == ((), "writes are refused until another node leads")
    assert (await fence.read_back(shown.facts, deadline=10)).finding is Finding.NOT_DONE
    await engineer.does("fence", node="a")
    unfenced = Engineer(servers, "a", "b", fenced=False)
    assert await unfenced.refused("promote", to="b") == ["fenced"], "that a does not answer proves nothing"
    await unfenced.close()

    led = await engineer.does("failover", to="b")
    assert [led.figures[name] for name in ("leader", "lost_bytes", "lost_transactions")] == ["b", 0, 0]
    assert led.figures["no_writes"] is not None
    servers.sql("b", "insert into ledger select generate_series(2000, 2100)")

    servers.again("a")  # an old primary that its host brings back
    assert await engineer.refused("rejoin", node="a") == ["not-the-primary"], "clients may still write there"
    assert "single-primary" in await engineer.refused("promote", to="b")
    servers.sql("a", "insert into ledger select generate_series(5000, 5100)")
    await engineer.does("fence", node="a")
    change, shown = await engineer.ready("rejoin", node="a")
    assert shown.loss_bytes is None, "a does not answer: what only it has is not known"
    receipt = await change.apply(shown.facts, effect="R-1/rejoin", deadline=110)
    assert "b has the mark recovery mark" in receipt.message
    assert "has arrived" in (await engineer.found(change, shown, Finding.DONE)).evidence[0]
    assert (await engineer.database.read_node("a", deadline=10)).timeline == 2
    await engineer.does("prove")


async def test_what_a_failover_loses_is_counted_in_transactions_too(servers: Servers, engineer: Engineer) -> None:
    await engineer.received("a", "b")
    servers.pair.control("b", "-m", "fast", "stop")
    for number in range(7):
        servers.sql("a", f"insert into ledger values ({9000 + number})")
    servers.sql("a", "begin; insert into ledger values (9100); rollback")
    await engineer.database.read_node("a", deadline=10)
    servers.pair.control("a", "-m", "immediate", "stop")
    servers.again("b")
    led = await engineer.does("failover", to="b")
    assert led.figures["lost_transactions"] == 8, "seven commits, and one that was rolled back"
    lost = led.figures["lost_bytes"]
    assert isinstance(lost, int)
    assert lost > 0
    assert "transactions lost: at most 8" in " ".join(led.evidence)


async def test_a_standby_that_gets_no_mark_is_not_called_a_follower(servers: Servers, engineer: Engineer) -> None:
    servers.sql("b", "select pg_wal_replay_pause()")
    change, shown = await engineer.ready("prove")
    await change.apply(shown.facts, effect="R-1/prove", deadline=30)
    found = await engineer.found(change, shown, Finding.PARTIAL)
    assert found.evidence == ("a: has it", "b: lacks it")
    servers.sql("b", "select pg_wal_replay_resume()")
    await engineer.found(change, shown, Finding.DONE)


async def test_a_cascade_is_repointed_and_a_lost_slot_is_dropped(servers: Servers) -> None:
    servers.copy("b", "c")
    engineer = Engineer(servers, "a", "b", "c")
    async with asyncio.timeout(60):
        while await engineer.database.upstream("c", deadline=10) != "b":
            await asyncio.sleep(0.2)
    await engineer.does("repoint", node="c", to="a")
    assert await engineer.database.upstream("c", deadline=10) == "a"
    assert (await engineer.change("repoint", node="c", to="a").preview(deadline=10)).already
    await engineer.does("prove")

    servers.sql("a", "select pg_create_physical_replication_slot('kept', true)")
    assert await engineer.refused("drop-slot", node="a", slot="kept") == ["slot-lost"]
    servers.lose_slot("gone")
    await engineer.does("drop-slot", node="a", slot="gone")
    assert (await engineer.change("drop-slot", node="a", slot="gone").preview(deadline=10)).already
    with pytest.raises(NotFound, match="no slot of ledger/a gnoe"):
        await engineer.change("drop-slot", node="a", slot="gnoe").preview(deadline=10)
    await engineer.close()


async def test_replication_trap_36_a_slot_made_anew_after_a_failover_has_skipped_changes(
    servers: Servers, engineer: Engineer
) -> None:
    for node in ("a", "b"):
        servers.sql(node, "alter system set wal_level = logical")
        servers.pair.control(node, "-m", "fast", "restart")
    await engineer.received("a", "b")
    made = "select pg_create_logical_replication_slot('cdc', 'pgoutput')"
    servers.sql("a", made)
    await engineer.database.read_node("b", deadline=10)
    (old,) = (await engineer.database.read_node("a", deadline=10)).slots
    servers.sql("a", "insert into ledger select generate_series(1, 500)")
    await engineer.received("a", "b")
    servers.pair.control("a", "-m", "immediate", "stop")
    await engineer.does("failover", to="b")
    assert (await engineer.database.read_node("b", deadline=10)).slots == ()
    servers.sql("b", made)
    (new,) = (await engineer.database.read_node("b", deadline=10)).slots
    assert new.skipped == (old.confirmed_lsn, new.confirmed_lsn)


async def test_without_the_account_that_acts_nothing_is_promoted(
    servers: Servers, engineer: Engineer, context: AdapterContext
) -> None:
    plain = Engineer(servers, "a", "b")
    plain.database._acting = None
    with pytest.raises(EffectRefused) as refusal:
        await plain.database.promote("b", deadline=10)
    assert refusal.value.code == "no-account"
    servers.sql("a", "revoke execute on function pg_promote(boolean, integer) from ops")
    async with asyncio.timeout(60):
        code = ""
        while code != "42501":
            await asyncio.sleep(0.2)
            with pytest.raises(EffectRefused) as refusal:
                await engineer.database.promote("a", deadline=10)
            code = refusal.value.code
    await plain.close()
