"""Where histories part: the first point, by all lines of both history files, never by the higher number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.health import Health
from state.verdicts.cause_database import database_causes
from state.verdicts.forks import fork_of, same_branch, wrote_past
from state.verdicts.split_brain import split_resolved
from state.world.readings import PostgresReading
from state.world.timelines import History, TimelineSwitch
from state.world.world import World
from tests.unit.night import Night
from tests.unit.replicated import judge
from tests.unit.verdict_world import MB, fail, healthy_cluster, primary, put, standby

BOTH = {2: "aa"}, {2: "bb"}


@pytest.fixture
def world() -> World:
    made = World()
    healthy_cluster(made)
    return made


def line(*switches: tuple[int, int]) -> History:
    return tuple(TimelineSwitch(parent, at * MB) for parent, at in switches)


def on(node: str, timeline: int, held: int, history: History | None, **facts: Any) -> PostgresReading:
    return primary(node, held * MB, timeline, history=history, **facts)


def place(a: PostgresReading, b: PostgresReading) -> int | None:
    fork = fork_of(a, b)
    assert fork is not None
    return None if fork.lsn is None else fork.lsn // MB


def test_the_fork_is_the_first_point_where_histories_part_not_the_last_line_of_one() -> None:
    long = on("n1", 4, 90, line((1, 10), (2, 30), (3, 80)))
    short = on("n2", 5, 70, line((1, 10), (2, 20)))
    assert place(long, short) == 20, "both left timeline 2, n2 earlier"
    fork = fork_of(long, short)
    assert fork is not None
    assert fork.past == {"n1": 70 * MB, "n2": 50 * MB}
    assert place(on("n1", 3, 60, line((1, 10), (2, 50))), on("n2", 1, 40, ())) == 10


def test_an_ancestor_needs_no_history_of_its_own() -> None:
    assert place(on("n1", 2, 40, None), on("n2", 3, 35, line((1, 10), (2, 30)))) == 30


def test_replication_trap_26_the_lower_number_may_be_the_branch_that_went_further() -> None:
    fork = fork_of(on("n1", 2, 300, line((1, 10))), on("n2", 7, 20, line((1, 15))))
    assert fork is not None
    assert fork.lsn == 10 * MB
    assert fork.past == {"n1": 290 * MB, "n2": 10 * MB}


def test_what_cannot_be_read_is_not_known() -> None:
    fork = fork_of(on("n1", 3, 40, None), on("n2", 4, 35, line((1, 10), (2, 30))))
    assert fork is not None
    assert (fork.lsn, fork.past) == (None, {"n1": None, "n2": None})
    assert "EXECUTE on pg_read_file" in fork.why
    other = fork_of(on("n1", 2, 40, line((1, 10))), replace(on("n2", 2, 40, line((1, 10))), system_id="8"))
    assert other is not None
    assert "different database systems" in other.why


def test_one_that_has_nothing_past_the_fork_still_follows() -> None:
    behind = standby("n2", 9 * MB)
    leads = on("n1", 2, 40, line((1, 10)))
    assert wrote_past(behind, leads) == 0
    assert wrote_past(standby("n2", 12 * MB), leads) == 2 * MB
    assert fork_of(standby("n2", 30 * MB, timeline=2), leads) is None


switches = st.lists(st.integers(1, 50), max_size=5)


@given(switches, switches, switches, st.integers(1, 40), st.integers(1, 40))
def test_any_two_branches_of_one_trunk_part_where_the_trunk_was_left_first(
    trunk: list[int], left: list[int], right: list[int], a: int, b: int
) -> None:
    """The model: a trunk is grown line by line, then two branches of it; no code of the verdict is used."""
    lines, at, number = [], 0, 1
    for step in trunk:
        at += step
        lines.append((number, at))
        number += 1
    grown = []
    for steps, first, odd in ((left, a, 0), (right, b, 1)):
        position, own, timeline = at, list(lines), number
        for nth, step in enumerate([first, *steps]):
            position += step
            own.append((timeline, position))
            timeline = number + 1 + 2 * nth + odd
        grown.append((timeline, position + 5, line(*own)))
    (one, held, first), (other, further, second) = grown
    assert place(on("n1", one, held, first), on("n2", other, further, second)) == at + min(a, b)
    assert place(on("n2", other, further, second), on("n1", one, held, first)) == at + min(a, b)


def test_replication_trap_22_two_promotions_from_one_point_are_told_apart_by_their_first_record() -> None:
    history = line((1, 10))
    a, b = (on(n, 2, 20, history, branches=branch) for n, branch in zip(("n1", "n2"), BOTH, strict=True))
    fork = fork_of(a, b)
    assert fork is not None
    assert (fork.lsn, fork.apart) == (10 * MB, True)
    assert fork.past == {"n1": 10 * MB, "n2": 10 * MB}
    assert same_branch(a, b) is False
    later = on("n2", 3, 50, line((1, 10), (2, 40)), branches={2: "bb", 3: "cc"})
    assert place(a, later) == 10, "they parted before the later one left that timeline"
    unread = fork_of(replace(a, branches={}), b)
    assert unread is not None
    assert (unread.one_number, unread.past["n1"]) == (True, None), "both write: not one timeline, and no figure"
    assert same_branch(replace(a, branches={}), b) is None


def test_replication_trap_22_streaming_clears_nothing(world: World) -> None:
    history = line((1, 90))
    put(world, "postgres:orders/n1", on("n1", 2, 101, history, branches=BOTH[0]))
    put(world, "postgres:orders/n2", standby("n2", 101 * MB, timeline=2, history=history, branches=BOTH[1]))
    cluster = judge(world)
    assert cluster.nodes["n2"].health is Health.FAIL
    assert "promoted apart" in cluster.nodes["n2"].message
    assert cluster.eligible["n2"].may_lead is False
    assert not split_resolved(cluster.facts, ("n1", "n2"), one_number=True)
    assert not split_resolved(cluster.facts, ("n1", "n2"))
    put(world, "postgres:orders/n2", standby("n2", 101 * MB, timeline=2, history=history))
    facts = judge(world).facts
    assert not split_resolved(facts, ("n1", "n2"), one_number=True), "cannot be told"
    assert split_resolved(facts, ("n1", "n2")), "of another number streaming is proof"
    put(world, "postgres:orders/n2", standby("n2", 101 * MB, timeline=2, history=history, branches=BOTH[0]))
    assert split_resolved(judge(world).facts, ("n1", "n2"), one_number=True)


def test_both_sides_stand_in_alarm_cause_and_journal(world: World) -> None:
    put(world, "postgres:orders/n1", on("n1", 1, 104, ()))
    put(world, "postgres:orders/n2", on("n2", 2, 101, line((1, 100))))
    cluster = judge(world)
    assert cluster.split is not None
    assert "written past it: n1 4.0 MB, n2 1.0 MB" in cluster.split.message
    (cause,) = database_causes(cluster)
    assert cause.next is not None
    assert "n1 4.0 MB, n2 1.0 MB" in cause.next.message


def test_three_writers_are_told_pair_by_pair(world: World) -> None:
    put(world, "postgres:orders/n2", on("n2", 2, 101, line((1, 100))))
    put(world, "postgres:orders/n3", on("n3", 3, 101, line((1, 99))))
    split = judge(world).split
    assert split is not None
    assert [each.lsn for each in split.forks] == [100 * MB, 99 * MB, 99 * MB]


def test_a_number_alone_is_no_hand_over(world: World) -> None:
    put(world, "postgres:orders/n1", on("n1", 2, 100, line((1, 90))), age=0.8)
    fail(world, "postgres:orders/n1")
    put(world, "postgres:orders/n2", on("n2", 2, 100, line((1, 90))), age=0.1)
    assert judge(world).split is not None


def test_replication_trap_22_the_journal_remembers_that_only_wal_can_clear_it(night: Night) -> None:
    history = (TimelineSwitch(1, 900),)
    night.put("postgres:orders/n1", primary("n1", 2000, 2, history=history))
    night.put("postgres:orders/n2", primary("n2", 2000, 2, history=history))
    night.sleep(10)
    night.put("postgres:orders/n2", standby("n2", 2000, timeline=2, history=history))
    night.restart()
    night.sleep(60)
    kinds = [b.kind for b in night.bodies() if b.kind.startswith("split-brain")]
    assert kinds == ["split-brain.detected"], "it streams, and that proves nothing"
    night.put("postgres:orders/n1", primary("n1", 2000, 2, history=history, branches={2: "aa"}))
    night.put("postgres:orders/n2", standby("n2", 2000, timeline=2, history=history, branches={2: "aa"}))
    night.sleep(60)
    kinds = [b.kind for b in night.bodies() if b.kind.startswith("split-brain")]
    assert kinds == ["split-brain.detected", "split-brain.cleared"]
