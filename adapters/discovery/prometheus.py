"""Prometheus at an address: which families of HTTP metrics it has, their labels, services, and how often samples come.

Only queries are asked, which Thanos, Mimir and VictoriaMetrics answer too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from adapters.discovery.looking import Looking, answer_of, as_json
from adapters.monitors.figures import SPLITTING, Naming
from adapters.monitors.promql import PromApi, QuerySeries, one_of
from adapters.monitors.survey import Survey
from adapters.net.http_read import HttpReader
from state.discovery.families import DOTTED, FAMILIES, MetricFamily, first_label
from state.discovery.found import FoundFamily, FoundMetrics
from state.errors import ReadFailure
from state.world.readings import Scraping

BUILD = "/api/v1/status/buildinfo"
MEASURED = 5
"""Services whose samples are measured: all of a family are scraped alike, as far as anybody can propose."""


async def speaks_promql(reader: HttpReader, looking: Looking) -> bool:
    """Whether it answers queries like Prometheus. Raises ReadFailure where nothing answers."""
    answer = as_json(await answer_of(reader, "/api/v1/query?query=vector(1)", looking))
    return isinstance(answer, dict) and answer.get("status") == "success" and "data" in answer


async def find_metrics(url: str, reader: HttpReader, looking: Looking) -> FoundMetrics:
    """What a server can tell about services. Raises ReadFailure."""
    api = PromApi(reader.origin.netloc, reader)
    wanted = [metric for family in FAMILIES for metric in (family.requests, family.durations) if metric]
    counted = await api.query(f"count by (__name__) ({{{one_of('__name__', wanted)}}})", deadline=looking.deadline)
    present = {row.labels.get("__name__", "") for row in counted}
    version = await _version(reader, looking)
    looking.tell(f"{url}: Prometheus {version}, {len(present)} metrics of HTTP that are recognised")
    families = []
    for family in FAMILIES:
        if family.requests in present:
            found = await _family(api, family, looking, durations=family.durations in present)
            if found is not None:
                families.append(found)
    return FoundMetrics(
        address=url,
        version=version,
        families=tuple(families),
        dotted=await _dotted(api, looking),
        balancers=await _balancers(api, looking),
        ca=looking.ca if url.startswith("https:") else "",
    )


async def _family(api: PromApi, family: MetricFamily, looking: Looking, *, durations: bool) -> FoundFamily | None:
    """A family with its labels, None when none of them tells services."""
    asked = dict.fromkeys((*family.services, *family.codes, *family.releases))
    present: dict[str, int] = {}
    for label in asked:  # one by one: together they would be as many rows as there are series
        rows = await api.query(f'count({family.requests}{{{label}!=""}})', deadline=looking.deadline)
        present[label] = int(rows[0].value) if rows else 0
    total = await api.query(f"count({family.requests})", deadline=looking.deadline)
    series = int(total[0].value) if total else 0
    service = first_label(family.services, present, series)
    if not service:
        return None
    names = sorted(
        _values(await api.query(f"count by ({service}) ({family.requests})", deadline=looking.deadline), service)
    )
    code = first_label(family.codes, present, series)
    release = first_label(family.releases, present, series)
    naming = Naming(requests=family.requests, service=service, code=code or "code", labels=family.labels)
    pace = await _pace(api, naming, names, looking)
    return FoundFamily(
        family=family.name,
        service=service,
        code=code,
        services=tuple(names),
        release=release,
        durations=durations,
        interval=pace.interval if pace else None,
        window=pace.window if pace else None,
        stale_after=pace.limit if pace else None,
        split=await _split(api, family, service, looking),
    )


def _values(rows: Sequence[QuerySeries], label: str) -> set[str]:
    return {row.labels[label] for row in rows if row.labels.get(label)}


async def _pace(api: PromApi, naming: Naming, names: Sequence[str], looking: Looking) -> Scraping | None:
    """How samples come, measured as the engine will do it; None when too few of them are there."""
    chosen = tuple(names[:MEASURED])
    survey = Survey(api, naming, chosen)
    try:
        await survey.make(time.monotonic(), deadline=looking.deadline)
    except ReadFailure:
        return None
    known = [name for name in chosen if survey.intervals.get(name) is not None]
    slowest = max(known, key=lambda name: survey.intervals[name] or 0.0, default=None)
    return naming.scraping(survey.intervals[slowest]) if slowest is not None else None


async def _split(api: PromApi, family: MetricFamily, service: str, looking: Looking) -> dict[str, tuple[str, ...]]:
    """The labels that part the series of one service, and their values; labels that each service has one value of
    part nothing."""
    found: dict[str, tuple[str, ...]] = {}
    for label in (each for each in SPLITTING if each not in (service, *family.codes)):
        rows = await api.query(f"count by ({service}, {label}) ({family.requests})", deadline=looking.deadline)
        values: dict[str, set[str]] = {}
        for row in rows:
            values.setdefault(row.labels.get(service, ""), set()).add(row.labels.get(label, ""))
        if any(len(each) > 1 for each in values.values()):
            found[label] = tuple(sorted(set().union(*values.values())))
    return found


async def _version(reader: HttpReader, looking: Looking) -> str:
    """The version, empty where a store of another name answers."""
    try:
        answer = as_json(await answer_of(reader, BUILD, looking))
    except ReadFailure:
        return ""
    data = answer.get("data") if isinstance(answer, dict) else None
    return str(data.get("version", "")) if isinstance(data, dict) else ""


async def _balancers(api: PromApi, looking: Looking) -> tuple[str, ...]:
    """HAProxy's own figures of its processes: of its built-in exporter (`haproxy_process_…`) and the older one."""
    names = one_of("__name__", ("haproxy_process_start_time_seconds", "haproxy_process_uptime_seconds", "haproxy_up"))
    try:
        rows = await api.query(f"count by (instance) ({{{names}}})", deadline=looking.deadline)
    except ReadFailure:
        return ()
    return tuple(sorted(row.labels.get("instance", "") for row in rows))


async def _dotted(api: PromApi, looking: Looking) -> tuple[str, ...]:
    """Metrics of HTTP whose names have dots."""
    pattern = "|".join(name.replace(".", r"\\.") + "(_.*)?" for name in DOTTED)
    try:
        rows = await api.query(f'count by (__name__) ({{__name__=~"{pattern}"}})', deadline=looking.deadline)
    except ReadFailure:
        return ()
    return tuple(sorted(row.labels.get("__name__", "") for row in rows))
