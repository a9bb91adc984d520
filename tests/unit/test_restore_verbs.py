"""`recovery db restore-window` and `restore-command`: what they print and how they end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.cli.db_restore import UNREAD
from console.cli.db_restore_command import command_lines
from console.cli.db_restore_text import DOUBTS, OBSTACLES, choice_document, told_choice, told_window
from state.restoring.choosing import Doubt, Obstacle, choose
from state.restoring.targets import parse_target
from state.units import utc_date
from tests.support.stores import at, backup, store
from tests.unit.test_restore_choice import WHOLE, by_time, rows
from tests.unit.test_restore_window import judged
from tests.unit.verdict_world import NOW


def test_every_obstacle_and_doubt_has_its_words() -> None:
    assert set(OBSTACLES) == set(Obstacle)
    assert set(DOUBTS) == set(Doubt)
    assert set(UNREAD) < set(Obstacle)


def test_a_window_is_told_with_its_ribbon_and_its_gap() -> None:
    text = "\n".join(
        told_window(rows(store((backup("A", 2), backup("B", 10)), {1: {*range(2, 6), *range(10, 20)}})), "5s", NOW)
    )
    assert f"{utc_date(at(2.5))} to {utc_date(at(5.9))}" in text
    assert "=....." in text
    assert "then WAL is missing" in text


def test_replication_trap_66_a_backup_at_work_is_told_and_never_that_there_is_none() -> None:
    """pgBackRest sees the lock of its own host only: a backup that another host makes is not seen."""
    said = {
        running: "\n".join(told_window(rows(replace(WHOLE, running=running)), "5s", NOW)) for running in (True, False)
    }
    assert "a backup is at work there" in said[True]
    assert "at work" not in said[False]


def test_without_backups_nothing_is_said_but_that() -> None:
    lines = [each for each in told_window(judged(None, entry=None), "", NOW) if each]
    assert lines == [
        "UNKNOWN orders   no backups are named in the estate: nothing is known of what it could be restored to"
    ]


def test_the_choice_is_told_with_what_is_lost_and_that_nothing_was_run() -> None:
    row = rows(WHOLE)
    made = choose(row, by_time(at(15.9)))
    lines = command_lines(row, made, None)
    text = "\n".join(told_choice(row, made, lines))
    assert "begins with full backup B" in text
    assert "lost: everything after it: 4m" in text
    assert "Nothing was run. On this machine" in text
    assert lines[0] in text
    assert "which is not read now" in text
    document = choice_document(row, made, lines)
    assert (document["possible"], document["command"], document["settings"]) == (True, list(lines), {})


def test_replication_trap_65_settings_that_were_raised_since_the_backup_are_set_before_the_start() -> None:
    """A backup keeps the settings of its time; the WAL behind it wants what the primary had when it was written."""
    row = judged(WHOLE, limits={"max_connections": 150, "max_worker_processes": 8})
    made = choose(row, by_time(at(15.9)))
    text = "\n".join(told_choice(row, made, command_lines(row, made, None)))
    assert "its replay ends early: max_connections = 150, max_worker_processes = 8" in text
    assert choice_document(row, made, ())["settings"] == {"max_connections": 150, "max_worker_processes": 8}


@pytest.mark.parametrize("typed", ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z", "nowhere", "xid:1"])
def test_what_is_not_possible_prints_no_command(typed: str) -> None:
    row = rows(WHOLE)
    made = choose(row, parse_target(typed))
    lines = command_lines(row, made, None)
    assert lines == ()
    text = "\n".join(told_choice(row, made, lines))
    assert "NOT POSSIBLE" in text
    assert "pgbackrest" not in text
    assert choice_document(row, made, lines)["possible"] is False
