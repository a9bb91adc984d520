"""What services with few requests counted before the window of rates: the window alone has some of them by chance."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from adapters.monitors.figures import FEW_REQUESTS

Increments = dict[bytes, float]


class ScrapeStep(NamedTuple):
    """From one answer to the next: when (monotonic seconds), the requests of each service, and what grew of it."""

    since: float
    until: float
    requests: Mapping[str, float]
    grown: Mapping[str, Increments]


class FewRequests:
    """The steps that have left the window, for so many seconds."""

    def __init__(self, kept: float) -> None:
        self._kept = kept
        self._steps: deque[ScrapeStep] = deque()

    def add(self, step: ScrapeStep) -> None:
        """A step that leaves the window. Of services with many requests only their number is remembered."""
        grown = {name: grown for name, grown in step.grown.items() if step.requests.get(name, 0.0) < FEW_REQUESTS}
        self._steps.append(step._replace(grown=grown))
        while self._steps and step.until - self._steps[0].since > self._kept:
            self._steps.popleft()

    def before(self, service: str, counted: float) -> tuple[Increments, float | None]:
        """What grew of a service just before the window that has so many requests of it, until they are enough, and
        since when; None where nothing is to be added."""
        found: Increments = {}
        since = None
        for step in reversed(self._steps):
            if counted >= FEW_REQUESTS or step.requests.get(service, FEW_REQUESTS) >= FEW_REQUESTS:
                break
            counted, since = counted + step.requests[service], step.since
            for key, more in step.grown.get(service, {}).items():
                found[key] = found.get(key, 0.0) + more
        return found, since

    def clear(self) -> None:
        """Forget all: what comes is of another process."""
        self._steps.clear()
