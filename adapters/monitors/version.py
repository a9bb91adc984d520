"""What each instance says it runs: its digest, from a page in JSON or from an info metric of its metrics page.

It is asked itself, past caches: an answer that a cache gave may be of another instance and another day. A page that
changes while the process stays the same is read from a file that somebody has exchanged: it tells nothing about what
runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from adapters.context import AdapterContext, Polled
from adapters.monitors.endpoint import Endpoint
from adapters.monitors.page import UnreadableLine
from adapters.monitors.sample_lines import labels_of, samples
from adapters.net.answers_read import Ambiguous, read_json, worked
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from adapters.net.origin import PageUrl, locate
from state.config_files.paths import Path
from state.errors import ReadFailure, Trouble
from state.estate.conditions import found
from state.estate.model import Entry, Name
from state.estate.releases import InstanceEntry
from state.text import clean
from state.world.release_parts import VersionReading, is_digest

KIND = "version"
LARGEST = 1 << 20
"""Bytes of an answer above which it is refused."""
LARGE = 64 << 10
"""Bytes of an answer from which on it is read beside the event loop."""
LONGEST = 140
STARTED = "process_start_time_seconds"
MOST_SECONDS = 1e11
"""No process began as late: larger numbers are no seconds."""
Field_ = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]


class VersionFields(Entry):
    """The names of the fields in an answer in JSON, with dots for what is inside another one; the names of the labels
    at a metric. `started` is when the process began, in epoch seconds; at a metric `process_start_time_seconds`."""

    digest: Field_ = "digest"
    version: Field_ = "version"
    commit: Field_ = "commit"
    started: Field_ = "started"


class VersionTarget(InstanceEntry):
    """One instance, and its page: the instance's own address, not that of a balancer."""

    url: PageUrl


class VersionOptions(Endpoint):
    """`targets` by name; `metric` is the info metric where the pages are pages of metrics."""

    read: Literal["json", "metrics"] = "json"
    metric: Annotated[str, Field(pattern=r"^[A-Za-z_:][A-Za-z0-9_:]{0,199}$")] = "build_info"
    fields: VersionFields = Field(default=VersionFields(), alias="names")
    targets: Mapping[Name, VersionTarget]

    @property
    def instances(self) -> Mapping[str, InstanceEntry]:
        return self.targets

    @property
    def urls(self) -> Mapping[Path, str]:
        return {("targets", name, "url"): target.url for name, target in self.targets.items()}


OPTIONS = VersionOptions


class VersionPage:
    """One instance, and what its process said first."""

    def __init__(self, target: str, reader: HttpReader, path: str, options: VersionOptions) -> None:
        self.target = target
        self._reader, self._path, self._options = reader, path, options
        self._first: tuple[float, str] | None = None

    async def read(self, *, deadline: float) -> VersionReading:
        """What it says now. Raises ReadFailure, also for a page without a digest or without a version."""
        reply = await self._reader.page(self._path, deadline=deadline, cap=LARGEST)
        return await worked(lambda: self.taken(reply), large=len(reply.body) > LARGE)

    def taken(self, reply: Reply) -> VersionReading:
        """The reading of an answer. Raises ReadFailure."""
        told = _of_metrics(reply.body, self._options) if self._options.read == "metrics" else _of_json(reply.body)
        names = self._options.fields
        digest, version, commit = (_text(found(told, name)) for name in (names.digest, names.version, names.commit))
        began = _seconds(found(told, names.started))
        if not digest and not version:
            raise ReadFailure(Trouble.EMPTY, f"the page has neither {names.digest} nor {names.version}")
        return VersionReading(self.target, digest, version, commit, began, self._doubt(reply, digest, began))

    async def close(self) -> None:
        await self._reader.close()

    def _doubt(self, reply: Reply, digest: str, began: float | None) -> str:
        if reply.age:
            return f"a cache answered (Age: {clean(reply.age, 20)})"
        if not is_digest(digest):
            return f"{digest} is no digest" if digest else "it tells no digest"
        if began is None:
            return ""
        if self._first is None or self._first[0] != began:
            self._first = (began, digest)
        return "" if self._first[1] == digest else "its page has changed, its process has not started anew"


def _of_json(body: bytes) -> Any:
    try:
        return read_json(body)
    except Ambiguous as error:
        raise ReadFailure(Trouble.ERROR, f"the page is no single answer: {error}") from error
    except ValueError as error:
        raise ReadFailure(Trouble.ERROR, "the page is not JSON") from error


def _of_metrics(body: bytes, options: VersionOptions) -> dict[str, Any]:
    """The labels of the one series of the info metric, and when the process began."""
    try:
        lines = list(samples(body, (options.metric, STARTED)))
        told = [(*labels_of(line.key), line.value) for line in lines]
    except UnreadableLine as error:
        raise ReadFailure(Trouble.ERROR, error.message) from error
    except ValueError as error:
        raise ReadFailure(Trouble.ERROR, f"a series of {options.metric} cannot be read") from error
    infos = [labels for name, labels, value in told if name == options.metric and value == 1]
    began = [value for name, _, value in told if name == STARTED]
    if len(infos) != 1:
        raise ReadFailure(Trouble.EMPTY, f"{len(infos)} series of {options.metric} have the value 1, not one")
    return {**infos[0], **({options.fields.started: began[0]} if len(began) == 1 else {})}


def _text(value: Any) -> str:
    return clean(value, LONGEST) if isinstance(value, str) else ""


def _seconds(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 < value < MOST_SECONDS else None


def build(name: str, options: VersionOptions, context: AdapterContext) -> Sequence[Polled]:
    """The sources `version:{name}/{target}`."""
    sources = []
    for key, target in options.targets.items():
        origin, path = locate(target.url)
        accept = "text/plain; version=0.0.4" if options.read == "metrics" else "application/json"
        page = VersionPage(key, options.reader(name, origin, context, accept), path, options)
        sources.append(context.source(f"version:{name}/{key}", page.read, page.close))
    return sources
