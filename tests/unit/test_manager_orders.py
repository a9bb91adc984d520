"""Orders to managers that are asked by command: what is run, where, and what its end proves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.commands.command import LocalPlace, OwnCommand
from adapters.concealed import Concealed
from adapters.context import AdapterContext, HostCommand
from adapters.databases.pg_auto_failover import PgAutoFailoverCluster, PgAutoFailoverOptions
from adapters.databases.repmgr import RepmgrCluster, RepmgrOptions
from state.changes.database import Switchover, SwitchoverArgs
from state.changes.model import ChangeSpec, Finding
from state.errors import ConfigError, EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.model import Polling
from state.world.manager_tables import ManagerTable, ToldNode
from tests.support.acting_database import ActingDatabase
from tests.unit.verdict_world import ESTATE

PROGRAM = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
*"cluster show --csv") printf '1,0,0\\n2,0,1\\n3,0,0\\n'; exit 25 ;;
*"node check --csv") printf '"Node name","x"\\n"Node ID","%s"\\n"Server role","OK"\\n' "$(echo "$1" | tail -c 2)" ;;
*"show state"*"--local"*) printf '%s' '{local}' ;;
*"show state"*) printf '%s' '{rows}' ;;
*) exit {code} ;;
esac
"""


def row(name: str, number: int, state: str) -> dict[str, Any]:
    return {
        "nodename": name, "node_id": number, "health": 1, "candidate_priority": 50, "current_group_state": state,
        "assigned_group_state": state, "padding": "x" * 2000,
    }  # fmt: skip


class Places:
    """A folder with a program in place of the manager's own; `asked` is what it was called with."""

    def __init__(self, folder: Path, code: int = 0) -> None:
        self.folder, self.log = folder, folder / "log"
        rows, local = [row("n1", 1, "primary"), row("n2", 2, "secondary")], row("n1", 1, "primary")
        program = folder / "manager"
        program.write_text(PROGRAM.format(log=self.log, rows=json.dumps(rows), local=json.dumps(local), code=code))
        program.chmod(0o700)
        self.program = str(program)
        self.context = AdapterContext(folder, Polling(), commands=self._command)

    def _command(self, name: str, on: str) -> HostCommand:
        assert on == "local"
        return OwnCommand(name, LocalPlace(self.folder, (), {}), (0,), Concealed(()))

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def repmgr(self) -> RepmgrCluster:
        nodes = {f"n{n}": {"site": "east", "postgres": f"127.0.0.1:{n}", "id": n, "on": "local"} for n in (1, 2)}
        raw = {"kind": "repmgr", "user": "r", "tls": "loopback", "program": [self.program, "{node}"], "nodes": nodes,
               "witnesses": {"w3": {"id": 3, "on": "local"}}}  # fmt: skip
        return RepmgrCluster.of("ledger", RepmgrOptions.model_validate(raw), self.context)

    def pg_auto_failover(self) -> PgAutoFailoverCluster:
        nodes: dict[str, Any] = {f"n{n}": {"site": "east", "postgres": f"127.0.0.1:{n}"} for n in (1, 2)}
        nodes["n1"]["keeper"] = {"on": "local", "pgdata": "/d/1"}
        raw = {"kind": "pg_auto_failover", "user": "r", "tls": "loopback", "program": [self.program], "nodes": nodes,
               "monitor": {"on": "local", "pgdata": "/d/m"}}  # fmt: skip
        return PgAutoFailoverCluster.of("ledger", PgAutoFailoverOptions.model_validate(raw), self.context)


async def test_repmgr_is_asked_at_every_node_and_witness(tmp_path: Path) -> None:
    places = Places(tmp_path)
    cluster = places.repmgr()
    assert list(cluster.table_places) == ["n1", "n2", "w3"]
    table = await cluster.read_table("n1", deadline=60)
    assert (table.witness, table.node, table.issues) == ("repmgr n1", "n1", ())
    assert [(r.name, r.role) for r in table.nodes] == [("n1", "primary"), ("n2", "standby")]
    assert (await cluster.read_table("w3", deadline=60)).node == ""
    assert places.asked == ["n1 cluster show --csv", "n1 node check --csv", "w3 cluster show --csv"]


async def test_a_standby_without_its_primary_still_tells_its_table(tmp_path: Path) -> None:
    """repmgr 5.3.3 ends `node check` with 6 there and prints nothing."""
    places = Places(tmp_path)
    program = tmp_path / "manager"
    program.write_text(program.read_text().replace('*"node check', '*"node check --csv") exit 6 ;;\n*"node check'))
    table = await places.repmgr().read_table("n2", deadline=60)
    assert len(table.nodes) == 2
    assert table.issues == ("node check gives no answer: repmgr n2: node check --csv ended with 6: ",)


