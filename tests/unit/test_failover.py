"""Failover and promotion: who leads, what is lost, and that nothing begins without proof of the fence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from state.changes.failover import FAILOVER, PROMOTE, Failover, FailoverArgs
from state.changes.model import Finding, Preview
from state.errors import EffectRefused
from state.estate.model import Estate
from state.estate.own import CommandEntry
from state.ports.database import LeaderLease, PromotionFacts, SeenWriter
from state.ports.outside import Outside
from state.ports.target import Setting
from state.units import utc
from state.world.postgres_parts import ReplicationSlot, ServerSettings
from state.world.readings import PatroniMember
from tests.support.acting_database import ActingDatabase, HostCommand, PlainDatabase
from tests.support.cards import MemoryDatabase
from tests.unit.verdict_world import ESTATE, MB, WALL

STOP = CommandEntry.model_validate(
    {"argv": ["stop"], "read": {"argv": ["status"], "done": [3], "not_done": [0]}, "params": {"node": {"kind": "text"}}}
)


def fenced_estate() -> Estate:
    """The estate with a fence command for every node."""
    orders = ESTATE.databases["orders"]
    nodes = {name: node.model_copy(update={"fence": "stop"}) for name, node in orders.nodes.items()}
    databases = {"orders": orders.model_copy(update={"nodes": nodes})}
    return ESTATE.model_copy(update={"databases": databases, "commands": {"stop": STOP}})


FENCED = fenced_estate()


def change(
    database: Any,
    to: str | None = "n2",
    *,
    kind: str = FAILOVER,
    host: HostCommand | None = None,
    old: str | None = None,
) -> Failover:
    args = FailoverArgs(database="orders", to=to, old=old)
    outside = Outside((), {}, {"orders": database}, commands={"stop": host} if host is not None else {})
    return Failover(kind, args, FENCED if host is not None else ESTATE, outside, database)


def rules(preview: Preview) -> list[str]:
    return [refusal.rule for refusal in preview.refusals]


def gone(database: ActingDatabase) -> ActingDatabase:
    """n1 is dead and nobody holds the lock."""
    database.died("n1")
    return database


async def test_a_node_that_leads_is_switched_over_instead() -> None:
    shown = await change(ActingDatabase()).preview(deadline=1)
    assert rules(shown) == ["no-leader", "fenced"]
    assert "Switch over" in shown.refusals[0].way_out


async def test_trap_29_nothing_is_promoted_while_an_old_primary_only_does_not_answer() -> None:
    database = gone(ActingDatabase())
    assert rules(await change(database).preview(deadline=1)) == ["fenced"]
    for code, refused in ((0, ["fenced"]), (3, []), (9, ["fenced"])):
        shown = await change(database, host=HostCommand(code)).preview(deadline=1)
        assert rules(shown) == refused, code
    assert shown.facts["fenced"]["n3"] == "demoted"


async def test_a_standby_that_does_not_answer_needs_proof_too() -> None:
    database = gone(ActingDatabase())
    database.dead.add("n3")
    shown = await change(database).preview(deadline=1)
    assert [r.fact.split()[0] for r in shown.refusals] == ["n1", "n3"]


async def test_the_card_says_what_is_lost_at_least_and_since_when_nothing_is_known() -> None:
    database = gone(ActingDatabase(behind=13 * MB))
    database.set("n3", receive_lsn=87 * MB, replay_lsn=87 * MB)
    shown = await change(database).preview(deadline=1)
    assert shown.loss_bytes is None
    assert shown.loss_note.startswith("n2 lacks at least 13.0 MB")
    assert "what n1 wrote since it was last read, 38 s ago" in shown.loss_note
    assert shown.warnings[0].message == f"by itself: Patroni promotes n2 or n3, by {utc(WALL - 38 + 40)} at the latest"
    database.writer = None
    assert "was not read by this engine" in (await change(database).preview(deadline=1)).loss_note


async def test_trap_31_who_has_more_leads_first_and_who_is_absent_is_named() -> None:
    database = gone(ActingDatabase(behind=MB))
    shown = await change(database).preview(deadline=1)
    assert rules(shown) == ["furthest", "fenced"]
    assert "n3 has 1.0 MB more than n2" in shown.refusals[0].fact
    chosen = await change(database, None).preview(deadline=1)
    assert chosen.facts["candidate"] == "n3"
    assert [fact.subject for fact in chosen.ranking] == ["n3", "n2"], "n1 leads by the word of its managers"
    assert any("whether n1 has WAL that n3 lacks" in w.message for w in chosen.warnings)


async def test_trap_26_a_higher_timeline_is_another_history_and_is_not_passed_over() -> None:
    database = gone(ActingDatabase())
    database.set("n3", timeline=8)
    assert rules(await change(database).preview(deadline=1))[0] == "same-timeline"
    database.set("n3", timeline=7, system_id="9")
    assert rules(await change(database, "n3").preview(deadline=1))[0] == "same-system"


async def test_a_standby_without_a_stream_is_on_the_timeline_that_its_manager_tells() -> None:
    """The control file is behind what was applied; refusing by it would leave nobody to lead after a switchover."""
    database = ActingDatabase()
    database.set("n1", timeline=8)
    gone(database)
    for node in ("n2", "n3"):
        database.set(node, receiver_state=None)
        await database.read_member(node, deadline=1)
    assert rules(await change(database).preview(deadline=1)) == ["same-timeline", "fenced"]
    for node in ("n2", "n3"):
        database.say(node, timeline=8)
    assert rules(await change(database).preview(deadline=1)) == ["fenced"]
    database.say("n2", timeline=7)
    assert rules(await change(database).preview(deadline=1)) == ["same-timeline", "fenced"]


async def test_trap_19_members_of_the_published_sync_set_stand_first() -> None:
    database = gone(ActingDatabase())
    members = (PatroniMember("n2", "replica", "running", 7, 0), PatroniMember("n3", "sync_standby", "running", 7, 0))
    for node in ("n2", "n3"):
        await database.read_member(node, deadline=1)
        database.say(node, members=members)
    shown = await change(database, None).preview(deadline=1)
    assert (shown.facts["candidate"], shown.ranking[0].subject) == ("n3", "n3")
    assert "sync-member" in shown.ranking[1].value
    assert rules(await change(database).preview(deadline=1)) == ["fenced"], "a person may still choose another one"
    database.say("n2", members=(members[0], replace(members[1], nofailover=True)))
    assert (await change(database, None).preview(deadline=1)).facts["candidate"] == "n2"


async def test_traps_12_37_and_57_stand_on_the_card() -> None:
    database = ActingDatabase()
    cdc, billing = (ReplicationSlot(name, "logical", True, 1, "reserved", failover=True) for name in ("cdc", "billing"))
    database.set("n1", slots=(cdc, billing))
    gone(database)
    database.set("n2", settings=ServerSettings(apply_delay=3600.0), slots=(replace(cdc, temporary=True, synced=True),))
    database.facts["n2"] = PromotionFacts("n2", unlogged=2)
    said = " ".join(w.message for w in (await change(database).preview(deadline=1)).warnings)
    for part in ("applies 60m late by its settings", "2 unlogged tables", "prepared transactions"):
        assert part in said, part
    assert "not ready on n2 and dropped at promotion: cdc" in said
    assert "logical slots that n2 does not have: billing" in said
    database.facts["n2"] = PromotionFacts("n2", unlogged=0, unread=("reports", "billing"))
    database.set("n2", slots=(replace(cdc, synced=True), replace(billing, synced=True, wal_status="lost")))
    said = " ".join(w.message for w in (await change(database).preview(deadline=1)).warnings)
    assert "empties in databases that this engine may not read: reports, billing" in said, "not known is not none"
    assert "logical slots that are lost on n2 already: billing" in said
    assert "cdc" not in said, "it is ready there"
    database.writer = None
    said = " ".join(w.message for w in (await change(database).preview(deadline=1)).warnings)
    assert "which logical slots are lost" in said, "nobody knows which ones there were"


async def test_done_is_one_writer_on_a_new_timeline_that_its_manager_confirms() -> None:
    database = gone(ActingDatabase())
    database.forks[8] = 99 * MB
    assert database.writer is not None
    database.writer = replace(database.writer, reading=replace(database.writer.reading, next_xid=812))
    database.set("n2", next_xid=800)
    failover = change(database, host=HostCommand(3))
    facts = (await failover.preview(deadline=1)).facts
    assert failover.settle == 60.0, "twice the ttl"
    assert (await failover.read_back(facts, deadline=1)).finding is Finding.NOT_DONE
    assert (await failover.apply(facts, effect="e", deadline=1)).message == "fail over n2"
    database.promoted("n2")
    assert (await failover.read_back(facts, deadline=1)).finding is Finding.UNKNOWN, "its manager says nothing of it"
    database.say("n2", role="primary")
    assert database.writer is not None
    database.writer = SeenWriter(database._servers["n2"], 0.0, 0.0, gap=41.26)
    found = await failover.read_back(facts, deadline=1)
    assert found.finding is Finding.DONE
    assert found.figures == {"leader": "n2", "lost_bytes": MB, "lost_transactions": 12, "no_writes": 41.3}
    assert "transactions lost: at most 12 of those that had ended when the old leader was last read" in found.evidence
    database.dead.clear()
    twice = await failover.read_back(facts, deadline=1)
    assert (twice.finding, "two nodes accept writes" in twice.evidence[0]) == (Finding.PARTIAL, True)


async def test_another_node_that_leads_is_not_success() -> None:
    database = gone(ActingDatabase())
    facts = (await change(database).preview(deadline=1)).facts
    database.promoted("n3")
    assert (await change(database).read_back(facts, deadline=1)).finding is Finding.PARTIAL


async def test_each_kind_of_cluster_has_its_own_verb() -> None:
    managed, plain = gone(ActingDatabase()), gone(PlainDatabase())
    assert rules(await change(managed, kind=PROMOTE).preview(deadline=1)) == ["able"]
    promotion = change(plain, kind=PROMOTE, host=HostCommand(3))
    shown = await promotion.preview(deadline=1)
    assert rules(shown) == []
    assert (await promotion.apply(shown.facts, effect="e", deadline=1)).message == "promote n2"
    with pytest.raises(EffectRefused, match="cannot do this"):
        await change(MemoryDatabase()).apply(shown.facts, effect="e", deadline=1)


async def test_after_an_earlier_step_of_the_plan_the_new_leader_has_nothing_to_do() -> None:
    failover = change(ActingDatabase())
    failover.follow([Setting(("database/orders",), "leader", "n2")])
    assert (await failover.preview(deadline=1)).already


async def test_a_standby_that_the_manager_promoted_meanwhile_is_what_was_wanted_where_the_old_leader_is_named() -> None:
    database = gone(ActingDatabase())
    assert not (await change(database, None, old="n1").preview(deadline=1)).already
    database.promoted("n3")
    database.say("n3", role="primary")
    asked = change(database, None, old="n1")
    shown = await asked.preview(deadline=1)
    assert (shown.already, shown.facts["candidate"], rules(shown)) == (True, "n3", [])
    assert (await asked.read_back(shown.facts, deadline=1)).finding is Finding.DONE
    assert "no-leader" in rules(await change(database, None).preview(deadline=1))
    assert "no-leader" in rules(await change(database, "n2", old="n1").preview(deadline=1)), "another one was asked for"


async def test_a_healthy_leader_is_not_taken_for_the_new_one() -> None:
    assert rules(await change(ActingDatabase(), None, old="n1").preview(deadline=1)) == ["no-leader", "fenced"]


async def test_an_engine_that_never_read_the_leader_takes_the_timeline_from_the_managers() -> None:
    """The control files of standbys are behind after a switchover; one of them alone must not refuse the others."""
    database = gone(ActingDatabase())
    database.writer = None
    for node in ("n2", "n3"):
        database.set(node, receiver_state=None)
        await database.read_member(node, deadline=1)
        database.say(node, timeline=8)
    assert rules(await change(database).preview(deadline=1)) == ["fenced"]


async def test_two_addresses_of_one_server_prove_no_fence_and_lead_nowhere() -> None:
    database = ActingDatabase()
    database.set("n1", in_recovery=True, write_lsn=None, receive_lsn=100 * MB, replay_lsn=100 * MB, started_at=5.0)
    database.set("n2", started_at=5.0, server_address="10.0.0.9:1")  # what answers at n1 is n2: an address that moved
    shown = await change(database).preview(deadline=1)
    assert rules(shown) == ["own-server", "fenced"]
    assert "the addresses of n1 and n2 lead to one server" in shown.refusals[1].fact
    assert shown.facts["fenced"]["n1"] == "no proof"
    database.set("n2", started_at=6.0)
    assert rules(await change(database).preview(deadline=1)) == []


async def test_an_ended_lock_is_no_proof_while_a_balancer_leads_to_who_knows_where() -> None:
    """A second server of the backend, by another name, may have the old primary's address."""
    orders = ESTATE.databases["orders"].model_copy(update={"frontends": {"pg_rw": "primary"}})
    estate = ESTATE.model_copy(update={"databases": {"orders": orders}})
    database = gone(ActingDatabase())
    database.lock = LeaderLease("n1", 31.0, 30.0, binding=True)
    for servers, refused in (({"n1": 0, "n2": 0}, []), ({"n1": 0, "old": 1}, ["fenced"]), ({"n1": 1}, ["fenced"])):
        edge = MemoryBalancer("edge", {"pg_rw": servers})
        outside = Outside((), {"edge": edge}, {"orders": database})
        one = Failover(FAILOVER, FailoverArgs(database="orders", to="n2"), estate, outside, database)
        assert rules(await one.preview(deadline=1)) == refused, servers
