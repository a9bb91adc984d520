"""Reads selected metrics from Prometheus' text exposition, and computes rates of their counters.

Formats: Prometheus text 0.0.4 and OpenMetrics 1.0, whose exemplars are skipped. A page is read whole or not at all: a
line that is of neither format is an error with its number. The labels of a series are parsed once, as long as they are
written alike.
"""

from __future__ import annotations

import math
import re
import sys
from collections import deque
from collections.abc import Collection, Mapping
from typing import NamedTuple

from adapters.monitors.few_requests import FewRequests, ScrapeStep
from adapters.monitors.figures import FALLING_SHARE, FALLS_AT_LEAST, FALLS_LOOKED_AT, FEW_REQUESTS, LONGER, Naming
from adapters.monitors.page import EOF, UnreadableLine, check_page, pieces
from adapters.monitors.processes import OFTEN, STARTED, ProcessWatch, plausible, usual_rate
from adapters.monitors.sample_lines import SampleLine, labels_of, samples
from state.errors import ReadFailure, Trouble

ACCEPT = "text/plain; version=0.0.4"
BOM = b"\xef\xbb\xbf"
MOST_GONE = 1000
"""Series that are remembered after they have gone."""


class SampleSeries(NamedTuple):
    """What one counter counts. `le` is a bucket's upper bound, None for a request counter; `histogram` has all other
    labels of a bucket: those of one histogram."""

    service: str
    release: str
    code: str
    le: float | None
    histogram: str = ""


class Sample(NamedTuple):
    """Every wanted counter of one answer; `at` is monotonic seconds, when its newest sample was taken. `totals` are the
    requests of each service over all its series."""

    at: float
    values: dict[bytes, float]
    totals: dict[str, float]


class _Page(NamedTuple):
    """What an answer says: its counters, the newest timestamp of each service's requests, infinite where a line has
    none, and when its process started, if it says so once."""

    values: dict[bytes, float]
    stamps: dict[str, float]
    started: float | None


