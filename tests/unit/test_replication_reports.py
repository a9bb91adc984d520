"""What others reported of replication, and what is right by the manuals; each test names its thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from adapters.databases.patroni_parse import Dynamic, parse_config, parse_members, parse_node
from state.api.views.causes import ForecastKind
from state.health import Health
from state.world.manager_parts import SyncMode
from state.world.postgres_parts import ReplicationSlot, ServerSettings, WalArchiver, WalReceiver
from state.world.world import World
from tests.contract.patroni_answers import cluster_41, replica_41
from tests.unit.replicated import NODES, judge, leads, managers, members, receiver, rules
from tests.unit.verdict_world import MB, blackhole, first, manager, put, sender, standby


def test_a_standby_to_which_nobody_sends_does_not_stream(world: World) -> None:
    """EnterpriseDB/repmgr#694, multigres/multigres#990: the standby's own view stays `streaming` where its receiver
    hangs or its connection ended without a word. On an idle primary its distance is 0."""
    leads(world, sender("n3"))
    cluster = judge(world)
    assert cluster.nodes["n2"].lag.message == "unknown: it says that it streams, and no server sends to it"
    assert (cluster.nodes["n2"].health, cluster.nodes["n2"].state) == (Health.FAIL, "not streaming")
    assert rules(world, "n2") == ["streaming"]
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n3"
    assert first(world).what == "standby n2 gets no WAL from n1"


@pytest.mark.parametrize("case", ["another name", "a cascade", "its sender starts", "the other is silent", "no right"])
def test_a_stream_that_may_be_its_is_no_missing_one(world: World, case: str) -> None:
    """Only where every server is read, and every stream is known to be another's, is one missing."""
    leads(world, *((sender("walreceiver"),) if case == "another name" else ()), sender("n3"))
    if case == "a cascade":
        put(world, "postgres:orders/n3", standby("n3", 100 * MB, senders=(sender("n2"),)))
    elif case == "its sender starts":
        leads(world, receiver("n2", state="startup"), sender("n3"))
    elif case == "the other is silent":
        blackhole(world, "postgres:orders/n3")
    elif case == "no right":
        leads(world, privileged=False)
    assert judge(world).nodes["n2"].lag.replay == 0


def test_a_backup_under_way_is_nobodys_stream(world: World) -> None:
    leads(world, sender("n3"), receiver("pg_basebackup", state="backup"))
    assert judge(world).nodes["n2"].lag.replay is None


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"replay_pause": "paused"}, "replay on n2 is paused, and commits wait until it has applied them"),
        (
            {"settings": ServerSettings({}, apply_delay=3600.0)},
            "n2 applies 60m late by its settings, and commits wait until it has applied them",
        ),
    ],
)
def test_commits_that_wait_to_be_applied_hang_where_nothing_is_applied(
    world: World, facts: Mapping[str, Any], why: str
) -> None:
    """patroni/patroni#2551, zalando/postgres-operator#1219; PostgreSQL manual, `recovery_min_apply_delay` and
    `synchronous_commit`. Nothing waits yet: the first commit will."""
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, **facts))
    leads(world, sender("n2", "sync"), sender("n3"), names="n2", synchronous_commit="remote_apply")
    cluster = judge(world)
    assert cluster.guarantee is not None
    assert (cluster.guarantee.kind, cluster.halted, cluster.health) == ("blocked", True, Health.FAIL)
    assert cluster.guarantee.detail == f"no standby of n2 confirms; {why}"
    leads(world, sender("n2", "sync"), sender("n3"), names="n2", synchronous_commit="on")
    kept = judge(world).guarantee
    assert kept is not None
    assert kept.kind == "sync", "a commit that waits for the disk alone waits for no replay"


def test_a_standby_that_replies_once_a_minute_is_not_silent(world: World) -> None:
    """pgbackrest/pgbackrest#1046 (streams without traffic): its interval is its own, whatever its stream is called."""
    slot = ReplicationSlot("s2", "physical", True, 100 * MB, "reserved", active_pid=7)
    put(
        world,
        "postgres:orders/n2",
        standby("n2", 100 * MB, receiver=WalReceiver("walrcv", "h", 1, "s2"), settings=ServerSettings({}, 0.0, 60.0)),
    )
    leads(world, receiver("walrcv", "sync", quiet=30.0, pid=7), sender("n3"), names="walrcv", slots=(slot,))
    cluster = judge(world)
    assert cluster.guarantee is not None
    assert (cluster.guarantee.kind, cluster.guarantee.members, cluster.health) == ("sync", ("n2",), Health.PASS)


