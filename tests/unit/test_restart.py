"""The restart of a standby: who may be restarted, what waits meanwhile, and when it is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from state.changes.model import ChangeSpec, Finding
from state.changes.restart import Restart, RestartArgs
from state.errors import EffectRefused, NotFound
from state.ports.target import Receipt, Setting
from state.world.readings import PostgresReading
from tests.support.cards import ESTATE, MemoryDatabase


class Restartable(MemoryDatabase):
    """The cluster with servers that can be set, and a manager that notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def set(self, node: str, **values: Any) -> None:
        self._servers[node] = replace(self._servers[node], **values)

    def server(self, node: str) -> PostgresReading:
        return self._servers[node]

    async def restart(self, node: str, *, pending: bool, deadline: float) -> Receipt:
        self.asked.append(node)
        return Receipt("restarted", "restarted successfully")


def change(node: str, database: MemoryDatabase) -> Restart:
    args = RestartArgs(database="orders", node=node)
    return Restart(ChangeSpec("database.restart", args.model_dump()), args, ESTATE, database)


async def test_a_standby_may_be_restarted_and_the_primary_may_not() -> None:
    database = Restartable()
    assert (await change("n3", database).preview(deadline=1)).refusals == ()
    refusals = (await change("n1", database).preview(deadline=1)).refusals
    assert [(r.rule, "Switch over first" in r.way_out) for r in refusals] == [("not-the-primary", True)]
    with pytest.raises(NotFound, match="n7"):
        await change("n7", database).preview(deadline=1)


async def test_after_a_switchover_of_the_plan_the_old_primary_may_be_and_the_new_one_may_not() -> None:
    database = Restartable()
    moved = Setting(("database/orders",), "leader", "n2")
    for node, refused in (("n1", False), ("n2", True)):
        restart = change(node, database)
        restart.follow([moved])
        rules = [r.rule for r in (await restart.preview(deadline=1)).refusals]
        assert ("not-the-primary" in rules) is refused, (node, rules)


async def test_without_another_standby_the_card_says_so() -> None:
    database = Restartable()
    assert not (await change("n3", database).preview(deadline=1)).warnings
    database.set("n2", receiver_state=None)
    warnings = (await change("n3", database).preview(deadline=1)).warnings
    assert any("nobody could take over" in w.message for w in warnings)


async def test_done_is_a_younger_server_that_streams_and_nothing_else() -> None:
    database = Restartable()
    restart = change("n3", database)
    facts = (await restart.preview(deadline=1)).facts
    began = database.server("n3").started_at
    assert (await restart.read_back(facts, deadline=1)).finding is Finding.NOT_DONE
    assert (await restart.apply(facts, effect="e", deadline=1)).code == "restarted"
    assert database.asked == ["n3"]
    database.set("n3", started_at=began + 5, receiver_state=None)
    assert (await restart.read_back(facts, deadline=1)).finding is Finding.PARTIAL
    database.set("n3", receiver_state="streaming")
    assert (await restart.read_back(facts, deadline=1)).finding is Finding.DONE
    database.set("n3", system_id="9")
    assert (await restart.read_back(facts, deadline=1)).finding is Finding.UNKNOWN


async def test_an_adapter_without_the_ability_refuses() -> None:
    restart = change("n3", MemoryDatabase())
    with pytest.raises(EffectRefused, match="cannot restart"):
        await restart.apply({}, effect="e", deadline=1)