class Exposition:
    """One target's answers of the last seconds, for these services only."""

    def __init__(self, naming: Naming, services: Collection[str], window: float) -> None:
        self.naming, self._services, self.window = naming, frozenset(services), window
        self._known: dict[bytes, SampleSeries] = {}
        self._spelled: dict[bytes, bytes] = {}
        """The key of a series by its text on the last page: some exporters change the order of its labels."""
        self._ring: deque[Sample] = deque()
        self._left: dict[bytes, float] = {}
        """What series had that the answers since do not have: one that comes back is not new."""
        self._few = FewRequests(LONGER[-1] if naming.window is None else 0.0)
        self._behind: dict[str, float] = {}
        self._processes = ProcessWatch()
        self._falls: dict[bytes, int] = {}
        """A bit for each of a request counter's last steps, 1 where it fell, behind a leading 1."""
        self._type = re.compile(rb"^#[ \t]+TYPE[ \t]+" + naming.requests.encode() + rb"[ \t]+(\w+)", re.MULTILINE)
        self.spoiled: set[str] = set()
        """The services of which a request counter of the last answer is not a number."""
        self.spoiled_buckets: set[SampleSeries] = set()

    def take(self, body: bytes, at: float, wall: float = 0.0, media: str = "") -> None:
        """Add an answer that came at this monotonic and wall time.

        Raises ReadFailure when it is not a whole page of metrics, with the number of the first line that is not.
        """
        body = body.removeprefix(BOM)
        check_page(body, media)
        kinds = [found for start, end in pieces(body) for found in self._type.findall(body, start, end)]
        if self.naming.counts_up([kind.decode().lower() for kind in kinds]) is False:
            raise ReadFailure(Trouble.ERROR, f"{self.naming.requests} is a gauge and no counter: check `requests`")
        try:
            values, stamps, started = self._values(body)
        except UnreadableLine as error:
            raise ReadFailure(Trouble.ERROR, error.message) from error
        unit = 1.0 if body.rstrip().endswith(EOF) else 1000.0  # OpenMetrics has seconds, the older format milliseconds
        late = {service: max(0.0, wall - stamp / unit) for service, stamp in stamps.items()}
        least = min(late.values(), default=0.0)
        at -= least
        if self._ring and at <= self._ring[-1].at:
            return  # the same samples as before: the target took no new ones
        totals: dict[str, float] = {}
        for key, value in values.items():
            if (series := self._known[key]).le is None:
                totals[series.service] = totals.get(series.service, 0.0) + value
        restarted = self._processes.restarted(started, at, totals)
        for service in self._watch_falls(values, restarted=restarted):
            most = self._plausible(service, at - self._ring[-1].at)
            if most is None:
                self._few.clear()
                self._left.clear()
                self._ring.clear()  # how much it can have counted since its start is not known yet: begin again
                break
            if totals[service] > most:
                self._processes.tell(service, at)
        self._behind = {service: each - least for service, each in late.items()}
        self._ring.append(Sample(at, values, totals))

    def _watch_falls(self, values: dict[bytes, float], *, restarted: bool) -> set[str]:
        """The services of which a request counter has just fallen; what falls as its process starts again is a counter
        all the same."""
        before = self._ring[-1].values if self._ring else {}
        falls, fallen = {}, set()
        for key, value in values.items():
            if self._known[key].le is None:
                steps = self._falls.get(key, 1)
                if key in before:
                    fell = value < before[key]
                    steps = steps << 1 | (fell and not restarted)
                    if fell:
                        fallen.add(self._known[key].service)
                    if steps >> FALLS_LOOKED_AT + 1:
                        steps = steps % (1 << FALLS_LOOKED_AT) | 1 << FALLS_LOOKED_AT
                falls[key] = steps
        self._falls = falls
        return fallen

    def _plausible(self, service: str, seconds: float) -> float | None:
        """How many requests of a service a process can have counted from 0 in so many seconds, None = unknown."""
        return plausible(self._totals(service), seconds)

    def _totals(self, service: str) -> list[tuple[float, float]]:
        return [(each.at, each.totals[service]) for each in self._ring if service in each.totals]

    def several(self) -> set[str]:
        """The services that several processes count behind this one address."""
        return self._processes.several(self._ring[-1].at) if self._ring else set()

    def falling(self) -> set[str]:
        """The services of which a request counter falls again and again, and no restart explains it: it is none."""
        found = set()
        for key, steps in self._falls.items():
            fell = steps.bit_count() - 1
            if fell >= FALLS_AT_LEAST and fell >= FALLING_SHARE * (steps.bit_length() - 1):
                found.add(self._known[key].service)
        return found

    def uncounted(self) -> set[str]:
        """The services of which a request counter has parts of a request, whatever its type or its name says."""
        broken = {key for answer in self._ring for key, value in answer.values.items() if value % 1}
        return {self._known[key].service for key in broken if self._known[key].le is None}

    def _values(self, body: bytes) -> _Page:
        """The wanted counters of a page. Raises UnreadableLine."""
        values: dict[bytes, float] = {}
        starts: list[float] = []
        stamps: dict[str, float] = {}
        spoiled: set[str] = set()
        spoiled_buckets: set[SampleSeries] = set()
        here: dict[bytes, bytes] = {}
        for line in samples(body, (self.naming.requests, self.naming.durations, STARTED)):
            if line.key.startswith(STARTED.encode()):
                starts.append(line.value)
                continue
            key = self._spelled.get(line.key) or self._parse(line)
            if key in here:
                raise UnreadableLine(line.number, b"the same series again: " + line.key)
            here[key] = line.key
            series = self._known[key]
            if series.service not in self._services:
                continue
            if math.isfinite(line.value):
                values[key] = line.value
            elif series.le is None:
                spoiled.add(series.service)
            else:
                spoiled_buckets.add(series)
            if series.le is None:
                stamp = math.inf if line.timestamp is None else line.timestamp
                stamps[series.service] = max(stamp, stamps.get(series.service, -math.inf))
        self.spoiled, self.spoiled_buckets = spoiled, spoiled_buckets
        self._spelled = {text: key for key, text in here.items()}
        if len(self._known) > 2 * len(here) + MOST_GONE:  # series come and go
            held = set().union(here, *(answer.values for answer in self._ring))
            self._known = {each: self._known[each] for each in held}
        return _Page(values, stamps, starts[0] if len(starts) == 1 and math.isfinite(starts[0]) else None)

    def forget(self, now: float) -> None:
        """Drop the answers older than the window, but for the last one: it tells how old the newest samples are."""
        while len(self._ring) > 1 and now - self._ring[0].at > self.window:
            gone = self._ring.popleft()
            if self.naming.window is None:
                self._few.add(self._step(gone, self._ring[0]))
            left = [each for each in {**self._left, **gone.values}.items() if each[0] not in self._ring[0].values]
            self._left = dict(left[-MOST_GONE:])

    def _step(self, before: Sample, after: Sample) -> ScrapeStep:
        requests = {service: 0.0 for service in after.totals if service in before.totals}
        grown: dict[str, dict[bytes, float]] = {service: {} for service in requests}
        had = {**self._left, **before.values}
        new = {key: value for key, value in after.values.items() if key not in had}
        moved = new.keys() - self._begun(new, dict.fromkeys(requests, FEW_REQUESTS - 1.0))
        for key, value in after.values.items():
            series, last = self._known[key], had.get(key, 0.0)
            more = value - last if value >= last else value
            if more and series.service in grown and key not in moved:
                grown[series.service][key] = more
                requests[series.service] += more if series.le is None else 0.0
        return ScrapeStep(before.at, after.at, requests, grown)

    def newest(self, service: str) -> float | None:
        """When the last samples of a service's requests were taken, monotonic seconds."""
        return self._ring[-1].at - self._behind.get(service, 0.0) if self._ring else None

    def services(self) -> set[str]:
        """The services whose requests the last answer counts."""
        if not self._ring:
            return set(self.spoiled)
        series = (self._known[key] for key in self._ring[-1].values)
        return {each.service for each in series if each.le is None} | self.spoiled

    def rates(self) -> tuple[dict[SampleSeries, float], dict[SampleSeries, float]]:
        """Increase per second inside the window of every counter with an increase to tell; a reset counts from 0. And
        apart from it that of request counters that may have had it before.

        So does a series that the answer before did not have, while the service was counted there: each failed request
        may be a series of its own. One with more than a process can have counted since was counted elsewhere before.
        """
        increase: dict[bytes, float] = {}
        last: dict[bytes, float] = {}
        unsure: dict[bytes, float] = {}
        spans: dict[str, tuple[float, float]] = {}
        previous: Sample | None = None
        for sample in self._ring:
            at, new = sample.at, dict[bytes, float]()
            for service in sample.totals:
                spans[service] = (spans[service][0] if service in spans else at, at)
            for key, value in sample.values.items():
                before = last.get(key)
                if before is None and previous is not None and self._known[key].service in previous.totals:
                    before = self._left.get(key)
                    if before is None:
                        new[key] = value
                if before is not None:
                    increase[key] = increase.get(key, 0.0) + (value - before if value >= before else value)
                last[key] = value
            if previous is not None and new:
                services, seconds = {self._known[key].service for key in new}, at - previous.at
                most = {service: self._plausible(service, seconds) or 0.0 for service in services}
                begun = self._begun(new, most)
                unsure.update((key, new[key]) for key in begun & self._moved(new, previous, seconds))
                increase.update((key, new[key]) for key in begun if key not in unsure)
            previous = sample
        self._lengthen(increase, spans)
        return self._per_second(increase, spans), self._per_second(unsure, spans)

    def _per_second(
        self, increase: Mapping[bytes, float], spans: Mapping[str, tuple[float, float]]
    ) -> dict[SampleSeries, float]:
        rates: dict[SampleSeries, float] = {}
        for key, total in increase.items():
            series = self._known[key]
            first, newest = spans.get(series.service, (0.0, 0.0))
            if newest > first:
                rates[series] = rates.get(series, 0.0) + total / (newest - first)
        return rates

    def _moved(self, new: Mapping[bytes, float], before: Sample, seconds: float) -> set[bytes]:
        """Of request counters that are new since an answer those that may have had their requests before: more than is
        usual, or beside a new series for each code that was counted, as series that were renamed."""
        found = set[bytes]()
        requests = {key: self._known[key] for key in new if self._known[key].le is None}
        for service in {series.service for series in requests.values()}:
            mine = {key for key, series in requests.items() if series.service == service}
            counted = (self._known[key] for key in before.values)
            codes = {each.code for each in counted if each.le is None and each.service == service}
            usual = FEW_REQUESTS + OFTEN * (usual_rate(self._totals(service)) or 0.0) * seconds
            renamed = codes <= {requests[key].code for key in mine}
            found |= {key for key in mine if renamed or new[key] > usual}
        return found

    def _begun(self, new: Mapping[bytes, float], most: Mapping[str, float]) -> set[bytes]:
        """Of series that are new those that began at 0. What has more than a process can have counted, with all buckets
        of its histogram, was counted elsewhere before."""
        series = {key: self._known[key] for key in new}
        more = {key for key, value in new.items() if value > most.get(series[key].service, 0.0)}
        moved = {series[key].histogram for key in more} - {""}
        return {key for key in new if key not in more and series[key].histogram not in moved}

    def _lengthen(self, increase: dict[bytes, float], spans: dict[str, tuple[float, float]]) -> None:
        """Add to services with few requests inside the window what they counted just before it."""
        requests = dict.fromkeys(spans, 0.0)
        for key, more in increase.items():
            if (series := self._known[key]).le is None:
                requests[series.service] = requests.get(series.service, 0.0) + more
        for service, (first, newest) in spans.items():
            if newest <= first:
                continue  # one answer inside the window: how many requests it has is not known
            earlier, since = self._few.before(service, requests[service])
            spans[service] = first if since is None else since, newest
            for key, more in earlier.items():
                increase[key] = increase.get(key, 0.0) + more

    def _parse(self, line: SampleLine) -> bytes:
        """The key of a line's series, known from now on. Raises UnreadableLine, also for a bucket without its bound."""
        try:
            name, labels = labels_of(line.key)
            bucket = name == self.naming.durations
            key = repr((name, sorted(labels.items()))).encode()
            bound = labels.pop("le") if bucket else None
            self._known[key] = SampleSeries(
                sys.intern(labels.get(self.naming.service, "") if self.naming.chosen(labels) else ""),
                labels.get(self.naming.release, ""),
                "" if bucket else labels.get(self.naming.code, ""),
                None if bound is None else float(bound),
                sys.intern(repr(sorted(labels.items()))) if bucket else "",
            )
            return key
        except (ValueError, KeyError) as error:
            raise UnreadableLine(line.number, line.key) from error
