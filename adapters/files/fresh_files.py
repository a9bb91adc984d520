"""Files for people to edit: written anew without touching what is there, or replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path


def write_new(path: Path, text: str, mode: int = 0o644) -> bool:
    """Write a file that is not there yet, complete or not at all; False when something is there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(fresh, text, mode)
        os.link(fresh, path)  # unlike a rename, it never replaces
    except FileExistsError:
        return False
    finally:
        fresh.unlink(missing_ok=True)
    return True


def replace_text(path: Path, text: str) -> None:
    """Give a file another text, durably; before, it has its former one. Its mode, owner and group stay. Raises OSError,
    also where this account cannot give a file to them."""
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    was = target.stat()
    try:
        _write(fresh, text, was.st_mode & 0o777)
        made = fresh.stat()
        if (made.st_uid, made.st_gid) != (was.st_uid, was.st_gid):
            os.chown(fresh, was.st_uid, was.st_gid)
            fresh.chmod(was.st_mode & 0o777)
        fresh.replace(target)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _write(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
