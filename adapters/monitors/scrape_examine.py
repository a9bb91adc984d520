"""Whether each page of metrics is there, is one, and counts the requests of the services that are read from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from adapters.context import AdapterContext
from adapters.monitors.exposition import ACCEPT, Exposition
from adapters.monitors.scrape import ScrapeOptions
from adapters.net.examined import look_at_http
from adapters.net.http_client import Reply
from adapters.net.origin import locate
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ReadFailure


async def examine(name: str, options: ScrapeOptions, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
    """The answers about every target, asked at the same time."""
    subject, services = Subject(f"monitors/{name}"), context.watched.get(name, ())

    async def target(part: str, url: str) -> tuple[list[Diagnosis], set[str]]:
        origin, path = locate(url)
        reader = options.reader(name, origin, context, ACCEPT)
        try:
            found, page = await look_at_http(subject.part(part), reader, path, deadline=deadline)
        finally:
            await reader.close()
        if page is None:
            return found, set()
        told, counted = await asyncio.to_thread(_read, subject.part(part), options, services, page)
        return [*found, *told], counted

    answers = await asyncio.gather(*(target(part, each.url) for part, each in options.targets.items()))
    diagnoses = [diagnosis for found, _ in answers for diagnosis in found]
    counted = {service for _, each in answers for service in each}
    for service in (each for each in services if each not in counted):
        reason = f"no series {options.requests} with {options.service}={service} on any page that answers"
        way_out = "correct `requests`, `service` or the name of the service there; it may have had no request yet"
        diagnoses.append(subject.unknown(Asked.NAME, reason, way_out))
    return diagnoses


def _read(
    subject: Subject, options: ScrapeOptions, services: Sequence[str], page: Reply
) -> tuple[list[Diagnosis], set[str]]:
    """What a page is, read as the engine reads it, and the services whose requests it counts."""
    answers = Exposition(options, services, 0.0)
    try:
        answers.take(page.body, time.monotonic(), time.time(), page.media)
    except ReadFailure as failure:
        return [subject.failure(failure, at=Asked.IDENTIFIED)], set()
    counted = set(answers.services())
    told = f"a page of metrics, which counts requests of {', '.join(sorted(counted)) or 'none of its services'}"
    return [subject.passes(Asked.IDENTIFIED, told)], counted
