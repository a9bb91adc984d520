"""Prometheus' HTTP API and the expressions that are asked; each names the services it is about, and no others.

Source: Prometheus documentation, "HTTP API" and "Querying basics".
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlencode

from adapters.monitors.figures import FALLS_AT_LEAST, FALLS_LOOKED_AT, FEW_REQUESTS, SPECIAL, Naming
from adapters.monitors.histograms import QUANTILE
from adapters.monitors.processes import BURST, FEW, KEPT, OFTEN, SAME, STARTED
from adapters.monitors.watchdog import clock_of
from adapters.net.answers_read import MALFORMED, Ambiguous, read_json, understood
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from state.errors import ReadFailure, Trouble
from state.world.readings import Scraping

FIGURE = "recovery_figure"
NOW = "now"
"""The figure that is the server's own time as it answers."""
BATCH = 5
"""Services in one expression: a request stays below the 8 KB that proxies take."""
PLACES = 50
"""Scrape targets in one expression."""
OWN_LOOK_BACK = 30.0
"""Seconds; samples that come more rarely are looked for in a range, since an instant may lie past the look-back."""
BAD, UNAVAILABLE, DENIED = 400, 503, (401, 403)
MOST_SERIES = 10_000
"""Series of an answer: each is looked at on the event loop."""
SHOWN = 200
"""So many characters of an error are told."""
SINGLE = {"scalar": "write vector(…)", "string": "no condition fits it"}
"""Results that are none of series, and what to do."""
REMARK = "PromQL info"
"""How a warning begins that takes nothing away. Every other says that series were left out of the result (PromQL), or
that the data of a store is missing (remote read, Thanos), as `isPartial` does (VictoriaMetrics)."""


Place = tuple[str, str]
"""A scrape target by its labels `job` and `instance`."""


@dataclass(frozen=True, slots=True)
class QuerySeries:
    """One series of an answer: its labels and its points (epoch seconds, value)."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The newest value, NaN without one."""
        return self.points[-1][1] if self.points else math.nan


class PromApi:
    """One server's API."""

    def __init__(self, name: str, reader: HttpReader) -> None:
        self.name = name
        self._reader = reader

    async def query(self, expression: str, *, deadline: float, look_back: float | None = None) -> list[QuerySeries]:
        """An instant query, without samples older than `look_back` seconds: the server leaves them out, but not where
        the expression asks for a range; then series that end earlier are left out here. Raises ReadFailure."""
        limit = {} if look_back is None else {"lookback_delta": f"{look_back:g}s"}
        return await self._ask("/api/v1/query", {"query": expression, **limit}, deadline, look_back)

    async def query_range(
        self, expression: str, start: float, end: float, step: float, *, deadline: float
    ) -> list[QuerySeries]:
        """A range query, epoch seconds and a step in seconds. Raises ReadFailure."""
        parameters = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return await self._ask("/api/v1/query_range", parameters, deadline)

    async def kinds(self, metric: str, *, deadline: float) -> frozenset[str]:
        """The types that scrape targets declare of a metric; none where nobody keeps them. Raises ReadFailure."""
        path = "/api/v1/metadata"
        reply = await self._reader.fetch(_target(path, (("metric", metric),)), deadline=deadline)
        try:
            told = read_json(self._reader.usable(reply, path).body)["data"].get(metric) or ()
            return frozenset(str(each["type"]).lower() for each in told)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: the answer is not Prometheus'") from error

    async def _ask(
        self, path: str, parameters: dict[str, str], deadline: float, look_back: float | None = None
    ) -> list[QuerySeries]:
        reply = await self._reader.fetch(_target(path, tuple(parameters.items())), deadline=deadline)
        if why := _refusal(reply):
            raise ReadFailure(Trouble.ERROR, f"{self.name} answered {reply.status}: {why}")
        since = None if look_back is None else clock_of(reply.date, time.time()) - look_back
        try:
            return await understood(self._reader.usable(reply, path).body, partial(self._rows, since=since))
        except Ambiguous as error:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {error}") from error
        except MALFORMED as error:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: the answer is not Prometheus'") from error

    def _rows(self, answer: Any, *, since: float | None) -> list[QuerySeries]:
        """The series of an answer, of a range those with a sample since an instant (epoch seconds)."""
        if answer["status"] != "success":
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {answer.get('error', 'no success')}")
        missing = [each for each in answer.get("warnings") or () if not each.startswith(REMARK)]
        if missing or answer.get("isPartial") is True:
            raise ReadFailure(Trouble.ERROR, f"{self.name} answered in part: {'; '.join(missing) or 'no reason'}")
        data = answer["data"]
        if (single := data.get("resultType")) in SINGLE:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: the query gives a {single}, no series: {SINGLE[single]}")
        told = data["result"] or ()
        if len(told) > MOST_SERIES:
            raise ReadFailure(Trouble.ERROR, f"{self.name} answered with {len(told)} series, more than {MOST_SERIES}")
        rows = [_series(row) for row in told]
        if since is None or single != "matrix":
            return rows
        return [row for row in rows if row.points and row.points[-1][0] >= since]

    async def close(self) -> None:
        await self._reader.close()


