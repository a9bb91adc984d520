"""Fence, rejoin, rebuild, prove, repoint and slots: what proves each of them, and what refuses it."""

from __future__ import annotations

from typing import Any

import pytest

from state.changes.cluster_base import ClusterArgs, NodeArgs
from state.changes.host_acts import FENCE, REBUILD, REJOIN, Fence, Follow, mark_of
from state.changes.model import Finding, Preview
from state.changes.proving import Prove
from state.changes.repoint import Repoint, RepointArgs
from state.changes.slots import DropSlot, SlotArgs
from state.errors import EffectRefused, NotFound
from state.estate.model import Estate
from state.estate.own import CommandEntry
from state.ports.database import PromotionFacts
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.world.readings import ReplicationSlot
from state.world.timelines import TimelineSwitch
from tests.support.acting_database import HostCommand, PlainDatabase
from tests.unit.verdict_world import ESTATE, MB

TEXT = {"kind": "text"}
COMMANDS = {
    "stop": CommandEntry.model_validate({"argv": ["stop"], "read": {"argv": ["status"], "done": [3], "not_done": [0]}}),
    "again": CommandEntry.model_validate({"argv": ["rejoin", "${source}"], "params": {"source": TEXT}}),
    "unread": CommandEntry.model_validate({"argv": ["stop"]}),
}


def estate(**acts: str) -> Estate:
    """The estate whose nodes have these commands."""
    orders = ESTATE.databases["orders"]
    nodes = {name: node.model_copy(update=acts) for name, node in orders.nodes.items()}
    databases = {"orders": orders.model_copy(update={"nodes": nodes})}
    return ESTATE.model_copy(update={"databases": databases, "commands": COMMANDS})


WHOLE = estate(fence="stop", rejoin="again", rebuild="again")


def outside(database: Any, host: HostCommand) -> Outside:
    return Outside((), {}, {"orders": database}, commands=dict.fromkeys(COMMANDS, host))


def fence(database: Any, host: HostCommand, node: str = "n1", of: Estate = WHOLE) -> Fence:
    return Fence(FENCE, NodeArgs(database="orders", node=node), of, outside(database, host), database)


def follow(database: Any, host: HostCommand, kind: str = REJOIN, node: str = "n1", of: Estate = WHOLE) -> Follow:
    made = Follow(kind, NodeArgs(database="orders", node=node), of, outside(database, host), database)
    made.effect = "R-1/rejoin"
    return made


def rules(preview: Preview) -> list[str]:
    return [refusal.rule for refusal in preview.refusals]


def switched() -> PlainDatabase:
    """n1 is dead, n2 leads on timeline 8."""
    database = PlainDatabase()
    database.died("n1")
    database.promoted("n2")
    database.set("n3", timeline=8)
    database.forks[8] = 99 * MB
    return database


async def test_fenced_is_what_the_reading_says_and_not_that_the_command_ended() -> None:
    database, host = PlainDatabase(), HostCommand(0)
    shown = await fence(database, host).preview(deadline=1)
    assert (rules(shown), shown.already) == ([], False)
    assert "writes are refused" in shown.downtime
    await fence(database, host).apply(shown.facts, effect="e", deadline=1)
    assert host.ran == [("stop",)]
    assert (await fence(database, host).read_back(shown.facts, deadline=1)).finding is Finding.NOT_DONE
    host.code = 3
    assert (await fence(database, host).read_back(shown.facts, deadline=1)).finding is Finding.NOT_DONE, "it answers"
    database.died("n1")
    assert (await fence(database, host).read_back(shown.facts, deadline=1)).finding is Finding.DONE
    assert (await fence(database, host).preview(deadline=1)).already
    host.code = 7
    assert (await fence(database, host).read_back(shown.facts, deadline=1)).finding is Finding.UNKNOWN
    host.code, host.processes = 0, ("pid 7",)
    assert (await fence(database, host).read_back(shown.facts, deadline=1)).finding is Finding.UNKNOWN


async def test_a_node_is_fenced_while_two_accept_writes() -> None:
    database = PlainDatabase()
    database.promoted("n2")
    change = fence(database, HostCommand(0))
    assert (await change.identify(deadline=1)).facts["n1"].startswith("7001 at")
    assert rules(await change.preview(deadline=1)) == []
    shown = await fence(database, HostCommand(0)).preview(deadline=1)
    told = " ".join(warning.message for warning in shown.warnings)
    assert "n2 accepts writes too, and then alone" in told
    assert "past the fork that n2 lacks: keep its data" in told
    assert "then no node accepts writes" not in told
    assert shown.downtime == "", "writes go on at n2"


