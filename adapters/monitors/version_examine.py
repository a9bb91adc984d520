"""Whether each instance tells what it runs, in a way that counts as evidence."""

from __future__ import annotations

import asyncio

from adapters.context import AdapterContext
from adapters.monitors.version import VersionOptions, VersionPage
from adapters.net.examined import look_at_http
from adapters.net.origin import locate
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ReadFailure


async def examine(name: str, options: VersionOptions, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
    """The answers about every target, asked at the same time."""
    subject = Subject(f"monitors/{name}")

    async def target(part: str, url: str) -> list[Diagnosis]:
        origin, path = locate(url)
        reader = options.reader(name, origin, context)
        try:
            found, answer = await look_at_http(subject.part(part), reader, path, deadline=deadline)
            if answer is not None:
                try:
                    doubt = VersionPage(part, reader, path, options).taken(answer).doubt
                except ReadFailure as error:
                    doubt = error.message
                if doubt:
                    way_out = "let `url` be the instance's own page, with the digest that its build gave it"
                    found.append(subject.part(part).fails(Asked.IDENTIFIED, doubt, way_out))
            return found
        finally:
            await reader.close()

    found = await asyncio.gather(*(target(part, each.url) for part, each in options.targets.items()))
    return [diagnosis for each in found for diagnosis in each]
