"""The commands that restore a database: as a person gives them to a shell on the host of the backups."""

from __future__ import annotations

import shlex

from state.api.views.restore import RestoreRow, StoreRow
from state.restoring.choosing import RestoreChoice
from state.restoring.targets import setting_of

FOLDER = "/path/to/an/empty/folder"
"""Where nobody said where to."""


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
    return (shlex.join([*words, "restore"]),)


def _archive(store: StoreRow, made: RestoreChoice, into: str | None) -> tuple[str, ...]:
    assert made.backup is not None
    folder = into or FOLDER
    kind, value = setting_of(made.target)
    settings = [
        f'restore_command = \'cp "{store.wal}/%f" "%p"\'',
        f"recovery_target_timeline = '{made.timeline}'",
        *([f"recovery_target_{kind} = '{value}'"] if value else []),
        *(["archive_mode = off"] if into is not None else []),
    ]
    configuration = shlex.quote(f"{folder}/postgresql.auto.conf")
    return (
        shlex.join(["cp", "-a", f"{store.base}/{made.backup.label}/.", folder]),
        shlex.join(["chmod", "0700", folder]),
        *(f"echo {shlex.quote(each)} >> {configuration}" for each in settings),
        shlex.join(["touch", f"{folder}/recovery.signal"]),
    )
