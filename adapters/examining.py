"""Examines every target of an estate at the same time, without effect: what `recovery check --connect` shows.

What only a product can tell is in `PRODUCT_examine.py` beside its adapter: `examine(name, options, context, deadline)`.
An adapter without one is read once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from adapters.access.access_examine import look_at_access
from adapters.access.host_examine import look_at_host_access
from adapters.commands.command import command_at
from adapters.context import AdapterContext
from adapters.net.answers_read import MALFORMED
from adapters.net.examined import look_at_secrets, secrets_in
from adapters.net.ssh import SshConnection, SshConnections
from adapters.registry import adapter_for, examiner_of
from adapters.wiring import watched
from state.diagnosis.judging import has_name
from state.diagnosis.model import Asked, Diagnosis, Subject, in_reading_order
from state.errors import ConfigError, ReadFailure
from state.estate.colours import fits
from state.estate.hosts import SshHost
from state.estate.model import Adapted, DatabaseEntry, Estate, ServiceTrafficEntry
from state.estate.waivers import ReasonedWaivers
from state.ports.anchors import AnchorPlace
from state.ports.balancer import Balancer
from state.ports.source import Source
from state.world.balancer_parts import BalancerReading

KEEPS, RUNS = "keep anchors", "run commands over ssh"
SLACK = 0.5
"""Seconds that an examination may take beyond its deadline, to say what it found."""


async def examine_estate(estate: Estate, base: Path, *, deadline: float, commands: bool = True) -> list[Diagnosis]:
    """Every answer, by target. Each target has the deadline in seconds; secrets of commands have their own. What needs
    a secret of a command is left out when those are not to be run."""
    hosts = SshConnections(dict(estate.hosts), base)
    context = AdapterContext(base, estate.polling, watched(estate), hosts, partial(command_at, base, hosts))
    jobs = [
        _entry(Subject(f"{section}/{name}"), section, name, entry, context, estate, deadline, commands)
        for section in ("databases", "balancers", "zones", "monitors", "anchors")
        for name, entry in getattr(estate, section).items()
    ]
    if estate.faults is not None:
        jobs.append(_faults(estate, context, deadline))
    jobs += [_host(hosts.to(name), host, context, deadline) for name, host in estate.hosts.items()]
    try:
        answers = [diagnosis for found in await asyncio.gather(*jobs) for diagnosis in found]
        return in_reading_order(replace(each, reason=context.hide(each.reason)) for each in answers)
    finally:
        await hosts.close()


async def _host(connection: SshConnection, host: SshHost, context: AdapterContext, deadline: float) -> list[Diagnosis]:
    """Whether ssh connects, which proves the host's key too, unless that is waived; and whether access can be given."""
    subject = Subject(f"hosts/{connection.name}")
    found = _waived(subject, host.waive)
    began = time.monotonic()
    try:
        await connection.connect(deadline=deadline)
    except ReadFailure as failure:
        return [*found, subject.failure(failure).shows(RUNS)]
    took = (time.monotonic() - began) * 1000
    found.append(subject.passes(Asked.REACHED, f"ssh to {host.address} connects in {took:.0f} ms").shows(RUNS))
    if host.waive.host_key is None:
        found.append(subject.passes(Asked.IDENTIFIED, "its host key is the known one"))
    if host.access is not None:
        looked = look_at_host_access(subject, connection.name, host, host.access, context, deadline)
        found += await _within(subject, looked, deadline)
    return found


def _waived(subject: Subject, waive: ReasonedWaivers) -> list[Diagnosis]:
    way_out = "it is shown on every card; take the waiver out when its reason is no longer true"
    told = waive.given.items()
    return [subject.warns(Asked.TRANSPORT, f"goes without {what}: {reason}", way_out) for what, reason in told]


async def _entry(
    subject: Subject,
    section: str,
    name: str,
    entry: Adapted,
    context: AdapterContext,
    estate: Estate,
    deadline: float,
    commands: bool,
) -> list[Diagnosis]:
    """The answers about one entry. Without its secrets nothing is asked of it."""
    if not commands and any(ref.command for _, ref in secrets_in(entry)):
        return []
    found = await look_at_secrets(subject, entry, context.secret)
    found += _waived(subject, entry.waive)
    if any(each.next and each.asked is Asked.FILES for each in found):
        return found
    module = adapter_for(section, name, entry)
    examine = examiner_of(module) or _reading_of(section, module)
    asked = [_within(subject, examine(name, entry, context, deadline=deadline), deadline)]
    if section == "balancers":
        asked.append(_within(subject, _backends(subject, name, entry, context, estate, deadline), deadline))
    if section == "databases" and isinstance(entry, DatabaseEntry) and entry.access is not None:
        asked.append(
            _within(
                subject,
                look_at_access(subject, module.build(name, entry, context)[0], entry.access, deadline),
                deadline,
            )
        )
    for more in await asyncio.gather(*asked):
        found += more
    return found


