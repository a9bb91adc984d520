"""A bond between a process and what it started: the started one ends when its starter ends, however that happens.

The starter has the only writing end of a pipe. The kernel closes it when the process ends, also after SIGKILL, a
hang-up or a closed pipe. What was started reads the other end: the end of the pipe means that its starter is gone; a
byte means that the starter lets it go.
"""

from __future__ import annotations

import contextlib
import os
import select

LET_GO = b"+"


class Bond:
    """The starter's side. `reading` is handed to the started process; neither end is inherited by others."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        self._open = True

    @property
    def held(self) -> bool:
        """Whether what was started still depends on this process."""
        return self._open

    def let_go(self) -> None:
        """What was started no longer depends on this process."""
        if self._open:
            with contextlib.suppress(BrokenPipeError):  # it has ended already
                os.write(self._writing, LET_GO)
            self.cut()

    def cut(self) -> None:
        """End what was started, as the end of this process would."""
        if self._open:
            self._open = False
            os.close(self._writing)
            os.close(self.reading)


def starter_gone(descriptor: int) -> bool:
    """Wait until the bond ends; whether the starter is gone, and did not let go. In the started process."""
    return os.read(descriptor, 1) == b""


def starter_is_gone(descriptor: int) -> bool:
    """The same without waiting."""
    readable, _, _ = select.select([descriptor], [], [], 0)
    return bool(readable) and starter_gone(descriptor)
