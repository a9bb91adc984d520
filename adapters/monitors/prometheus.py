"""Prometheus (2.x and 3.x) over its HTTP API: the figures of all services in one query.

Source: Prometheus documentation, "HTTP API". Sample ages are Prometheus' own: its clock minus the sample's timestamp.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Single
from adapters.monitors.figures import QUANTILE, Naming, Tally, number
from adapters.net.http_read import HttpReader
from state.errors import ReadFailure, Trouble
from state.estate.model import MonitorEntry
from state.world.readings import MetricsReading

KIND = "prometheus"
FIGURE = "recovery_figure"
ABOUT_THE_QUERY = "PromQL "
"""How a warning about the expression begins. Every other warning says that the data of a store is missing (remote read,
Thanos), as `isPartial` does (VictoriaMetrics)."""


class PrometheusOptions(MonitorEntry, Single, Naming):
    """`url` of the server (with its path prefix, if any), and the names of the metrics."""


OPTIONS = PrometheusOptions


@dataclass(frozen=True, slots=True)
class QuerySeries:
    """One series of an answer: its labels and its points (epoch seconds, value)."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float | None:
        """The newest value; NaN is no data."""
        return number(self.points[-1][1]) if self.points else None


class Prometheus:
    """One server's API."""

    def __init__(self, name: str, reader: HttpReader, naming: Naming) -> None:
        self.name = name
        self._reader = reader
        self._naming = naming
        self._figures = figures_query(naming)

    async def read(self, *, deadline: float) -> MetricsReading:
        """The figures of every service with fresh samples. Raises ReadFailure, EMPTY when all are too old."""
        tally, ages = Tally(), {}
        rows = await self.query(self._figures, deadline=deadline)
        for row in rows:
            service = row.labels.get(self._naming.service, "")
            if row.labels.get(FIGURE) == "age" and row.value is not None:
                ages[service] = max(0.0, row.value)
        if not ages:
            raise ReadFailure(Trouble.EMPTY, f"{self.name} has no series {self._naming.requests}")
        limit = self._naming.sample_limit
        youngest = min(ages.values())
        if youngest > limit:
            message = f"the newest sample of {self.name} is {youngest:.0f} s old, more than {limit:g} s"
            raise ReadFailure(Trouble.EMPTY, message)
        tally.services = {service for service, age in ages.items() if age <= limit}
        for row in rows:
            self._take(tally, row)
        return MetricsReading(tally.traffic(), youngest)

    def _take(self, tally: Tally, row: QuerySeries) -> None:
        service, value = row.labels.get(self._naming.service, ""), row.value
        if service not in tally.services or value is None:
            return
        pair = (service, row.labels.get(self._naming.release, ""))
        match row.labels.get(FIGURE):
            case "rate":
                tally.rates[pair] = value
            case "errors":
                tally.errors[pair] = value
            case "p99":
                tally.p99[pair] = value
            case "service_p99":
                tally.service_p99[service] = value

    async def query(self, expression: str, *, deadline: float) -> list[QuerySeries]:
        """An instant query. Raises ReadFailure."""
        return await self._ask("/api/v1/query", {"query": expression}, deadline)

    async def query_range(
        self, expression: str, start: float, end: float, step: float, *, deadline: float
    ) -> list[QuerySeries]:
        """A range query, epoch seconds and a step in seconds. Raises ReadFailure."""
        parameters = {"query": expression, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return await self._ask("/api/v1/query_range", parameters, deadline)

    async def _ask(self, path: str, parameters: dict[str, str], deadline: float) -> list[QuerySeries]:
        body = await self._reader.get(_target(path, tuple(parameters.items())), deadline=deadline)
        try:
            answer = json.loads(body)
            if answer["status"] != "success":
                raise ReadFailure(Trouble.ERROR, f"{self.name}: {answer.get('error', 'no success')}")
            missing = [each for each in answer.get("warnings") or () if not each.startswith(ABOUT_THE_QUERY)]
            if missing or answer.get("isPartial") is True:
                raise ReadFailure(Trouble.ERROR, f"{self.name} answered in part: {'; '.join(missing) or 'no reason'}")
            return [_series(row) for row in answer["data"]["result"]]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: the answer is not Prometheus'") from error

    async def close(self) -> None:
        await self._reader.close()


@lru_cache(maxsize=256)
def _target(path: str, parameters: tuple[tuple[str, str], ...]) -> str:
    """Path and query as they are sent; the same query is asked every second."""
    return f"{path}?{urlencode(parameters)}"


def _series(row: dict[str, Any]) -> QuerySeries:
    pairs = row["values"] if "values" in row else [row["value"]]
    return QuerySeries(dict(row["metric"]), tuple((float(at), float(value)) for at, value in pairs))


def figures_query(naming: Naming) -> str:
    """All figures in one expression; an added label distinguishes them."""
    window = f"[{round(naming.window * 1000)}ms]"
    both = f"{naming.service}, {naming.release}"
    bad = f'{{{naming.code}=~"5.."}}'
    parts = {
        "rate": f"sum by ({both}) (rate({naming.requests}{window}))",
        "errors": f"sum by ({both}) (rate({naming.requests}{bad}{window}))",
        "p99": f"histogram_quantile({QUANTILE}, sum by ({both}, le) (rate({naming.durations}{window})))",
        "service_p99": f"histogram_quantile({QUANTILE}, sum by ({naming.service}, le) "
        f"(rate({naming.durations}{window})))",
        "age": f"time() - max by ({naming.service}) (timestamp({naming.requests}))",
    }
    return " or ".join(f'label_replace({part}, "{FIGURE}", "{name}", "", "")' for name, part in parts.items())


def build(name: str, options: PrometheusOptions, context: AdapterContext) -> Sequence[Polled]:
    """The source `metrics:{name}`."""
    server = Prometheus(name, options.reader(options.url, context), options)
    return [context.source(f"metrics:{name}", server.read, server.close)]
