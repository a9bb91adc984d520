"""Progress of a lab's start, one JSON object a line."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass

FINAL = ("live", "failed", "running")


@dataclass(frozen=True, slots=True)
class LabProgress:
    """A step of a component: found, missing, starting, ready, failed; of `lab`: live, failed, running.

    `seconds` counts from the start of the supervisor.
    """

    component: str
    state: str
    seconds: float
    detail: str = ""

    @property
    def final(self) -> bool:
        """Whether nothing follows: the lab is live, has failed, or was running already."""
        return self.component == "lab" and self.state in FINAL

    @classmethod
    def parse(cls, line: str) -> LabProgress:
        """Read a line. Raises ValueError, KeyError or TypeError for any other line."""
        return cls(**json.loads(line))


class Reporter:
    """Prints progress, and remembers when each component became ready."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._reading = True
        self.ready: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        return round(time.monotonic() - self._began, 2)

    def report(self, component: str, state: str, detail: str = "") -> None:
        """Print one step; without a reader, continue without output."""
        if state in ("ready", "live"):
            self.ready[component] = self.elapsed
        if not self._reading:
            return
        try:
            print(json.dumps(asdict(LabProgress(component, state, self.elapsed, detail))), flush=True)
        except BrokenPipeError:
            self._reading = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
