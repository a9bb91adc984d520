"""Whether the answers of one address come from one process: a counter that falls was restarted, or it is another's.

A process that starts again counts from 0, and its start time moves forward. Replicas behind one address take turns: a
start time comes back, or the counters fall to more than a process can have counted since the answer before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from statistics import median

STARTED = "process_start_time_seconds"
SAME = 2.0
"""Seconds by which the start time of one process may differ: some compute it anew from the machine's at each answer."""
REMEMBERED = 16
"""Start times that are remembered."""
KEPT = 300.0
"""Seconds for which several processes are told after they were seen last: a balancer may stay with one for a while."""
BURST, FEW = 10.0, 20.0
"""So many times its usual rate, and so many requests besides, a process may have counted since the answer before."""
OFTEN = 1.5
"""So many times its usual rate is nothing unusual."""

Totals = Iterable[tuple[float, float]]
"""When and how many requests one service had counted, at each answer."""


class ProcessWatch:
    """The start times of one target's answers, and the services that several processes count."""

    def __init__(self) -> None:
        self._starts: deque[float] = deque(maxlen=REMEMBERED)
        self._several: dict[str, float] = {}

    def restarted(self, started: float | None, at: float, services: Iterable[str]) -> bool:
        """Whether an answer with this start time is of a new process. One that was heard before, or is older than the
        last, takes turns with it: then several processes count these services."""
        if started is None:
            self._starts.clear()
            return False
        last = self._starts[-1] if self._starts else None
        if last is not None and abs(started - last) <= SAME:
            return False
        known = any(abs(started - each) <= SAME for each in self._starts)
        self._starts.append(started)
        if last is None:
            return False
        if known or started < last:
            for service in services:
                self.tell(service, at)
            return False
        return True

    def tell(self, service: str, at: float) -> None:
        """Several processes count a service, as an answer of this time shows."""
        self._several[service] = at + KEPT

    def several(self, at: float) -> set[str]:
        """The services that several processes count."""
        self._several = {service: until for service, until in self._several.items() if at < until}
        return set(self._several)


def plausible(totals: Totals, seconds: float) -> float | None:
    """How many requests a process may have counted that began at 0 within so many seconds; None where the usual rate is
    not known."""
    rate = usual_rate(totals)
    return None if rate is None else FEW + BURST * rate * seconds


def usual_rate(totals: Totals) -> float | None:
    """How many requests/s a process counts, None = not known."""
    rates = [(b - a) / (after - before) for (before, a), (after, b) in pairwise(totals) if b >= a and after > before]
    return median(rates) if rates else None
