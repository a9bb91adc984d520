"""A zone at a name server: its authoritative servers and records, by a transfer or by asking for likely names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.xfr
import dns.zone

from adapters.context import split_address
from adapters.discovery.looking import Looking
from adapters.dns.asking_servers import ask_server
from state.discovery.found import FoundRecord, FoundZone
from state.errors import ReadFailure, Trouble

TYPES = ("A", "AAAA", "CNAME")
USUAL = ("www", "api", "app", "web", "login", "auth", "shop", "checkout")
MOST_NAMES = 60
MOST_RECORDS = 20_000


def zone_address(text: str) -> tuple[str, str]:
    """`dns://server[:port]/zone` as server and zone. Raises ValueError."""
    server, slash, zone = text.removeprefix("dns://").partition("/")
    if not slash or not zone.strip("./ "):
        raise ValueError("an address dns://server/zone")
    if (
        not server.rpartition(":")[2].isdecimal()
        or server.endswith("]")
        or (server.count(":") > 1 and "]" not in server)
    ):
        server = f"[{server.strip('[]')}]:53" if ":" in server else f"{server}:53"
    split_address(server)
    return server, zone.strip(".").strip("/")


async def find_zone(address: str, names: Sequence[str], looking: Looking) -> FoundZone:
    """A zone with the records that the server gives; `names` are asked for where it gives no whole zone.

    Raises ReadFailure, also for a server that is not authoritative.
    """
    server, zone = zone_address(address)
    origin = dns.name.from_text(zone)
    servers = await _servers(server, origin, looking)
    records = await _transferred(server, origin, looking)
    whole = records is not None
    if records is None:
        wanted = list(dict.fromkeys((*names, *USUAL)))[:MOST_NAMES]
        asked = [(name, kind) for name in wanted for kind in TYPES]
        found = await asyncio.gather(*(_record(server, origin, name, kind, looking) for name, kind in asked))
        records = [each for each in found if each is not None]
    looking.tell(f"{address}: {len(records)} records" + ("" if whole else ", by asking for likely names"))
    return FoundZone(address, zone, tuple(servers), tuple(records), whole)


async def _ask(server: str, name: dns.name.Name, kind: str, looking: Looking) -> dns.message.Message:
    host, port = split_address(server)
    query = dns.message.make_query(name, kind, flags=0)
    try:
        async with asyncio.timeout(looking.deadline):
            answer = await ask_server(query, host, port)
    except (TimeoutError, dns.exception.Timeout) as error:
        raise ReadFailure(Trouble.TIMEOUT, f"{server} did not answer within {looking.deadline:g} s") from error
    except (OSError, EOFError, ValueError) as error:
        raise ReadFailure(Trouble.UNREACHABLE, f"{server}: {str(error) or type(error).__name__}") from error
    except dns.exception.DNSException as error:
        raise ReadFailure(Trouble.ERROR, f"{server}: {str(error) or type(error).__name__}") from error
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        trouble = Trouble.DENIED if answer.rcode() in (dns.rcode.REFUSED, dns.rcode.NOTAUTH) else Trouble.ERROR
        raise ReadFailure(trouble, f"{server} answers {dns.rcode.to_text(answer.rcode())} for {name.to_text(True)}")
    return answer


async def _servers(server: str, origin: dns.name.Name, looking: Looking) -> list[str]:
    """The server itself, and the other ones that the zone names, as far as their addresses are in it."""
    answer = await _ask(server, origin, "SOA", looking)
    if not any(rrset.rdtype == dns.rdatatype.SOA and rrset.name == origin for rrset in answer.answer):
        raise ReadFailure(Trouble.EMPTY, f"{server} has no zone {origin.to_text(omit_final_dot=True)}")
    found = [server]
    named = await _ask(server, origin, "NS", looking)
    glue = {rrset.name: rrset for rrset in named.additional if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)}
    for rrset in named.answer:
        for row in rrset if rrset.rdtype == dns.rdatatype.NS else ():
            rows = glue.get(row.target) or await _addresses(server, row.target, looking)
            port = split_address(server)[1]
            for each in rows or ():
                text = f"[{each}]:{port}" if ":" in str(each) else f"{each}:{port}"
                if text not in found and not str(each).startswith("127."):
                    found.append(text)
    return found


async def _addresses(server: str, name: dns.name.Name, looking: Looking) -> dns.rrset.RRset | None:
    try:
        answer = await _ask(server, name, "A", looking)
    except ReadFailure:
        return None
    return next((rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A), None)


async def _transferred(server: str, origin: dns.name.Name, looking: Looking) -> list[FoundRecord] | None:
    """All records of the zone, or None when the server does not give them."""
    host, port = split_address(server)
    zone = dns.zone.Zone(origin)
    try:
        async with asyncio.timeout(looking.deadline):
            await dns.asyncquery.inbound_xfr(host, zone, port=port)
    except (TimeoutError, OSError, EOFError, ValueError, dns.exception.DNSException):
        return None
    found: list[FoundRecord] = []
    for name, rdataset in zone.iterate_rdatasets():
        kind = dns.rdatatype.to_text(rdataset.rdtype)
        if kind in TYPES and len(found) < MOST_RECORDS:
            found.append(FoundRecord(str(name), kind, tuple(sorted(_text(row, origin) for row in rdataset))))
    return found


def _text(row: dns.rdata.Rdata, origin: dns.name.Name) -> str:
    return row.to_text(origin, relativize=False)


async def _record(server: str, origin: dns.name.Name, name: str, kind: str, looking: Looking) -> FoundRecord | None:
    try:
        answer = await _ask(server, dns.name.from_text(name, origin), kind, looking)
    except (ReadFailure, dns.exception.DNSException):
        return None
    wanted = dns.rdatatype.from_text(kind)
    rows = [str(row) for rrset in answer.answer if rrset.rdtype == wanted for row in rrset]
    return FoundRecord(name, kind, tuple(sorted(rows))) if rows else None
