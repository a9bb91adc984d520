"""Authoritative name servers read one by one: serial and records as each of them has them.

Protocol: RFC 1035; changes would go by RFC 2136 (dynamic update) under a TSIG key, which reading does not need.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from pydantic import Field

from adapters.context import AdapterContext, Polled, split_address
from adapters.dns.asking_servers import ask_server
from state.errors import ReadFailure, Trouble
from state.estate.model import DnsRecord, Entry, HandStep, SecretRef, ZoneEntry
from state.estate.values import HostPort
from state.world.readings import DnsReading

KIND = "rfc2136"
EXISTS = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


class Key(Entry):
    """The TSIG key for updates: its name, its algorithm and where its base64 secret is read."""

    name: str
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret: SecretRef


class Rfc2136Options(ZoneEntry):
    """`servers`: every authoritative server as address:port."""

    servers: tuple[HostPort, ...] = Field(min_length=1)
    key: Key | None = None

    def read_by_hand(self, zone: str, record: str) -> Sequence[HandStep]:
        kinds = dict.fromkeys(each.type for each in self.records if each.name == record)
        places = [(server, split_address(server), kind) for server in self.servers for kind in kinds or ("A",)]
        return [
            HandStep(f"{server}: {record} {kind}", f"dig +norecurse +short @{host} -p {port} {record}.{zone} {kind}")
            for server, (host, port), kind in places
        ]

    @property
    def asked(self) -> tuple[str, ...]:
        return self.servers


OPTIONS = Rfc2136Options


class NameServer:
    """One server and the records of one zone that matter."""

    def __init__(self, zone: str, server: str, records: Sequence[DnsRecord]) -> None:
        self.zone = zone
        self.server = server
        self._host, self._port = split_address(server)
        self._origin = dns.name.from_text(zone)
        self._records = records

    async def read(self, *, deadline: float) -> DnsReading:
        """Serial, answers and TTLs, queried at the same time. A name without an answer is an empty tuple.

        Raises ReadFailure: timeout, denied (REFUSED, NOTAUTH), error also for an answer that is not authoritative.
        """
        names = [dns.name.from_text(record.name, self._origin) for record in self._records]
        questions = [(self._origin, "SOA"), *zip(names, (r.type for r in self._records), strict=True)]
        try:
            async with asyncio.timeout(deadline):
                answers = await asyncio.gather(*(self._ask(name, kind) for name, kind in questions))
        except (TimeoutError, dns.exception.Timeout) as error:
            message = f"{self.server} did not answer for {self.zone} within {deadline:g} s"
            raise ReadFailure(Trouble.TIMEOUT, message) from error
        except (OSError, EOFError) as error:
            message = f"{self.server}: {str(error) or type(error).__name__}"
            raise ReadFailure(Trouble.UNREACHABLE, message) from error
        except dns.exception.DNSException as error:
            raise ReadFailure(Trouble.ERROR, f"{self.server}: {str(error) or type(error).__name__}") from error
        records: dict[str, tuple[str, ...]] = {}
        ttls: dict[str, int] = {}
        for record, answer in zip(self._records, answers[1:], strict=True):
            key = f"{record.name}/{record.type}"
            found = _rrset(answer, record.type)
            records[key] = tuple(sorted(str(each) for each in found[0]))
            if found[0]:
                ttls[key] = found[1]
        return DnsReading(self.zone, self.server, self._serial(answers[0]), records, ttls)

    async def _ask(self, name: dns.name.Name, kind: str) -> dns.message.Message:
        query = dns.message.make_query(name, kind, flags=0)
        answer = await ask_server(query, self._host, self._port)
        code = answer.rcode()
        if code in (dns.rcode.REFUSED, dns.rcode.NOTAUTH):
            raise ReadFailure(Trouble.DENIED, f"{self.server}: {dns.rcode.to_text(code)} for {name}")
        if code not in EXISTS:
            raise ReadFailure(Trouble.ERROR, f"{self.server}: {dns.rcode.to_text(code)} for {name}")
        if not answer.flags & dns.flags.AA:
            raise ReadFailure(Trouble.ERROR, f"{self.server} is not authoritative for {name}")
        return answer

    def _serial(self, answer: dns.message.Message) -> int:
        rows, _ = _rrset(answer, "SOA")
        if not rows:
            raise ReadFailure(Trouble.EMPTY, f"{self.server} has no SOA for {self.zone}")
        return int(rows[0].serial)


def _rrset(answer: dns.message.Message, kind: str) -> tuple[list[Any], int]:
    """The rows of one type in the answer section, and their TTL."""
    wanted = dns.rdatatype.from_text(kind)
    for rrset in answer.answer:
        if rrset.rdtype == wanted:
            return list(rrset), int(rrset.ttl)
    return [], 0


def build(zone: str, options: Rfc2136Options, context: AdapterContext) -> Sequence[Polled]:
    """The sources `dns:{zone}@{server}`."""
    servers = [NameServer(zone, server, options.records) for server in options.servers]
    return [context.source(f"dns:{zone}@{each.server}", each.read) for each in servers]
