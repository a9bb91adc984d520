"""Which Prometheus answers, for how long it keeps samples, and whether it has figures of the estate's services."""

from __future__ import annotations

from typing import Any

from adapters.context import AdapterContext
from adapters.monitors.figures import Naming
from adapters.monitors.prometheus import PrometheusOptions
from adapters.monitors.promql import PromApi, matchers
from adapters.net.answers_read import read_json
from adapters.net.examined import look_at_http
from adapters.net.http_read import HttpReader
from state.diagnosis.judging import has_name
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ReadFailure
from state.text import clean

BUILD = "/api/v1/status/buildinfo"
RUNTIME = "/api/v1/status/runtimeinfo"


async def examine(
    name: str, options: PrometheusOptions, context: AdapterContext, *, deadline: float
) -> list[Diagnosis]:
    """The answers about one server."""
    subject, reader = Subject(f"monitors/{name}"), options.reader(name, options.url, context)
    try:
        found, reply = await look_at_http(subject, reader, "/api/v1/query?query=vector(1)", deadline=deadline)
        if reply is not None:
            found.append(await _identity(subject, name, reader, deadline))
            found += await _series(subject, name, reader, options, context.watched.get(name, ()), deadline)
        return found
    finally:
        await reader.close()


async def _identity(subject: Subject, name: str, reader: HttpReader, deadline: float) -> Diagnosis:
    """Whether it answers a query; its version and retention, where it tells them: Thanos, Mimir and VictoriaMetrics may
    not."""
    try:
        rows = await PromApi(name, reader).query("vector(1)", deadline=deadline)
    except ReadFailure as failure:
        return subject.failure(failure, at=Asked.IDENTIFIED)
    if [row.value for row in rows] != [1.0]:
        way_out = "look whether `url` leads to Prometheus"
        return subject.fails(Asked.IDENTIFIED, "it answers the query vector(1) with something else than 1", way_out)
    build, runtime = await _told(reader, BUILD, deadline), await _told(reader, RUNTIME, deadline)
    if not build:
        return subject.passes(Asked.IDENTIFIED, "answers as Prometheus does, and does not tell its version")
    kept = runtime.get("storageRetention") or "for a time that it does not tell"
    version = clean(str(build.get("version", "?")), 40)
    return subject.passes(Asked.IDENTIFIED, f"version {version}, keeps samples {kept}")


async def _told(reader: HttpReader, path: str, deadline: float) -> dict[str, Any]:
    try:
        data = read_json(await reader.get(path, deadline=deadline))["data"]
    except (ReadFailure, ValueError, KeyError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}


async def _series(
    subject: Subject, name: str, reader: HttpReader, naming: Naming, services: tuple[str, ...], deadline: float
) -> list[Diagnosis]:
    """Whether each service that the estate looks for here has requests counted here."""
    if not services:
        return []
    counted = f"count by ({naming.service}) ({naming.requests}{{{matchers(naming, services)}}})"
    others = f"count by ({naming.service}) ({naming.requests})"
    api = PromApi(name, reader)
    try:
        have = {row.labels.get(naming.service, "") for row in await api.query(counted, deadline=deadline)}
        if not set(services) <= have:
            have |= {row.labels.get(naming.service, "") for row in await api.query(others, deadline=deadline)}
    except ReadFailure as failure:
        return [subject.failure(failure, at=Asked.NAME)]
    what = f"{naming.requests} with {naming.service}"
    return [has_name(subject, what, each, have - {""}, "metrics.service") for each in services]