def test_a_member_whose_watchdog_does_not_work_may_not_lead(world: World) -> None:
    """patroni/patroni#1779, #2362: it only says in its log that it is not the healthiest."""
    answer = {**replica_41(), "watchdog_failed": True}
    assert parse_node("n1", answer, cluster_41(), Dynamic(), 1.0).watchdog_failed
    assert not parse_node("n1", replica_41(), cluster_41(), Dynamic(), 1.0).watchdog_failed
    put(world, "patroni:orders/n2", manager("n2", "n1", watchdog_failed=True))
    assert rules(world, "n2") == ["watchdog"]
    put(world, "patroni:orders/n3", manager("n3", "n1", watchdog_failed=True))
    cluster = judge(world)
    assert cluster.candidate is None
    assert "no automatic failover will come: the watchdog of n2 does not work" in cluster.message


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"failover_priority": "0"}, (True, 0, False)),
        ({"failover_priority": " 5 "}, (False, 5, False)),
        ({"failover_priority": "high"}, (False, 1, False)),
        ({"sync_priority": "0"}, (False, 1, True)),
        ({"nofailover": False, "failover_priority": 0}, (False, 0, False)),
    ],
)
def test_tags_are_read_as_patroni_reads_them(tags: Mapping[str, Any], expected: tuple[bool, int, bool]) -> None:
    """patroni/patroni#2780 (numbers in quotes), #2981 (nofailover counts before the priority)."""
    (row,) = parse_members({"members": [{"name": "n2", "role": "replica", "state": "streaming", "tags": tags}]})
    assert (row.nofailover, row.priority, row.nosync) == expected


def test_fewer_synchronous_standbys_than_are_wanted_are_told(world: World) -> None:
    """patroni/patroni#1766, #1594: with one left Patroni lets commits go on with one, and says so nowhere."""
    assert parse_config({"synchronous_mode": True, "synchronous_node_count": 2}).sync_nodes == 2
    leads(world, sender("n2", "sync"), sender("n3"), names="n2")
    managers(world, sync_mode=SyncMode.ON, sync_nodes=2, members=members(n2={"role": "sync_standby"}))
    cluster = judge(world)
    assert cluster.health is Health.WARN
    assert "synchronous_node_count is 2, and commits wait for 1 of them now" in cluster.message
    managers(world, sync_mode=SyncMode.ON, members=members(n2={"role": "sync_standby"}))
    assert judge(world).health is Health.PASS


@pytest.mark.parametrize(
    ("config", "seconds"), [({}, 300.0), ({"master_start_timeout": 60}, 60.0), ({"primary_start_timeout": 0}, 0.0)]
)
def test_a_leader_that_starts_its_server_again_keeps_the_lock(
    world: World, config: Mapping[str, Any], seconds: float
) -> None:
    """patroni/patroni#1826, #1663, #2997: its PostgreSQL is killed, its Patroni lives: no ttl ends."""
    limit = parse_config(config).start_timeout
    assert limit == seconds
    blackhole(world, "postgres:orders/n1", 6.0)
    put(world, "patroni:orders/n1", manager("n1", "n1", state="start failed", start_timeout=limit))
    for node in ("n2", "n3"):
        put(world, f"patroni:orders/{node}", manager(node, "n1", members=members(n1={"state": "start failed"})))
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB, receiver_state=None))
    forecast = first(world).forecast
    assert forecast is not None
    if limit:
        assert (forecast.kind, forecast.by_mono) == (ForecastKind.NOTHING, None)
        assert f"keeps the leader lock meanwhile, up to {limit:.0f} s a start" in forecast.message
    else:
        assert forecast.kind is ForecastKind.PROMOTION


def test_a_standby_cluster_has_no_list_of_synchronous_standbys(world: World) -> None:
    """patroni/patroni#3079: before it, a list left over in the store was shown as if it counted."""
    roles = {"n1": "standby_leader", "n2": "sync_standby", "n3": "replica"}
    rows = members(**{n: {"role": role} for n, role in roles.items()})
    for node in NODES:
        role = "standby_leader" if node == "n1" else "replica"
        put(world, f"patroni:orders/{node}", manager(node, "n1", role=role, members=rows, sync_mode=SyncMode.ON))
        put(world, f"postgres:orders/{node}", standby(node, 100 * MB, upstream_quiet=1.0))
    cluster = judge(world)
    assert (cluster.health, rules(world, "n3")) == (Health.PASS, [])


ARCHIVES = WalArchiver("on", 10, 0, "000000010000000000000009", "", failing=False, backlog=0, since=5.0)


