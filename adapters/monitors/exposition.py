"""Reads selected metrics from Prometheus' text exposition, and computes rates of their counters.

Formats: Prometheus text 0.0.4 and OpenMetrics 1.0, whose exemplars are skipped. Lines are filtered by name before
anything is parsed, and the labels of a series are parsed once: its text is the key.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from adapters.monitors.figures import Naming
from state.errors import ReadFailure, Trouble

ACCEPT = "text/plain; version=0.0.4"
NAME = rb"[a-zA-Z_:][a-zA-Z0-9_:]*+"
QUOTED = rb'"(?:[^"\\]++|\\.)*+"'
TERM = rb"\s*+(" + NAME + rb"|" + QUOTED + rb")\s*+=\s*+(" + QUOTED + rb")\s*+"
LABEL = re.compile(TERM)
SERIES = re.compile(rb"(" + NAME + rb")\s*+(?:\{((?:" + TERM + rb",)*+(?:" + TERM + rb")?+\s*+)\})?")
"""A metric's name and, in braces, its labels: separated by commas, of which one may end the list."""
EOF = b"# EOF"
"""The end of an OpenMetrics page; every other page ends with a line feed."""
HASH, UNDERSCORE = b"#_"
"""As numbers: searching bytes for a number is several times faster than for bytes."""
ESCAPES = {b"\\\\": b"\\", b"\\n": b"\n", b'\\"': b'"'}
ESCAPE = re.compile(rb'\\[\\n"]')


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


def samples(body: bytes, names: tuple[str, ...]) -> Iterator[tuple[bytes, float]]:
    """The text of the series and the value of every sample of these metrics; timestamps are not used.

    Raises ValueError for a line of them that cannot be read.
    """
    starts = tuple(name.encode() + end for name in names for end in (b"{", b" ", b"\t"))
    for raw in body.split(b"\n"):
        line = raw if raw.startswith(starts) else raw.lstrip()
        if not line.startswith(starts):
            continue
        if HASH in line:  # an exemplar with braces of its own, or a label with this sign
            found = SERIES.match(line)
            key = found[0].rstrip() if found else b""
            rest = line[len(key) :].partition(b"#")[0]
        else:
            key, brace, rest = line.rpartition(b"}")
            if brace:
                key += brace
            else:
                key, _, rest = line.replace(b"\t", b" ").partition(b" ")
        value, *timestamp = map(float, rest.split())
        if len(timestamp) > 1 or UNDERSCORE in rest:  # Python accepts an underscore between digits
            raise ValueError("a sample must be a value and an optional timestamp")
        yield key, value


def labels_of(key: bytes) -> tuple[str, dict[str, str]]:
    """The metric's name and the labels in the text of a series. Raises ValueError."""
    found = SERIES.fullmatch(key)
    if found is None:
        raise ValueError("a series cannot be read")
    pairs = [(_text(label), _text(value)) for label, value in LABEL.findall(found[2] or b"")]
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a label occurs twice")
    return found[1].decode(), dict(pairs)


def _text(written: bytes) -> str:
    if written.startswith(b'"'):
        written = ESCAPE.sub(lambda match: ESCAPES[match[0]], written[1:-1])
    return written.decode("utf-8", "replace")


class Exposition:
    """One target's answers of the last seconds."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._known: dict[bytes, SampleSeries] = {}
        self._ring: deque[Sample] = deque()

    def take(self, body: bytes, at: float) -> None:
        """Add an answer. Raises ReadFailure when a wanted line cannot be read, or the last line is not complete."""
        if not body.endswith((b"\n", EOF)):
            raise ReadFailure(Trouble.ERROR, "the metrics end in the middle of a line")
        values: dict[bytes, float] = {}
        try:
            for key, value in samples(body, (self._naming.requests, self._naming.durations)):
                if key not in self._known:
                    self._known[key] = self._parse(key)
                if math.isfinite(value):  # NaN is no data: the counter was not seen
                    values[key] = value
        except (ValueError, KeyError) as error:
            raise ReadFailure(Trouble.ERROR, "a line of the metrics cannot be read") from error
        self._known = {key: self._known[key] for key in values} if len(self._known) > 2 * len(values) else self._known
        self._ring.append(Sample(at, values))

    def forget(self, now: float) -> None:
        """Drop the answers older than the window."""
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
        """The series. Raises ValueError, and KeyError for a bucket without its bound."""
        name, labels = labels_of(key)
        bucket = name == self._naming.durations
        return SampleSeries(
            labels.get(self._naming.service, ""),
            labels.get(self._naming.release, ""),
            "" if bucket else labels.get(self._naming.code, ""),
            float(labels["le"]) if bucket else None,
        )
