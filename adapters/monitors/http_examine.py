"""Whether each probed page answers, and whether the engine would judge its answer as a failure."""

from __future__ import annotations

import asyncio

from adapters.context import AdapterContext
from adapters.monitors.http import HttpOptions
from adapters.net.examined import look_at_http
from adapters.net.origin import locate
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.world.readings import ProbeReading


async def examine(name: str, options: HttpOptions, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
    """The answers about every target, asked at the same time."""
    subject = Subject(f"monitors/{name}")

    async def target(part: str, url: str) -> list[Diagnosis]:
        origin, path = locate(url)
        reader = options.reader(name, origin, context, "*/*", cached=True)
        try:
            found, answer = await look_at_http(subject.part(part), reader, path, deadline=deadline, probe=True)
            if answer is not None and not ProbeReading(part, answer.status, 0.0).ok:
                way_out = "let `url` lead to the page that tells of the service's health"
                reason = f"answer {answer.status} is a failure of the service"
                found.append(subject.part(part).fails(Asked.IDENTIFIED, reason, way_out))
            return found
        finally:
            await reader.close()

    found = await asyncio.gather(*(target(part, each.url) for part, each in options.targets.items()))
    return [diagnosis for each in found for diagnosis in each]
