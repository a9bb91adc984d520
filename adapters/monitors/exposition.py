"""Reads the few metrics we want out of Prometheus' text exposition format 0.0.4, and takes rates of their counters.

Lines are filtered by name before anything is parsed, and the labels of a series are parsed once: its text is the key.
"""

from __future__ import annotations

import math
import re
from collections import deque
from typing import NamedTuple

from adapters.monitors.figures import Naming
from state.errors import ReadFailure, Trouble

ACCEPT = "text/plain; version=0.0.4"
LABEL = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r"\\(.)")


class SampleSeries(NamedTuple):
    """What one counter counts. `le` is a bucket's upper bound, None for a request counter."""

    service: str
    release: str
    code: str
    le: float | None


class Sample(NamedTuple):
    """Every wanted counter of one answer; `at` is monotonic seconds."""

    at: float
    values: dict[bytes, float]


def _unescape(text: bytes) -> str:
    found = text.decode("utf-8", "replace")
    if "\\" not in found:
        return found
    return ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], found)


class Exposition:
    """One target's answers of the last seconds."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._prefixes = (f"{naming.requests}{{".encode(), f"{naming.durations}{{".encode())
        self._known: dict[bytes, SampleSeries] = {}
        self._ring: deque[Sample] = deque()

    def take(self, body: bytes, at: float) -> None:
        """Add an answer. Raises ReadFailure when a wanted line cannot be read."""
        values: dict[bytes, float] = {}
        try:
            for line in body.split(b"\n"):
                if line.startswith(self._prefixes):
                    key, _, rest = line.rpartition(b"}")
                    value = float(rest.split()[0])
                    if not math.isfinite(value):
                        continue  # no data, so the counter was not seen
                    values[key] = value
                    if key not in self._known:
                        self._known[key] = self._parse(key)
        except (ValueError, IndexError) as error:
            raise ReadFailure(Trouble.ERROR, "a line of the metrics does not read as one") from error
        self._known = {key: self._known[key] for key in values} if len(self._known) > 2 * len(values) else self._known
        self._ring.append(Sample(at, values))

    def forget(self, now: float) -> None:
        """Drop the answers that left the window."""
        while self._ring and now - self._ring[0].at > self._naming.window:
            self._ring.popleft()

    @property
    def newest(self) -> float | None:
        """When the last answer came, monotonic seconds."""
        return self._ring[-1].at if self._ring else None

    def services(self) -> set[str]:
        """The services whose requests the last answer counts."""
        if not self._ring:
            return set()
        series = (self._known[key] for key in self._ring[-1].values)
        return {each.service for each in series if each.le is None}

    def rates(self) -> dict[SampleSeries, float]:
        """Increase per second inside the window of every counter seen at least twice; a reset counts from 0."""
        increase: dict[bytes, float] = {}
        first: dict[bytes, float] = {}
        last: dict[bytes, tuple[float, float]] = {}
        for at, values in self._ring:
            for key, value in values.items():
                if (before := last.get(key)) is None:
                    first[key] = at
                else:
                    step = value - before[1]
                    increase[key] = increase.get(key, 0.0) + (step if step >= 0 else value)
                last[key] = (at, value)
        rates: dict[SampleSeries, float] = {}
        for key, total in increase.items():
            if (series := self._known.get(key)) is not None and last[key][0] > first[key]:
                rates[series] = rates.get(series, 0.0) + total / (last[key][0] - first[key])
        return rates

    def _parse(self, key: bytes) -> SampleSeries:
        name, _, text = key.partition(b"{")
        labels = {label.decode(): _unescape(value) for label, value in LABEL.findall(text)}
        bucket = name.decode() == self._naming.durations
        return SampleSeries(
            labels.get(self._naming.service, ""),
            labels.get(self._naming.release, ""),
            "" if bucket else labels.get(self._naming.code, ""),
            float(labels["le"]) if bucket and "le" in labels else None,
        )
