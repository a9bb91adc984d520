"""The starter's side: a program behind its warden, its output up to a limit, and how it ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.confined import warden

MEMORY = 1 << 30
"""Bytes of memory of its own that each process may have."""
GRACE = warden.SWEEP + 3.0
"""Seconds that the warden may take beyond the limit to start and to end everything."""
PASSED_ON = ("PATH", "LANG", "LC_ALL", "HOME", "USER", "LOGNAME", "TZ", "XDG_RUNTIME_DIR")
"""The variables that a program gets of this process; whatever else it needs, `env` gives it."""


@dataclass(frozen=True, slots=True)
class ProgramAnswer:
    """`code` is the exit code, None at the limit of time. `output` is cut behind the limit of bytes."""

    code: int | None
    output: bytes


def environment() -> dict[str, str]:
    """What a program gets."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def run_confined(program: str, argv: Sequence[str], folder: Path, *, seconds: float, most: int) -> ProgramAnswer:
    """Run a program to its end, and everything that it started. It gets no input, and its stderr is not read. Blocks.

    Raises OSError when it cannot be started.
    """
    command = [sys.executable, "-I", "-S", warden.__file__, str(os.getpid()), str(seconds), str(MEMORY), "--"]
    process = subprocess.Popen(
        [*command, program, *argv],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        output = _read(process.stdout.fileno(), time.monotonic() + seconds + GRACE, most)
        if len(output) > most:
            process.send_signal(signal.SIGTERM)
        code = process.wait(GRACE)
    except subprocess.TimeoutExpired:
        code = warden.LATE
    finally:
        process.stdout.close()
        if process.poll() is None:  # it did not end: killed with the program, which ends with it
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code == warden.NOT_STARTED:
        raise FileNotFoundError(2, "cannot be started", program)
    return ProgramAnswer(None if code == warden.LATE else code, output)


def _read(descriptor: int, until: float, most: int) -> bytes:
    """What comes until the end, the limit, or an instant (monotonic seconds)."""
    output = b""
    while len(output) <= most and (left := until - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            break
        piece = os.read(descriptor, most + 1 - len(output))
        if not piece:
            break
        output += piece
    return output