async def test_without_a_command_or_its_reading_the_way_out_is_named() -> None:
    database = PlainDatabase()
    for of in (estate(), estate(fence="unread")):
        assert rules(await fence(database, HostCommand(), of=of).preview(deadline=1)) == ["command"]
    shown = await follow(switched(), HostCommand(), of=estate()).preview(deadline=1)
    assert "databases.orders.nodes.n1.rejoin" in shown.refusals[0].way_out
    with pytest.raises(NotFound):
        fence(database, HostCommand(), node="n9")


async def test_trap_23_a_rejoined_node_is_proven_by_a_mark_written_afterwards() -> None:
    database, host = switched(), HostCommand()
    change = follow(database, host)
    shown = await change.preview(deadline=1)
    assert rules(shown) == []
    await change.apply(shown.facts, effect=change.effect, deadline=1)
    assert host.ran == [("rejoin", "n2")]
    assert database.asked == ["mark n2"]
    database.dead.clear()
    back = database._servers["n3"]
    database.set("n1", in_recovery=True, timeline=8, write_lsn=None, receive_lsn=back.receive_lsn,
                 replay_lsn=back.replay_lsn, receiver_state="streaming")  # fmt: skip
    found = await change.read_back(shown.facts, deadline=1)
    assert (found.finding, "has not arrived" in found.evidence[0]) == (Finding.PARTIAL, True)
    database.marks["n1"] = mark_of(change.effect)
    assert (await change.read_back(shown.facts, deadline=1)).finding is Finding.DONE
    database.marks["n2"] = "of another effect"
    assert (await change.read_back(shown.facts, deadline=1)).finding is Finding.PARTIAL
    database.set("n1", receiver_state=None)
    assert "does not follow" in (await change.read_back(shown.facts, deadline=1)).evidence[0]


async def test_a_command_that_ended_well_without_a_mark_is_not_called_refused() -> None:
    class Unmarked(PlainDatabase):
        async def mark(self, node: str, mark: str, *, deadline: float) -> Receipt:
            raise EffectRefused("no session", "unreachable")

    database = Unmarked()
    database.died("n1")
    database.promoted("n2")
    change = follow(database, HostCommand())
    facts = (await change.preview(deadline=1)).facts
    assert "no mark was written: no session" in (await change.apply(facts, effect="e", deadline=1)).message


async def test_trap_24_a_rewind_waits_for_the_first_checkpoint_of_its_source() -> None:
    database = switched()
    database.facts["n2"] = PromotionFacts("n2", checkpoint=7)
    shown = await follow(database, HostCommand()).preview(deadline=1)
    assert rules(shown) == ["source-checkpoint"]
    assert "CHECKPOINT on n2" in shown.refusals[0].way_out
    assert rules(await follow(database, HostCommand(), REBUILD).preview(deadline=1)) == []


async def test_trap_25_wal_that_is_gone_is_seen_before_anything_is_stopped() -> None:
    database = switched()
    database.dead.clear()
    await database.read_member("n1", deadline=1)
    database.say("n1", role="replica")
    database.set("n1", in_recovery=True, receiver_state=None, receive_lsn=100 * MB, replay_lsn=100 * MB)
    database.facts["n1"] = PromotionFacts("n1", redo=90 * MB, oldest_wal=96 * MB)
    shown = await follow(database, HostCommand()).preview(deadline=1)
    assert rules(shown) == ["wal-kept"]
    assert "recovery db rebuild" in shown.refusals[0].way_out
    assert (shown.loss_bytes, "timeline 7" in shown.loss_note) == (MB, True)
    database.dead.add("n1")
    shown = await follow(database, HostCommand()).preview(deadline=1)
    assert any("last common checkpoint" in w.message for w in shown.warnings)
    assert shown.loss_bytes is None


async def test_the_node_that_leads_is_neither_rejoined_nor_rebuilt() -> None:
    for kind in (REJOIN, REBUILD):
        assert "not-the-primary" in rules(await follow(switched(), HostCommand(), kind, "n2").preview(deadline=1))
        nobody = PlainDatabase()
        nobody.died("n1")
        assert "single-primary" in rules(await follow(nobody, HostCommand(), kind).preview(deadline=1))


async def test_beside_a_second_writer_nothing_is_rejoined_rebuilt_or_repointed_before_a_fence() -> None:
    database = PlainDatabase()
    database.promoted("n2")
    for kind in (REJOIN, REBUILD):
        shown = await follow(database, HostCommand(), kind, "n1").preview(deadline=1)
        assert "not-the-primary" in rules(shown), "it would discard what clients still write there"
    assert "single-primary" in rules(await repoint(database).preview(deadline=1))


