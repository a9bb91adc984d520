"""The descent of the leader by Patroni's history, where the account may not read history files: of the one that has the
lock, and of no other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.databases.patroni import build
from adapters.databases.patroni_history import history_of
from adapters.databases.patroni_options import PatroniOptions
from state.estate.model import SecretRef
from state.world.timelines import TimelineSwitch
from tests.contract.components import PASSWORD, Pair, kill_pair, make_pair
from tests.contract.patroni_answers import primary_302
from tests.contract.web import canned
from tests.unit.verdict_world import MB

ROW = [1, 25165984, "no recovery target specified", "2026-11-27T10:00:00+00:00", "n1"]


@pytest.mark.parametrize(
    ("rows", "timeline", "found"),
    [
        ([ROW], 2, (TimelineSwitch(1, 25165984),)),
        ([ROW, [2, 30 * MB, ""]], 3, (TimelineSwitch(1, 25165984), TimelineSwitch(2, 30 * MB))),
        ([ROW], 3, None),
        ([ROW, [2, 30 * MB, ""]], 2, None),
        ([[2, 30 * MB, ""]], 3, None),
        ([ROW, [2, 1, ""]], 3, None),
        ([], 2, None),
        ([["1", "x"]], 2, None),
        ([[True, 5]], 2, None),
        ("no list", 2, None),
    ],
)
def test_only_a_whole_history_of_this_timeline_counts(rows: Any, timeline: int, found: Any) -> None:
    assert history_of(rows, timeline) == found


@pytest.fixture(scope="module")
def promoted(folder: Path) -> Iterator[Pair]:
    """A pair whose standby was promoted: it is on timeline 2, and `recovery` may not read its files."""
    made = make_pair(Path(tempfile.mkdtemp(dir=folder)))
    made.psql(made.standby, "select pg_promote(true, 30)")
    yield made
    kill_pair(made)


@pytest.mark.parametrize(("holder", "told"), [("n1", True), ("n2", False), ("", False)])
async def test_only_of_the_node_that_has_the_lock(
    promoted: Pair, context: AdapterContext, holder: str, told: bool
) -> None:
    members = [{"name": n, "role": "leader" if n == holder else "replica", "state": "running"} for n in ("n1", "n2")]
    named = {"version": "4.1.5", "scope": "orders", "name": "n1"}
    own = {**primary_302(), "timeline": 2, "patroni": named, "cluster_unlocked": not holder}
    file = (promoted.place / "b" / "pg_wal" / "00000002.history").read_text().split()
    high, low = (int(part, 16) for part in file[1].split("/"))
    row = [1, (high << 32) + low, "no recovery target specified"]
    answers = {
        "GET /patroni": (200, own), "GET /config": (200, {}), "GET /cluster": (200, {"members": members}),
        "GET /history": (200, [row]),
    }  # fmt: skip
    async with canned(answers) as server:
        (context.base / "pw").write_text(PASSWORD)
        (context.base / "pw").chmod(0o600)
        nodes = {"n1": {"site": "east", "postgres": f"127.0.0.1:{promoted.standby}", "api": server.url}}
        given = {"kind": "patroni", "scope": "orders", "user": "recovery", "tls": "loopback", "nodes": nodes}
        password = SecretRef(file="pw")
        cluster, sources = build("orders", PatroniOptions.model_validate({**given, "password": password}), context)
        await cluster.read_member("n1", deadline=5)
        reading = await cluster.read_node("n1", deadline=5)
        for source in sources:
            await source.close()
    assert (reading.timeline, reading.in_recovery) == (2, False)
    assert reading.history == ((TimelineSwitch(*row[:2]),) if told else None)