async def test_the_monitor_and_the_keepers_are_asked_for_their_states(tmp_path: Path) -> None:
    places = Places(tmp_path)
    cluster = places.pg_auto_failover()
    assert list(cluster.table_places) == ["monitor", "n1"]
    table = await cluster.read_table("monitor", deadline=60)
    assert [(r.name, r.role) for r in table.nodes] == [("n1", "primary"), ("n2", "standby")], "a long answer is whole"
    own = await cluster.read_table("n1", deadline=60)
    assert (own.node, own.whole) == ("n1", False)
    assert places.asked == [
        "show state --pgdata /d/m --formation default --group 0 --json", "show state --pgdata /d/1 --local --json",
    ]  # fmt: skip


async def test_a_switchover_of_repmgr_is_ordered_at_the_candidate(tmp_path: Path) -> None:
    places = Places(tmp_path)
    receipt = await places.repmgr().switch_over("n1", "n2", deadline=300)
    assert receipt.code == "exit-0"
    assert places.asked == ["n2 standby switchover --siblings-follow"]


async def test_a_switchover_of_pg_auto_failover_is_ordered_at_the_monitor(tmp_path: Path) -> None:
    places = Places(tmp_path)
    await places.pg_auto_failover().switch_over("n1", "n2", deadline=300)
    assert places.asked == ["perform promotion --pgdata /d/m --formation default --group 0 --name n2"]


@pytest.mark.parametrize("code", [18, 22, 1])
async def test_every_end_of_an_order_but_0_is_unknown(tmp_path: Path, code: int) -> None:
    """22 is a switchover without its last steps, and 18 also ends a promotion that failed after the leader's stop."""
    with pytest.raises(EffectUnknown) as unknown:
        await Places(tmp_path, code).repmgr().switch_over("n1", "n2", deadline=300)
    assert unknown.value.code == f"exit-{code}"


async def test_an_order_that_would_be_cut_short_is_not_given(tmp_path: Path) -> None:
    places = Places(tmp_path)
    with pytest.raises(EffectRefused) as refused:
        await places.repmgr().switch_over("n1", "n2", deadline=30)
    assert (refused.value.code, places.asked) == ("too-short", [])


async def test_a_program_that_is_not_there_is_a_failed_read(tmp_path: Path) -> None:
    places = Places(tmp_path)
    (tmp_path / "manager").unlink()
    with pytest.raises(ReadFailure):
        await places.repmgr().read_table("n1", deadline=60)


def test_two_nodes_of_one_id_and_a_program_with_a_parameter_are_refused() -> None:
    node = {"site": "east", "postgres": "127.0.0.1:1", "id": 1, "on": "local"}
    for wrong in ({"nodes": {"a": node, "b": node}}, {"nodes": {"a": node}, "program": ["{node}"]}):
        with pytest.raises((ConfigError, ValueError)):
            RepmgrOptions.model_validate({"kind": "repmgr", "user": "r", "tls": "loopback", **wrong})


class OrderedDatabase(ActingDatabase):
    """The same with a manager that is asked by command, and no Patroni: a table at one place."""

    table_places = ("monitor",)
    order_limit = 300.0
    read_member: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.leads: str | None = "n1"

    async def read_table(self, place: str, *, deadline: float) -> ManagerTable:
        if self.leads is None:
            raise ReadFailure(Trouble.TIMEOUT, "silent")
        rows = tuple(ToldNode(n, "primary" if n == self.leads else "standby") for n in self.nodes)
        return ManagerTable("monitor", "", rows)


def switchover(database: OrderedDatabase) -> Switchover:
    args = SwitchoverArgs(database="orders", to="n2")
    return Switchover(ChangeSpec("database.switchover", args.model_dump()), args, ESTATE, database)


async def test_a_switchover_is_done_when_the_servers_and_the_manager_say_so() -> None:
    database = OrderedDatabase()
    change = switchover(database)
    assert change.timeout == 300
    shown = await change.preview(deadline=1)
    assert not shown.refusals, shown.refusals
    await change.apply(shown.facts, effect="R-1/x", deadline=300)
    assert database.asked == ["switch over n1 n2"]
    assert (await change.read_back(shown.facts, deadline=1)).finding is Finding.NOT_DONE
    assert change.late.after(300) >= 330, "the manager may go on after its program has ended"

    database.promoted("n2")
    database.set("n1", in_recovery=True, write_lsn=None, receive_lsn=1, replay_lsn=1)
    told = await change.read_back(shown.facts, deadline=1)
    assert told.finding is Finding.UNKNOWN, "its manager names n1 still"
    database.leads = "n2"
    assert (await change.read_back(shown.facts, deadline=1)).finding is Finding.DONE


async def test_a_manager_that_answers_nowhere_refuses_a_switchover() -> None:
    database = OrderedDatabase()
    database.leads = None
    shown = await switchover(database).preview(deadline=1)
    assert "manager-answers" in [each.rule for each in shown.refusals]


async def test_a_manager_that_names_another_leader_refuses_a_switchover() -> None:
    database = OrderedDatabase()
    database.leads = "n3"
    shown = await switchover(database).preview(deadline=1)
    assert "agreed-leader" in [each.rule for each in shown.refusals]
