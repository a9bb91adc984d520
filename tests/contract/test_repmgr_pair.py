"""A real pair under repmgr: what its programs print is read, and told right, also when a node is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.databases.repmgr import RepmgrCluster
from adapters.registry import kinds
from adapters.wiring import wire
from state.changes.sight import Sight, look, world_of
from state.config_files.located import Located
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.health import Health
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from tests.contract.components import as_user, as_user_argv, postgres_with_tls
from tests.support.plain_pair import Servers, plain_pair

IDS = {"a": 1, "b": 2}


class Managed:
    """The pair, registered at repmgr, and its estate."""

    def __init__(self, servers: Servers) -> None:
        self.servers, place = servers, servers.pair.place
        servers.sql("a", "create role repmgr superuser login")
        servers.sql("a", "create database repmgr owner repmgr")
        for node, number in IDS.items():
            (place / f"{node}.repmgr").write_text(
                f"node_id={number}\nnode_name='{node}'\n"
                f"conninfo='host={place} port={servers.ports[node]} user=repmgr dbname=repmgr connect_timeout=2'\n"
                f"data_directory='{place / node}'\npg_bindir='{servers.pair.bin}'\nlog_level=ERROR\n"
            )
        self.repmgr("a", "primary", "register")
        self.caught_up()
        self.repmgr("b", "standby", "register", "--upstream-node-id=1")
        nodes: dict[str, Any] = {
            node: {"site": "east", "postgres": f"127.0.0.1:{servers.ports[node]}", "id": number, "on": "local"}
            for node, number in IDS.items()
        }
        wrapped = [str(word) for word in as_user_argv(servers.pair.bin / "repmgr", "-f", place / "{node}.repmgr")]
        entry = {
            "kind": "repmgr", "user": "recovery", "password": servers.database("a")["password"], "tls": "loopback",
            "program": wrapped, "nodes": nodes,
        }  # fmt: skip
        raw = {"estate": "p", "environment": "lab", "sites": {"east": {}}, "databases": {"ledger": entry}}
        self.estate: Estate = parse_estate(Located(raw, str(place / "estate.yaml")), kinds())
        database = wire(self.estate, place).databases["ledger"]
        assert isinstance(database, RepmgrCluster)
        self.database = database

    def repmgr(self, node: str, *words: str) -> None:
        as_user(self.servers.pair.bin / "repmgr", "-f", self.servers.pair.place / f"{node}.repmgr", *words)

    def caught_up(self) -> None:
        """The standby has the tables of repmgr, so that it can be registered there."""
        script = (
            "until psql -h {0} -p {1} -U repmgr -d repmgr -Atc 'table repmgr.nodes' | grep -q a; do sleep 0.2; done"
        )
        as_user("sh", "-c", script.format(self.servers.pair.place, self.servers.ports["b"]))

    async def told(self, wanted: Callable[[ClusterVerdict, Sight], bool]) -> tuple[ClusterVerdict, Sight]:
        """The verdict once it is as wanted."""
        for _ in range(200):
            sight = await look(self.database, 30.0)
            entry = self.estate.databases["ledger"]
            verdict = cluster_verdict("ledger", entry, world_of("ledger", sight), 0.0)
            if wanted(verdict, sight):
                return verdict, sight
            await asyncio.sleep(0.3)
        raise AssertionError(f"never: {verdict.message}; {sight.tables}")


@pytest.fixture
def servers() -> Iterator[Servers]:
    with plain_pair(postgres_with_tls()) as made:
        yield made


@pytest.fixture
async def managed(servers: Servers) -> AsyncIterator[Managed]:
    made = Managed(servers)
    yield made
    for node in made.database.nodes:
        await made.database.close_node(node)


async def test_a_real_pair_under_repmgr_is_told(managed: Managed) -> None:
    well, _ = await managed.told(lambda v, s: None not in s.tables.values() and v.health is Health.PASS)
    votes = {vote.witness: vote.role for vote in well.nodes["a"].votes}
    assert votes == {"Postgres": "primary", "repmgr a": "primary", "repmgr b": "primary"}
    assert well.leader == "a"

    conf = managed.servers.pair.place / "a" / "pg_hba.conf"
    shut_out(conf, "local repmgr repmgr reject")
    managed.servers.sql("a", "select pg_reload_conf()")
    cut, _ = await managed.told(lambda v, s: "two nodes write" in v.message)
    assert "b does not reach a, which lives and leads by its own server" in cut.message
    assert cut.leader == "a"


async def test_a_primary_that_is_gone_leads_by_no_table(managed: Managed) -> None:
    managed.servers.pair.control("a", "-m", "immediate", "stop")
    gone, sight = await managed.told(lambda v, s: s.servers["a"] is None and s.tables["b"] is not None)
    table = sight.tables["b"]
    assert table is not None
    assert [(row.name, row.role, row.reached) for row in table.nodes] == [("a", "", False), ("b", "standby", True)]
    assert sight.tables["a"] is None
    assert sight.leaders == ()
    assert gone.health is not Health.PASS


def shut_out(conf: Path, rule: str) -> None:
    conf.write_text(f"{rule}\n{conf.read_text()}")
