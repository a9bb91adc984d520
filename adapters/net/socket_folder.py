"""A folder for the sockets of kept connections, private to this process, and there again when somebody removed it.

The runtime folder of an account goes when it has logged out everywhere, and programs that tidy /tmp know nothing of an
engine. Whether the process that made a folder lives is told by a lock in it: other accounts' processes, and those of
another container, cannot be seen in /proc.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

from state.host.processes import is_held
from state.host.trust import offence, require_ours

LOCK = "living"
LONGEST_PARENT = 50
PREFIX = "recovery-ssh-"


class SocketFolder:
    """The folder; not made before it is needed."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._lock: int | None = None

    @property
    def path(self) -> Path:
        """Where it is, or will be until the next `stand`."""
        return self._path or Path(tempfile.gettempdir()) / f"{PREFIX}none"

    def stand(self) -> None:
        """Have it: made where it is missing. What processes left that are gone is removed. Raises OSError, and
        ConfigError where somebody else could be at the other end of every connection."""
        if self._path is not None and self._path.is_dir():
            return
        self._release()
        parent = _parent()
        for left in parent.glob(f"{PREFIX}*"):
            if left.lstat().st_uid == os.geteuid() and not left.is_symlink() and not _lives(left):
                shutil.rmtree(left, ignore_errors=True)
        path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
        path.chmod(stat.S_IRWXU)
        require_ours(path)  # whoever could rename it would be at the other end of every connection
        self._lock = os.open(path / LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._path = path

    def remove(self) -> None:
        """Remove it with all that is in it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
        self._release()

    def _release(self) -> None:
        self._path = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _parent() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    fits = runtime and os.access(runtime, os.W_OK) and len(runtime) < LONGEST_PARENT and offence(runtime) is None
    return Path(runtime if fits else tempfile.gettempdir())


def _lives(folder: Path) -> bool:
    """Whether a process has it: one that makes it just now has no lock yet."""
    with contextlib.suppress(OSError):
        return is_held(folder / LOCK) or not (folder / LOCK).exists()
    return True
