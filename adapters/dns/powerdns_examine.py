"""Whether each name server is authoritative for the zone, and whether the API has it and takes its key."""

from __future__ import annotations

import asyncio

from adapters.context import AdapterContext
from adapters.dns.powerdns import PowerDnsOptions, acting
from adapters.dns.powerdns_zone import SECONDARY
from adapters.dns.rfc2136_examine import look_at_servers
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ReadFailure


async def examine(name: str, options: PowerDnsOptions, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
    """The answers of every server and of the API, asked at the same time."""
    subject = Subject(f"zones/{name}")
    servers = look_at_servers(subject, name, options, context, deadline=deadline)
    found, api = await asyncio.gather(servers, _api(subject, name, options, context, deadline))
    return [*found, *api]


async def _api(
    subject: Subject, name: str, options: PowerDnsOptions, context: AdapterContext, deadline: float
) -> list[Diagnosis]:
    part = subject.part("api")
    zone = await asyncio.to_thread(acting, name, options, context)
    try:
        facts = (await zone.identify(deadline=deadline)).facts
    except ReadFailure as failure:
        return [part.failure(failure)]
    told = f"zone {facts['zone']}, {facts['kind']}"
    if facts["kind"] in SECONDARY:
        way_out = "name the server that writes the zone"
        return [part.warns(Asked.IDENTIFIED, f"{told}: another server writes it", way_out).shows("change records")]
    accepted = part.passes(Asked.CREDENTIAL, "the API takes its key").shows("change records")
    return [accepted, part.passes(Asked.IDENTIFIED, told)]
