"""A socket that may not be opened: the message says who may, and the command that changes it."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from console.cli.entries import EntryFilter
from console.client.permission import no_permission
from state.api.views.journal import JournalRow

ME = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


def test_the_group_to_join_is_named_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    path.touch(0o660)
    path.chmod(0o660)
    assert no_permission(str(path)) == (
        f"no permission to open {path}: it is for the group {GROUP}, and {ME} is not in it; "
        f"sudo usermod -aG {GROUP} {ME}, then log in again"
    )


def test_without_a_group_the_account_is_named_and_how_to_open_it(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    path.touch(0o600)
    message = no_permission(str(path))
    assert f"only the account {ME} may" in message
    assert "--group NAME" in message


def test_what_cannot_be_seen_is_said(tmp_path: Path) -> None:
    assert "its folder is closed to this account" in no_permission(str(tmp_path / "closed/engine.sock"))


def test_entries_are_filtered_by_class() -> None:
    seen = JournalRow(1, 0.0, "engine", "node.lost", "", "", "n3 lost", "", "observed")
    done = JournalRow(2, 0.0, "ada", "run.started", "R-1", "", "x", "", "decided")
    foreign = JournalRow(3, 0.0, "engine", "of.later", "", "", "x", "", "")
    assert [row.seq for row in (seen, done, foreign) if EntryFilter(origin="observed").takes(row)] == [1]
    assert [row.seq for row in (seen, done, foreign) if EntryFilter(origin="decided").takes(row)] == [2]
    assert [row.seq for row in (seen, done, foreign) if EntryFilter().takes(row)] == [1, 2, 3]
