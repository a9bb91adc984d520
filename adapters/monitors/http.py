"""HTTP health probes: requests from the engine's host, as a customer would send them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Endpoint
from adapters.net.http_read import HttpReader
from adapters.net.origin import PageUrl, locate
from state.config_files.paths import Path
from state.estate.model import Name, ProbeEntry
from state.world.readings import ProbeReading

KIND = "http"
MAX_ANSWER = 1 << 20
"""Bytes of an answer that are read: its status is known then, and its end is not waited for."""


class HttpTarget(ProbeEntry):
    """One address to probe, its site, and the service it stands for."""

    url: PageUrl


class HttpOptions(Endpoint):
    """`targets` by name."""

    targets: Mapping[Name, HttpTarget]

    @property
    def probes(self) -> Mapping[str, ProbeEntry]:
        return self.targets

    @property
    def urls(self) -> Mapping[Path, str]:
        return {("targets", name, "url"): target.url for name, target in self.targets.items()}


OPTIONS = HttpOptions


class HttpProbe:
    """One target."""

    def __init__(self, target: str, reader: HttpReader, path: str) -> None:
        self.target = target
        self._reader = reader
        self._path = path

    async def read(self, *, deadline: float) -> ProbeReading:
        """Status and seconds of an answer with any status. Raises ReadFailure, also on a redirect."""
        began = time.perf_counter()
        answer = await self._reader.fetch(self._path, deadline=deadline, cap=MAX_ANSWER, decode=False, cut=True)
        return ProbeReading(self.target, answer.status, time.perf_counter() - began)

    async def close(self) -> None:
        await self._reader.close()


def build(name: str, options: HttpOptions, context: AdapterContext) -> Sequence[Polled]:
    """The sources `probe:{name}/{target}`."""
    sources = []
    for key, target in options.targets.items():
        origin, path = locate(target.url)
        probe = HttpProbe(key, options.reader(name, origin, context, "*/*", cached=True), path)
        sources.append(context.source(f"probe:{name}/{key}", probe.read, probe.close))
    return sources
