"""Small files beside a journal, each replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path

from state.host.regular import opened


def replace_file(path: Path, text: str) -> None:
    """Make a file have this text, durably and for its owner alone; before, it has its former one. Raises OSError."""
    fresh = path.with_name(f"{path.name}-new")
    fresh.unlink(missing_ok=True)  # what a killed engine left, or a pipe or a link that waits there
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def content_of(path: Path, most: int) -> bytes:
    """The beginning of a regular file that is no link. Raises OSError, also for what is none."""
    with opened(path, links=False, otherwise="is no regular file: look who put it there, and remove it") as file:
        return file.read(most)


LARGEST = 64 * 1024 * 1024
"""Bytes that are read of one."""


def keep_text(path: Path, text: str) -> bool:
    """Make a file have this text; whether it has."""
    try:
        replace_file(path, text)
    except OSError:
        return False
    return True


def kept_text(path: Path) -> str:
    """The text of a file, empty when it cannot be read."""
    try:
        return content_of(path, LARGEST).decode("ascii", "replace")
    except OSError:
        return ""
