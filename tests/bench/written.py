"""What the load role `writer` told: each acknowledged row, and the longest time without one."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from itertools import pairwise

Row = tuple[float, int]
"""When it was acknowledged (CLOCK_MONOTONIC, seconds), and its number."""


def rows_of(writer: subprocess.Popen[bytes]) -> list[Row]:
    """End the writer; its acknowledged rows in order."""
    writer.send_signal(signal.SIGTERM)
    assert writer.stdout is not None
    told = writer.stdout.read().decode()
    return [(float(at), int(number)) for at, number in (line.split() for line in told.splitlines())]


def longest_pause(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Seconds, and the instants of the rows before and after. Raises AssertionError for less than two rows."""
    times = [at for at, _ in rows]
    assert len(times) > 1, "the writer wrote less than two rows"
    return max((after - before, before, after) for before, after in pairwise(times))
