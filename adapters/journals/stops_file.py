"""Runs whose stop could not be recorded, in a small file beside the journal: a stop outlives its engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from adapters.journals.small_file import content_of, replace_file

RUN = re.compile(r"R-[0-9]{1,18}")
LONGEST = 65_536
"""Bytes that are read of it."""


class StopsFile:
    """Names of runs, one a line: `journal.stops` beside `journal.db`."""

    def __init__(self, journal: Path) -> None:
        self.path = journal.with_suffix(".stops")

    def keep(self, runs: Sequence[str]) -> bool:
        """Name these runs and no other; whether they are durable. Without runs the file is removed."""
        try:
            if runs:
                replace_file(self.path, "".join(f"{run}\n" for run in runs))
            else:
                self.path.unlink(missing_ok=True)
        except OSError:  # the disk that refuses the journal may refuse this too: whoever stops a run is told
            return False
        return True

    def kept(self) -> tuple[str, ...]:
        """The runs that are named."""
        try:
            lines = content_of(self.path, LONGEST).decode("ascii", "replace").splitlines()
        except OSError:
            return ()
        return tuple(line for line in lines if RUN.fullmatch(line))
