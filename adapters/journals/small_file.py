"""Small files beside a journal, each replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Make a file have this text, durably and for its owner alone; before, it has its former one. Raises OSError."""
    fresh = path.with_name(f"{path.name}-new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


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
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(LARGEST).decode("ascii", "replace")
    except OSError:
        return ""
