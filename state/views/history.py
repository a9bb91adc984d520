"""The last hour of every service's figures and of every standby's lag: what was shown, and of services before this
engine what their monitors remember."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from state.api.views.history import BLOCK, POINTS, STEP, HistoryBlock, HistoryView, LagBlock
from state.journal.events import Event, Recorded
from state.journal.projection import FoldSetting, Projection, about_nothing
from state.verdicts.judge import Judgement
from state.views.context import ViewContext
from state.world.observed import Observed
from state.world.readings import MetricsReading, Reading

Figures = tuple[float | None, float | None, float | None]
"""5xx ratio, requests/s, p99 in seconds; of a standby the bytes it is behind, and nothing else."""
_Values = tuple[float | None, ...]
_Block = tuple[float, tuple[_Values, _Values, _Values]]


@dataclass(slots=True)
class _Point:
    """What was shown within STEP seconds: per figure the sum and how many; `past` is what a monitor remembers."""

    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    past: Figures = (None, None, None)

    def add(self, figures: Figures) -> None:
        for place, value in enumerate(figures):
            if value is not None and math.isfinite(value):
                self.sums[place] += value
                self.counts[place] += 1

    def value(self, place: int) -> float | None:
        if self.counts[place]:
            return _short(self.sums[place] / self.counts[place])
        before = self.past[place]
        return None if before is None or not math.isfinite(before) else _short(before)


class History:
    """Points by service and number: number times STEP is the start of a point in epoch seconds.

    Nothing of it is in the journal. After a restart the points come back from the monitors that remember them.
    """

    def __init__(self, setting: FoldSetting) -> None:
        self._estate, self._judge, self._clock = setting.estate, setting.judge, setting.clock
        self._points: dict[str, dict[int, _Point]] = defaultdict(dict)
        self._lags: dict[tuple[str, str], dict[int, _Point]] = defaultdict(dict)
        self._taken: dict[str, Observed[Reading]] = {}
        self._now = -1
        self._view: HistoryView | None = None

    def fold(self, recorded: Recorded) -> None:
        """Entries add nothing to it."""

    def on_reading(self, now: Observed[Reading]) -> None:
        """Take what a monitor remembers, for the services that have this monitor."""
        reading = now.value
        if not isinstance(reading, MetricsReading) or not reading.past:
            return
        monitor = now.source.partition(":")[2]
        for name, service in self._estate.services.items():
            metrics = service.metrics
            if metrics is not None and monitor in metrics.monitors:
                better = metrics.monitors.index(monitor) == 0
                for at, *figures in reading.past.get(metrics.service, ()):
                    point = self._points[name].setdefault(int(at // STEP), _Point())
                    if better or point.past == (None, None, None):
                        point.past = (figures[0], figures[1], figures[2])
        self._view = None

    def notice(self, now_mono: float) -> Sequence[Event]:
        """Take the figures that are shown now, once for each reading."""
        judged = self._judge.at(now_mono)
        self._estate = judged.estate
        number = int(self._clock.wall() // STEP)
        for name, verdict in judged.services.items():
            seen = judged.world.observed.get(verdict.source)
            if verdict.traffic is None or seen is None or seen.at is None or self._taken.get(name) is seen:
                continue
            self._taken[name] = seen
            shown = verdict.traffic
            point = self._points[name].setdefault(int(seen.at // STEP), _Point())
            point.add((shown.error_ratio, shown.rate, shown.p99))
        self._notice_lags(judged)
        if number != self._now:
            self._now = number
            self._forget(number)
            self._view = None
        return ()

    def _notice_lags(self, judged: Judgement) -> None:
        """Take how far each standby is behind, once for each reading of it."""
        for name, cluster in judged.clusters.items():
            for node, verdict in cluster.nodes.items():
                seen = verdict.facts.postgres_seen
                if verdict.lag.replay is None or seen is None or seen.at is None:
                    continue
                if self._taken.get(verdict.facts.postgres_key) is not seen:
                    self._taken[verdict.facts.postgres_key] = seen
                    point = self._lags[name, node].setdefault(int(seen.at // STEP), _Point())
                    point.add((float(verdict.lag.replay), None, None))

    def _forget(self, number: int) -> None:
        """Drop what is older than an hour, and what lies ahead since the wall clock was set back."""
        for points in (*self._points.values(), *self._lags.values()):
            for old in [each for each in points if not number - POINTS <= each <= number + 1]:
                del points[old]

    @property
    def view(self) -> HistoryView:
        """The finished points: the one that is being made now is not shown, so a row changes once in STEP seconds."""
        if self._view is None:
            blocks: dict[str, HistoryBlock] = {}
            for name, points in self._points.items():
                for block, (start, (errors, rate, p99)) in _blocks(self._finished(points)):
                    blocks[f"{name}/{block}"] = HistoryBlock(name, start, errors, rate, p99)
            lags: dict[str, LagBlock] = {}
            for (name, node), points in self._lags.items():
                for block, (start, (behind, _, _)) in _blocks(self._finished(points)):
                    lags[f"{name}/{node}/{block}"] = LagBlock(name, node, start, behind)
            self._view = HistoryView(blocks, lags)
        return self._view

    def _finished(self, points: Mapping[int, _Point]) -> Mapping[int, _Point]:
        return {number: point for number, point in points.items() if number < self._now}


def _blocks(points: Mapping[int, _Point]) -> Iterable[tuple[int, _Block]]:
    """Each block by its number: when it starts, and the values of its three figures."""
    last = max(points, default=-1)
    for block in sorted({number // BLOCK for number in points}):
        first = block * BLOCK
        numbers = range(first, min(first + BLOCK, last + 1))
        held = [points.get(number) for number in numbers]
        errors, rate, p99 = (tuple(None if p is None else p.value(place) for p in held) for place in range(3))
        yield block, (first * STEP, (errors, rate, p99))


def _short(value: float) -> float:
    """Three digits: enough for a chart, and a value that is not zero stays so."""
    return float(f"{value:.3g}")


def build(context: ViewContext) -> HistoryView:
    """The last hour of all services."""
    return context.memory.keep("history", context.of(History).view)


HISTORY = Projection(History, History, (), History.fold, History.on_reading, History.notice, subjects=about_nothing)