@lru_cache(maxsize=256)
def _target(path: str, parameters: tuple[tuple[str, str], ...]) -> str:
    """Path and query as they are sent; the same query is asked every second."""
    return f"{path}?{urlencode(parameters)}"


def _refusal(reply: Reply) -> str:
    """What Prometheus says of a question that it does not answer; empty for all else."""
    if reply.status < BAD or reply.status in DENIED:
        return ""
    with suppress(ValueError, KeyError, TypeError):
        answer = read_json(reply.body)
        if answer["status"] == "error":
            return str(answer["error"])[:SHOWN]
    starts = reply.status == UNAVAILABLE
    return f"{reply.text[:SHOWN]} (it says so while it starts and reads its log)" if starts else ""


def _series(row: dict[str, Any]) -> QuerySeries:
    if "value" not in row and "values" not in row and ("histogram" in row or "histograms" in row):
        raise ReadFailure(Trouble.ERROR, "the metric is a native histogram, which is not read")
    pairs = row["values"] if "values" in row else [row["value"]]
    labels = dict(row["metric"])
    if not all(isinstance(each, str) for pair in labels.items() for each in pair):
        raise TypeError("labels are texts")
    return QuerySeries(labels, tuple((float(at), float(value)) for at, value in pairs))


def text_of(value: str) -> str:
    """A string of PromQL, in quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def one_of(label: str, values: Iterable[str]) -> str:
    """A matcher of a label that has one of these values, and nothing else."""
    pattern = "|".join(SPECIAL.sub(lambda sign: "\\" + sign[0], value) for value in values)
    return f"{label}=~{text_of(pattern)}"


def matchers(naming: Naming, services: Iterable[str]) -> str:
    """Those of the series of some services."""
    chosen = (one_of(label, naming.labels[label]) for label in sorted(naming.labels))
    return ", ".join((one_of(naming.service, services), *chosen))


def span(seconds: float) -> str:
    """A duration as PromQL takes it."""
    return f"{max(1, round(seconds * 1000))}ms"


def batches(services: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The services in groups that fit into one expression."""
    for start in range(0, len(services), BATCH):
        yield tuple(services[start : start + BATCH])


def groups(paces: Mapping[str, Scraping]) -> Iterator[tuple[Scraping, tuple[str, ...]]]:
    """The services that are asked for in one expression: those with the same interval."""
    for pace in dict.fromkeys(paces.values()):
        for names in batches([name for name in sorted(paces) if paces[name] == pace]):
            yield pace, names


def at_once(parts: Mapping[str, str]) -> str:
    """Some figures of this instant, and the server's time: without it nobody knows of which instant an answer is."""
    return _joined({**parts, NOW: "vector(time())"})


def _joined(parts: Mapping[str, str]) -> str:
    return " or ".join(f'label_replace({part}, "{FIGURE}", "{name}", "", "")' for name, part in parts.items())


GONE_WITHIN = 600.0
"""Seconds for which a target that is none any more is still missed."""


def _new(naming: Naming, services: Sequence[str], pace: Scraping) -> tuple[str, str]:
    """The series that were not there before the window, by what they had at first: those that began at 0, and all that
    may have done so.

    `rate` leaves out the first sample of a series: without it, failures that have a series each are none. Where each
    code that a target counted has a new series, its series were renamed, or are there twice, with what they had.
    """
    whole, window = f"{naming.requests}{{{matchers(naming, services)}}}", pace.window
    within, earlier = f"[{span(window)}]", f"[{span(window)}] offset {span(window)}"
    place = ", ".join(dict.fromkeys((naming.service, "job", "instance")))
    coded = ", ".join(dict.fromkeys((naming.service, "job", "instance", naming.code)))
    new = f"(min_over_time({whole}{within}) unless last_over_time({whole}{earlier}))"
    usual = f"sum by ({place}) (rate({whole}{earlier})) * {pace.interval or window:g}"
    some = f"{new} <= on ({place}) group_left () ({OFTEN:g} * {usual} + {FEW_REQUESTS:g})"
    most = f"{new} <= on ({place}) group_left () ({BURST:g} * {usual} + {FEW:g})"
    stays = f"(last_over_time({whole}{earlier}) unless on ({coded}) {new})"
    return f"({some} and on ({place}) {stays})", f"({most})"