async def _within(
    subject: Subject, examination: Awaitable[Sequence[Diagnosis]], deadline: float
) -> Sequence[Diagnosis]:
    try:
        async with asyncio.timeout(deadline * 2 + SLACK):
            return await examination
    except TimeoutError:
        reason = f"the examination did not end within {deadline * 2:g} s"
        return [subject.unknown(Asked.REACHED, reason, "try --within with more seconds")]
    except MALFORMED as error:
        reason = f"its answer is not as expected ({type(error).__name__})"
        return [subject.unknown(Asked.IDENTIFIED, reason, "see what answers at this address")]
    except ConfigError as error:
        problem = error.problems[0]
        reason = f"{problem.file}: {problem.value}"
        return [subject.fails(Asked.FILES, reason, f"it must be {problem.expected}")]


Examine = Callable[..., Awaitable[Sequence[Diagnosis]]]


def _reading_of(section: str, module: Any) -> Examine:
    """For adapters without an examination of their own: each source is read once."""

    async def examine(name: str, entry: Adapted, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
        subject = Subject(f"{section}/{name}")
        built = module.build(name, entry, context)
        if section == "balancers":
            return await _identified(subject, built, deadline)
        if section == "anchors":
            return await _looked(subject, built, deadline)
        sources: Sequence[Source] = built[1] if section == "databases" else built
        return [diagnosis for source in sources for diagnosis in await _read(subject, source)]

    return examine


async def _looked(subject: Subject, place: AnchorPlace, deadline: float) -> list[Diagnosis]:
    try:
        return [subject.passes(Asked.REACHED, await place.look(deadline=deadline)).shows(KEEPS)]
    except ReadFailure as failure:
        return [subject.failure(failure).shows(KEEPS)]


async def _identified(subject: Subject, balancer: Balancer, deadline: float) -> list[Diagnosis]:
    try:
        facts = (await balancer.identify(deadline=deadline)).facts
    except ReadFailure as failure:
        return [subject.failure(failure)]
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    return [subject.passes(Asked.REACHED, "answers"), subject.passes(Asked.IDENTIFIED, told)]


async def _read(subject: Subject, source: Source) -> list[Diagnosis]:
    began = time.monotonic()
    try:
        await source.read()
        return [subject.passes(Asked.REACHED, f"{source.key} answers in {(time.monotonic() - began) * 1000:.0f} ms")]
    except ReadFailure as failure:
        return [subject.failure(failure)]
    finally:
        await source.close()


async def _backends(
    subject: Subject, name: str, entry: Adapted, context: AdapterContext, estate: Estate, deadline: float
) -> list[Diagnosis]:
    """Whether the balancer has the backends, servers and frontends that the estate names. Silence is told elsewhere."""
    balancer: Balancer = adapter_for("balancers", name, entry).build(name, entry, context)
    reading: BalancerReading | None = None
    with suppress(ReadFailure):
        reading = await balancer.read(deadline=deadline)
    if reading is None:
        return []
    backends = {server.backend for server in reading.servers.values()} | reading.empty
    found: list[Diagnosis] = []
    for service, each in estate.services.items():
        traffic = each.traffic
        if traffic is None or name not in traffic.balancers:
            continue
        found.append(_backend(subject, service, traffic.backend, backends, reading))
        if reading.of(traffic.backend):
            found += _colours(subject, service, traffic, reading, estate.balancers[name].site)
    return found


def _backend(
    subject: Subject, service: str, backend: str, backends: Collection[str], reading: BalancerReading
) -> Diagnosis:
    """Whether a service's backend is there, and has servers."""
    if backend in reading.empty:
        reason = f"backend {backend}, which service {service} names, has no server: it answers 503"
        return subject.fails(Asked.NAME, reason, f"add its servers, or correct service {service} in the estate")
    return has_name(subject, "backend", backend, backends, f"service {service}")


def _colours(
    subject: Subject, service: str, traffic: ServiceTrafficEntry, reading: BalancerReading, site: str
) -> Iterator[Diagnosis]:
    """Whether each colour has the servers that the estate names."""
    here = [server.name for server in reading.of(traffic.backend)]
    for name, colour in traffic.colours.items():
        for server in colour.named(name):
            known = [server] if any(fits(server, each) for each in here) else here
            if known is here and colour.site and colour.site != site:
                continue  # a balancer may lead to some of the sites only
            places = [f"{traffic.backend}/{each}" for each in known]
            yield has_name(subject, "server", f"{traffic.backend}/{server}", places, f"colours of {service}")


async def _faults(estate: Estate, context: AdapterContext, deadline: float) -> list[Diagnosis]:
    assert estate.faults is not None
    subject = Subject("faults")
    injector = adapter_for("faults", "", estate.faults).build(estate.faults, context)
    try:
        await injector.identify(deadline=deadline)
    except ReadFailure as failure:
        return [subject.failure(failure)]
    return [subject.passes(Asked.REACHED, "the laboratory answers")]
