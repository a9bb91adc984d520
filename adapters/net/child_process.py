"""Child processes that end with this one, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def ends_with_this_process() -> Callable[[], None]:
    """What a child calls before it becomes another program: the kernel kills it when this process is gone."""
    starter = os.getpid()

    def bind() -> None:
        if sys.platform == "linux":
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != starter:  # it was gone before the kernel knew
                os.kill(os.getpid(), signal.SIGKILL)

    return bind