def test_an_archiver_without_a_command_is_red(world: World) -> None:
    """wal-g/wal-g#50: nothing fails, nothing is archived, and pg_wal grows."""
    leads(world, sender("n2"), sender("n3"), archiver=replace(ARCHIVES, archived=0, configured=False, backlog=7))
    cluster = judge(world)
    assert cluster.health is Health.FAIL
    assert "n1 is to archive and has no command for it: nothing is archived, 7 files wait" in cluster.message
    cause = first(world)
    assert cause.next is not None
    assert "set archive_command or archive_library" in cause.next.message


@pytest.mark.parametrize(
    ("own", "why"),
    [
        (WalArchiver("off", 0, 0, "", "", failing=False), "archive_mode is off"),
        (WalArchiver("on", 0, 0, "", "", failing=False, configured=False), "it has no command for it"),
    ],
)
def test_a_candidate_that_archives_nothing_has_it_on_its_card(world: World, own: WalArchiver, why: str) -> None:
    """ubicloud/ubicloud#1865, pgbackrest/pgbackrest#1668: archive_mode changes only with a restart."""
    leads(world, sender("n2"), sender("n3"), archiver=ARCHIVES)
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, archiver=own))
    put(world, "postgres:orders/n3", standby("n3", 100 * MB, archiver=ARCHIVES))
    eligible = judge(world).eligible
    assert eligible["n2"].notes == (f"n2 archives nothing ({why}): what it writes as the leader cannot be restored",)
    assert eligible["n3"].notes == ()


def test_the_placeholder_of_a_strict_cluster_holds_commits_up(world: World) -> None:
    """patroni/patroni#3435: a name that nobody has, so that all commits hang until a standby streams."""
    leads(world, sender("n2"), sender("n3"), names="__patroni_strict_sync_replica_placeholder__")
    cluster = judge(world)
    assert (cluster.health, cluster.halted) == (Health.FAIL, True)


@pytest.mark.parametrize(
    ("settings", "health", "said"),
    [
        (ServerSettings(refuses_writes=True), Health.FAIL, "n1 refuses writes: default_transaction_read_only is on"),
        (
            ServerSettings(read_only=("database shop",)),
            Health.WARN,
            "n1 refuses writes to database shop: default_transaction_read_only is on there",
        ),
    ],
)
def test_a_primary_that_refuses_writes_by_its_settings_is_told(
    world: World, settings: ServerSettings, health: Health, said: str
) -> None:
    """citusdata/pg_cron#270, jhu-bids/TermHub#404: not in recovery, all standbys stream, and nobody can write."""
    leads(world, sender("n2"), sender("n3"), settings=settings)
    cluster = judge(world)
    assert (cluster.health, cluster.halted) == (health, health is Health.FAIL)
    assert first(world).what == said
    put(world, "postgres:orders/n2", standby("n2", 100 * MB, settings=settings))
    leads(world, sender("n2"), sender("n3"))
    assert judge(world).health is Health.PASS, "a standby writes nothing anyway"


def test_a_replay_that_stopped_at_its_target_is_not_to_be_resumed(world: World) -> None:
    """patroni/patroni#2569, EnterpriseDB/repmgr#677; PostgreSQL manual, `recovery_target_action`: pause."""
    stopped = standby("n2", 90 * MB, 95 * MB, replay_pause="paused", settings=ServerSettings(has_target=True))
    put(world, "postgres:orders/n2", stopped)
    cause = first(world)
    assert cause.next is not None
    assert cause.next.message.startswith("Do not resume it: it has a recovery target")
    assert "pg_wal_replay_resume" not in cause.next.message
    assert "would accept writes" in judge(world).nodes["n2"].message
    put(world, "postgres:orders/n2", replace(stopped, settings=ServerSettings()))
    again = first(world).next
    assert again is not None
    assert "pg_wal_replay_resume" in again.message


def test_a_member_that_is_told_not_to_stream_is_fed_by_the_archive(world: World) -> None:
    """patroni/patroni#3491, zalando/postgres-operator#2964: by the tag nostream, which Patroni reads as any switch."""
    (row,) = parse_members({"members": [{"name": "n2", "role": "replica", "state": "x", "tags": {"nostream": "on"}}]})
    assert row.nostream
    fed = ServerSettings(restores=True, follows=False)
    put(world, "postgres:orders/n2", standby("n2", 99 * MB, receiver_state=None, settings=fed))
    leads(world, sender("n3"))
    assert judge(world).nodes["n2"].health is Health.FAIL, "without the tag it has lost its leader"
    managers(world, members=members(n2={"nostream": True}))
    cluster = judge(world)
    assert (cluster.nodes["n2"].health, cluster.nodes["n2"].state) == (Health.PASS, "from the archive")
    assert cluster.candidate is not None
    assert cluster.candidate.node == "n3", "it has more"
