"""Whether each name server is authoritative for the zone, with which serial, and whether it knows the TSIG key."""

from __future__ import annotations

import asyncio

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.tsig
import dns.tsigkeyring

from adapters.context import AdapterContext, split_address
from adapters.dns.asking_servers import ask_server
from adapters.dns.name_server import NameServer
from adapters.dns.rfc2136 import Rfc2136Options
from adapters.dns.signing import Key, Signer
from adapters.net.examined import look_at_name
from adapters.secrets import Secret
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ReadFailure
from state.estate.model import ZoneEntry
from state.world.dns_parts import DnsReading


async def examine(name: str, options: Rfc2136Options, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
    """The answers about every server of one zone, asked at the same time, and whether their serials agree."""
    return await look_at_servers(Subject(f"zones/{name}"), name, options, context, options.key, deadline=deadline)


async def look_at_servers(
    subject: Subject,
    name: str,
    options: ZoneEntry,
    context: AdapterContext,
    key: Key | None = None,
    *,
    deadline: float,
) -> list[Diagnosis]:
    """The answers of every server that the entry lists, with its key where it has one."""
    secret = None if key is None else await asyncio.to_thread(context.secret, key.secret)
    always = isinstance(options, Rfc2136Options) and options.ask_with_key
    signer = Signer(key, secret) if always and key is not None and secret is not None else None
    acting = (options.primary or options.servers[0]) if isinstance(options, Rfc2136Options) else ""
    each = (
        _server(
            subject.part(at),
            NameServer(name, at, options.records, options.domain, signer),
            key if always or at == acting else None,  # only these are asked with it, and a secondary need not know it
            secret,
            deadline,
        )
        for at in dict.fromkeys((*options.asked, *filter(None, (acting,))))  # the primary may be hidden
    )
    answers = await asyncio.gather(*each)
    found = [diagnosis for diagnoses, _ in answers for diagnosis in diagnoses]
    serials = {reading.serial for _, reading in answers if reading is not None}
    if len(serials) > 1:
        told = ", ".join(str(serial) for serial in sorted(serials))
        way_out = "wait for the transfer, or look at the log of the servers that are behind"
        found.append(subject.warns(Asked.IDENTIFIED, f"its servers have different serials: {told}", way_out))
    return found


async def _server(
    subject: Subject, server: NameServer, key: Key | None, secret: Secret | None, deadline: float
) -> tuple[list[Diagnosis], DnsReading | None]:
    host, port = split_address(server.server)
    found = [await look_at_name(subject, host, deadline=deadline)]
    reading: DnsReading | None = None
    try:
        reading = await server.read(deadline=deadline)
        found.append(subject.passes(Asked.REACHED, f"{server.server} answers"))
        told = f"authoritative for {server.zone}, serial {reading.serial}"
        found.append(subject.passes(Asked.IDENTIFIED, told))
        if key is not None and secret is not None:
            tried = await _key(subject, server.domain, host, port, key, secret, deadline)
            found.append(tried.shows("sign changes of records"))
    except ReadFailure as failure:
        found.append(subject.failure(failure))
    return [each for each in found if each is not None], reading


async def _key(
    subject: Subject, zone: str, host: str, port: int, key: Key, secret: Secret, deadline: float
) -> Diagnosis:
    """A signed question for the serial: a server that does not know the key, or another secret, refuses it."""
    way_out = f"let name, algorithm and secret of the key {key.name} be the same here and at the server"
    try:
        query = dns.message.make_query(dns.name.from_text(zone), "SOA", flags=0)
        query.use_tsig(dns.tsigkeyring.from_text({key.name: secret.reveal()}), algorithm=f"{key.algorithm}.")
        async with asyncio.timeout(deadline):
            answer = await ask_server(query, host, port)
    except (TimeoutError, dns.exception.Timeout, OSError, EOFError):
        reason = f"the key {key.name} could not be tried: no answer to a signed question"
        return subject.unknown(Asked.CREDENTIAL, reason, "ask again")
    except (dns.exception.DNSException, ValueError) as error:  # the text of the key is not in these
        reason = f"the key {key.name} is refused: {type(error).__name__}"
        return subject.fails(Asked.CREDENTIAL, reason, way_out)
    if answer.rcode() != dns.rcode.NOERROR or not answer.had_tsig:
        reason = f"the key {key.name} is refused: {dns.rcode.to_text(answer.rcode())}"
        return subject.fails(Asked.CREDENTIAL, reason, way_out)
    return subject.passes(Asked.CREDENTIAL, f"the key {key.name} is accepted")
