"""How long a switchover is watched afterwards, and one to the node that leads already."""

from __future__ import annotations

from state.changes.database import SETTLE, Switchover, SwitchoverArgs
from state.changes.model import ChangeSpec, Finding
from tests.support.acting_database import ActingDatabase
from tests.unit.verdict_world import ESTATE


def switchover(database: ActingDatabase, to: str) -> Switchover:
    args = SwitchoverArgs(database="orders", to=to)
    return Switchover(ChangeSpec("database.switchover", args.model_dump()), args, ESTATE, database)


async def test_done_is_watched_for_twice_the_time_of_the_lock_and_nothing_else_is() -> None:
    database = ActingDatabase()
    change = switchover(database, "n2")
    facts = (await change.preview(deadline=1)).facts
    assert (await change.read_back(facts, deadline=1)).finding is Finding.NOT_DONE
    assert change.settle == SETTLE
    database.promoted("n2")
    database.set("n1", in_recovery=True, timeline=8, write_lsn=None)
    for node, role in (("n1", "replica"), ("n2", "primary")):
        await database.read_member(node, deadline=1)
        database.say(node, role=role)
    assert (await change.read_back(facts, deadline=1)).finding is Finding.DONE
    assert change.settle == 60.0, "twice the ttl"
    database.set("n1", in_recovery=False, timeline=7)
    assert (await change.read_back(facts, deadline=1)).finding is Finding.PARTIAL
    assert change.settle == SETTLE


async def test_to_the_node_that_leads_already_nothing_is_sent_and_it_reads_done() -> None:
    change = switchover(ActingDatabase(), "n1")
    shown = await change.preview(deadline=1)
    assert shown.already
    assert (await change.read_back(shown.facts, deadline=1)).finding is Finding.DONE