async def test_prove_is_done_when_every_node_has_the_mark() -> None:
    database = PlainDatabase()
    change = Prove(ClusterArgs(database="orders"), ESTATE, database)
    change.effect = "R-1/prove"
    facts = (await change.preview(deadline=1)).facts
    assert (await change.read_back(facts, deadline=1)).finding is Finding.NOT_DONE
    await change.apply(facts, effect=change.effect, deadline=1)
    database.marks |= {"n2": mark_of(change.effect)}
    found = await change.read_back(facts, deadline=1)
    assert (found.finding, found.evidence[2]) == (Finding.PARTIAL, "n3: lacks it")
    database.marks |= {"n3": mark_of(change.effect)}
    assert (await change.read_back(facts, deadline=1)).finding is Finding.DONE
    database.dead.add("n3")
    assert (await change.read_back(facts, deadline=1)).finding is Finding.PARTIAL
    database.dead.add("n1")
    assert (await change.read_back(facts, deadline=1)).finding is Finding.UNKNOWN


def repoint(database: Any, node: str = "n3", to: str = "n2") -> Repoint:
    return Repoint(RepointArgs(database="orders", node=node, to=to), ESTATE, database)


async def test_a_standby_is_repointed_to_a_node_of_its_own_history_that_has_what_it_has() -> None:
    database = switched()
    shown = await repoint(database).preview(deadline=1)
    assert (rules(shown), shown.undo is not None) == ([], True)
    await repoint(database).apply(shown.facts, effect="e", deadline=1)
    assert database.asked == ["repoint n3 n2"]
    assert (await repoint(database).read_back(shown.facts, deadline=1)).finding is Finding.NOT_DONE
    database.upstreams["n3"] = "n2"
    assert (await repoint(database).read_back(shown.facts, deadline=1)).finding is Finding.DONE
    database.set("n3", receiver_state=None)
    assert (await repoint(database).read_back(shown.facts, deadline=1)).finding is Finding.PARTIAL
    behind = PlainDatabase(behind=MB)
    assert rules(await repoint(behind).preview(deadline=1)) == ["not-ahead"]
    database.set("n3", timeline=7, receive_lsn=100 * MB)
    assert rules(await repoint(database).preview(deadline=1)) == ["same-history"], "the fork is not known"
    database.set("n2", history=(TimelineSwitch(7, 99 * MB),))
    assert "Rejoin it" in (await repoint(database).preview(deadline=1)).refusals[0].way_out
    database.set("n2", history=(TimelineSwitch(7, 100 * MB),))
    assert rules(await repoint(database).preview(deadline=1)) == []
    assert "standby" in rules(await repoint(database, "n2", "n3").preview(deadline=1))


def slot(**values: Any) -> ReplicationSlot:
    usual: dict[str, Any] = {"name": "s", "slot_type": "logical", "active": False, "restart_lsn": 1}
    return ReplicationSlot(**{**usual, "wal_status": "lost", **values})


@pytest.mark.parametrize(
    ("slots", "refused", "already"),
    [
        ((slot(),), [], False),
        ((slot(active=True),), ["slot-idle"], False),
        ((slot(wal_status="reserved"),), ["slot-lost"], False),
        ((slot(wal_status=None),), ["slot-lost"], False),
        ((), [], True),
    ],
)
async def test_only_a_lost_slot_that_nobody_uses_is_dropped(
    slots: tuple[ReplicationSlot, ...], refused: list[str], already: bool
) -> None:
    database = PlainDatabase()
    database.slots["n1"] = ("s",)
    database.set("n1", slots=slots)
    change = DropSlot(SlotArgs(database="orders", node="n1", slot="s"), ESTATE, database)
    shown = await change.preview(deadline=1)
    assert (rules(shown), shown.already) == (refused, already)
    wanted = Finding.NOT_DONE if slots else Finding.DONE
    assert (await change.read_back(shown.facts, deadline=1)).finding is wanted
    database.dead.add("n1")
    assert (await change.read_back(shown.facts, deadline=1)).finding is Finding.UNKNOWN
    assert rules(await change.preview(deadline=1)) == ["answers"]


async def test_a_slot_that_was_never_seen_is_a_mistake() -> None:
    database = PlainDatabase()
    database.set("n1", slots=(slot(name="reader"), slot(name="copy")))
    change = DropSlot(SlotArgs(database="orders", node="n1", slot="raeder"), ESTATE, database)
    with pytest.raises(NotFound, match=r"no slot of orders/n1 raeder; did you mean reader\? There are copy or reader"):
        await change.preview(deadline=1)
    database.dead.add("n1")
    assert rules(await change.preview(deadline=1)) == ["answers"], "whether it is there is not known"
