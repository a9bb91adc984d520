"""Questions that many targets have: whether a name leads somewhere, a secret is as it must be, HTTP is answered."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from adapters.net.certificates import look_at_certificate
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from state.diagnosis.judging import clock_by_date
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ConfigError, ReadFailure
from state.estate.addresses import is_ip
from state.estate.model import SecretRef

PROBED = 64 << 10
"""Bytes of the answer to a probe that are read."""


async def look_at_name(subject: Subject, host: str, *, deadline: float) -> Diagnosis | None:
    """Whether a host name has an address; None for what is an address already."""
    if not host or host.startswith("/") or is_ip(host, 4) or is_ip(host, 6):
        return None
    try:
        async with asyncio.timeout(deadline):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        return subject.unknown(Asked.NAME, f"{host}: no name server answered", "look at /etc/resolv.conf here")
    except OSError as error:
        reason = f"{host} has no address: {error.strerror or error}"
        return subject.fails(Asked.NAME, reason, "correct the name, or let the name servers of this host know it")
    return subject.passes(Asked.NAME, f"{host} is {', '.join(sorted({str(each[4][0]) for each in found}))}")


async def look_at_http(
    subject: Subject, reader: HttpReader, path: str, *, deadline: float, probe: bool = False, what: str = ""
) -> tuple[list[Diagnosis], Reply | None]:
    """What one GET tells: name, certificate, whether it is answered, the clock. And the answer, if it is usable; to a
    `probe` every answer is, also the beginning of one. `what` stands before the address."""
    origin, end = reader.origin, time.monotonic() + deadline
    found: list[Diagnosis | None] = []
    if reader.via is None:  # its host asks other name servers
        found.append(await look_at_name(subject, origin.host, deadline=deadline))
    before = time.time()
    if origin.scheme == "https":
        looked = look_at_certificate(subject, origin.host, origin.port, before, deadline=_left(end), via=reader.via)
        found.append(await looked)
    reply: Reply | None = None
    began, before = time.monotonic(), time.time()
    try:
        if probe:
            answer = await reader.fetch(path, deadline=_left(end), cap=PROBED, decode=False, cut=True)
        else:
            answer = await reader.fetch(path, deadline=_left(end))
        found.append(clock_by_date(subject, answer.date, before, time.time()))
        reply = answer if probe else reader.usable(answer, path)
        said = f"answers {answer.status}" if probe else "answers"
        took = (time.monotonic() - began) * 1000
        found.append(subject.passes(Asked.REACHED, f"{what}{origin.netloc} {said} in {took:.0f} ms"))
    except ReadFailure as failure:
        found.append(subject.failure(failure))
    return [each for each in found if each is not None], reply


async def look_at_secrets(subject: Subject, entry: BaseModel, read: Callable[[SecretRef], object]) -> list[Diagnosis]:
    """Each secret that an entry names: whether it can be read, with the right mode and owner."""
    return [await asyncio.to_thread(_look_at, subject, place, ref, read) for place, ref in secrets_in(entry)]


def _look_at(subject: Subject, place: str, ref: SecretRef, read: Callable[[SecretRef], object]) -> Diagnosis:
    try:
        read(ref)
    except ConfigError as error:
        problem = error.problems[0]
        return subject.fails(Asked.FILES, f"{place}: {problem.file}: {problem.value}", f"it must be {problem.expected}")
    kind = "file" if ref.file is not None else "environment variable" if ref.env is not None else "command"
    name = ref.file or ref.env or (ref.command or ("",))[0]
    told = f"{name}, mode and owner are right" if ref.file is not None else name
    return subject.passes(Asked.FILES, f"{place} comes from {kind} {told}")


def secrets_in(value: Any, place: str = "") -> Iterator[tuple[str, SecretRef]]:
    """The secrets that an entry names, with their places in it."""
    if isinstance(value, SecretRef):
        yield place, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name), f"{place}.{name}" if place else name)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from secrets_in(each, f"{place}.{key}")


def _left(end: float) -> float:
    return max(0.01, end - time.monotonic())
