"""The commands that restore a database: as a person gives them to a shell on the host of the backups."""

from __future__ import annotations

import shlex

from state.api.views.restore import RestoreRow, StoreRow
from state.restoring.choosing import RestoreChoice
from state.restoring.targets import setting_of

FOLDER = "/path/to/an/empty/folder"
"""Where nobody said where to."""


NO_WORKERS = "max_logical_replication_workers = 0"
"""A copy that is promoted has production's subscriptions: it would read from their slots, and they lack that then."""


def command_lines(row: RestoreRow, made: RestoreChoice, into: str | None) -> tuple[str, ...]:
    """The lines, none where nothing was chosen."""
    if row.store is None or made.backup is None or made.obstacle is not None:
        return ()
    return _pgbackrest(row.store, made, into) if row.store.kind == "pgbackrest" else _archive(row.store, made, into)


def _pgbackrest(store: StoreRow, made: RestoreChoice, into: str | None) -> tuple[str, ...]:
    """A server that is restored in place goes on to archive; a scratch copy must not."""
    assert made.backup is not None
    kind, value = setting_of(made.target)
    words = [*store.command, f"--stanza={store.stanza}", f"--repo={store.repo}", f"--set={made.backup.label}"]
    words += [f"--type={kind}", *([f"--target={value}"] if value else []), f"--target-timeline={made.timeline}"]
    words += [f"--pg1-path={into}", "--archive-mode=off"] if into is not None else []
    return (shlex.join([*words, "restore"]), *([_setting(NO_WORKERS, into)] if into is not None else []))


def _archive(store: StoreRow, made: RestoreChoice, into: str | None) -> tuple[str, ...]:
    assert made.backup is not None
    folder = into or FOLDER
    kind, value = setting_of(made.target)
    settings = [
        f'restore_command = \'cp "{store.wal}/%f" "%p"\'',
        f"recovery_target_timeline = '{made.timeline}'",
        *([f"recovery_target_{kind} = '{value}'"] if value else []),
        *(["archive_mode = off", NO_WORKERS] if into is not None else []),
    ]
    return (
        shlex.join(["cp", "-a", f"{store.base}/{made.backup.label}/.", folder]),
        shlex.join(["chmod", "0700", folder]),
        *(_setting(each, folder) for each in settings),
        shlex.join(["touch", f"{folder}/recovery.signal"]),
    )


def _setting(line: str, folder: str) -> str:
    configuration = shlex.quote(f"{folder}/postgresql.auto.conf")
    return f"echo {shlex.quote(line)} >> {configuration}"
