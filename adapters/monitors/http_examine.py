"""Whether each probed page answers, with any status: what a status means, the objectives decide."""

from __future__ import annotations

import asyncio

from adapters.context import AdapterContext
from adapters.monitors.http import HttpOptions
from adapters.net.examined import look_at_http
from adapters.net.origin import locate
from state.diagnosis.model import Diagnosis, Subject


async def examine(name: str, options: HttpOptions, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
    """The answers about every target, asked at the same time."""
    subject = Subject(f"monitors/{name}")

    async def target(part: str, url: str) -> list[Diagnosis]:
        origin, path = locate(url)
        reader = options.reader(origin, context, "*/*", cached=True)
        try:
            found, _ = await look_at_http(subject.part(part), reader, path, deadline=deadline, probe=True)
            return found
        finally:
            await reader.close()

    found = await asyncio.gather(*(target(part, each.url) for part, each in options.targets.items()))
    return [diagnosis for each in found for diagnosis in each]