def _rated(naming: Naming, services: Sequence[str], pace: Scraping) -> dict[str, str]:
    """What the services counted per second by code, in series that stay and in those that began."""
    within, window = f"[{span(pace.window)}]", f"{pace.window:g}"
    only, by = matchers(naming, services), ", ".join((naming.service, naming.release))
    born, new = _new(naming, services, pace)
    return {
        "rate": f"sum by ({by}, {naming.code}) (rate({naming.requests}{{{only}}}{within}))",
        "born": f"sum by ({by}, {naming.code}) ({born} / {window})",
        "new": f"sum by ({by}, {naming.code}) ({new} / {window})",
        "bucket": f"sum by ({by}, le) (rate({naming.durations}{{{only}}}{within}))",
    }


def figures_query(naming: Naming, services: Sequence[str], pace: Scraping) -> str:
    """All figures of some services in one expression; an added label distinguishes them."""
    parts = _rated(naming, services, pace)
    stamps = f"timestamp({naming.requests}{{{matchers(naming, services)}}})"
    parts["age"] = f"time() - max by ({naming.service}) ({stamps})"
    if pace.interval is not None and pace.interval > OWN_LOOK_BACK:
        before = f"max_over_time({stamps}[{span(pace.limit)}:{span(pace.interval / 10)}])"  # blind for its last step
        parts["age_before"] = f"time() - max by ({naming.service}) ({before})"
    counters = f"{naming.requests}{{{matchers(naming, services)}}}"
    looked = max(pace.window, FALLS_LOOKED_AT * (pace.interval or 0.0))
    seen = f"[{span(looked)}]"
    share = f"(resets({counters}{seen}) >= {FALLS_AT_LEAST}) / count_over_time({counters}{seen})"
    parts["falls"] = f"max by ({naming.service}) ({share})"
    most = (
        f"{3 * (pace.interval or 0.0) / looked:g} * increase({counters}{seen})"  # a restarted one has little at first
    )
    fell = f"(resets({counters}{seen}) > 0 and min_over_time({counters}{seen}) > {FEW:g} + {most})"
    broken = (f"({over}_over_time({counters}{seen}) % 1 > 0)" for over in ("sum", "max"))
    parts["broken"] = f"count by ({naming.service}) ({' or '.join(broken)})"
    parts["several"] = f"count by ({naming.service}) {fell}"
    return at_once(parts)


def hour_query(naming: Naming, services: Sequence[str], pace: Scraping) -> str:
    """The figures of some services as a chart needs them, for a range query."""
    by, within = naming.service, f"[{span(pace.window)}]"
    rated = _rated(naming, services, pace)
    durations = f"rate({naming.durations}{{{matchers(naming, services)}}}{within})"
    parts = {name: f"sum by ({by}, {naming.code}) ({rated[name]})" for name in ("rate", "born")}
    parts["p99"] = f"histogram_quantile({QUANTILE}, sum by ({by}, le) ({durations}))"
    return _joined(parts)


def places_query(naming: Naming, services: Sequence[str], seconds: float, *, before: float = 0.0) -> str:
    """Which scrape targets counted requests of some services lately, or so many seconds before."""
    by = ", ".join(dict.fromkeys((naming.service, "job", "instance")))
    offset = f" offset {span(before)}" if before else ""
    counted = f"{naming.requests}{{{matchers(naming, services)}}}[{span(seconds)}]{offset}"
    return f"group by ({by}) (last_over_time({counted}))"


def splits_query(naming: Naming, services: Sequence[str], seconds: float) -> str:
    """By which of the labels that should tell nothing apart the series of some services differ."""
    by = ", ".join((naming.service, *naming.splitting))
    return f"group by ({by}) (last_over_time({naming.requests}{{{matchers(naming, services)}}}[{span(seconds)}]))"


def place_queries(places: Collection[Place], limit: float) -> Iterator[str]:
    """What became of these scrape targets: `here` they had a good scrape within so many seconds, `down` none; `gone`
    they were targets lately and are none now; `before` they were some time ago; `several` processes answer at them."""
    ordered = sorted(places)
    for start in range(0, len(ordered), PLACES):
        some = ordered[start : start + PLACES]
        jobs, instances = sorted({job for job, _ in some}), sorted({instance for _, instance in some})
        only = f"{{{one_of('job', jobs)}, {one_of('instance', instances)}}}"
        up, started, seen = f"max_over_time(up{only}[{span(limit)}])", f"{STARTED}{only}", f"[{span(KEPT)}]"
        apart = f"max_over_time({started}{seen}) - min_over_time({started}{seen}) > {SAME:g}"
        yield at_once(
            {
                "here": f"({up} == 1)",
                "down": f"({up} == 0)",
                "gone": f"(max_over_time(up{only}[{span(GONE_WITHIN)}]) unless {up})",
                "before": f"last_over_time(up{only}[{span(limit)}] offset {span(GONE_WITHIN)})",
                "several": f"(resets({started}{seen}) >= 2 and {apart})",
            }
        )


def bound_of(row: QuerySeries) -> float:
    """The upper bound of a bucket, NaN for one that is no number."""
    try:
        return float(row.labels.get("le", ""))
    except ValueError:
        return math.nan
