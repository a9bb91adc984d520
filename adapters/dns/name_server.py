"""The records of one zone that matter, as one server answers them: an authoritative one, or a resolver."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from adapters.context import split_address
from adapters.dns.asking_servers import ask_server
from adapters.dns.signing import Signer
from state.errors import ReadFailure, Trouble
from state.estate.model import DnsRecord
from state.world.dns_parts import DnsReading, NameLack

EXISTS = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
ADDRESSES = ("A", "AAAA")
Heard = dns.message.Message | ReadFailure


class NameServer:
    """One server and the records of one zone that matter; `domain` is the zone's DNS name, by default that of its
    entry. With a signer every question is signed. `recursive`: a resolver, which answers what it found elsewhere."""

    def __init__(
        self,
        zone: str,
        server: str,
        records: Sequence[DnsRecord],
        domain: str | None = None,
        signer: Signer | None = None,
        *,
        recursive: bool = False,
    ) -> None:
        self.zone, self.domain = zone, domain or zone
        self.server = server
        self._host, self._port = split_address(server)
        self._origin = dns.name.from_text(self.domain)
        self._records = records
        self._signer, self._recursive = signer, recursive

    async def read(self, *, deadline: float) -> DnsReading:
        """Serial, answers and TTLs, queried at the same time. A name without an answer is an empty tuple; one that
        cannot be read is no answer to that one record.

        Raises ReadFailure for the zone as a whole: timeout, denied (REFUSED, NOTAUTH), error also for an answer that is
        not authoritative. A resolver has no serial of its own: 0.
        """
        if self._recursive:
            return await self._resolved(deadline)
        soa, found = await asyncio.gather(
            self._heard(self._origin, "SOA", deadline),
            asyncio.gather(*(self._answers(r, deadline) for r in self._records)),
        )
        if isinstance(soa, ReadFailure):
            raise soa
        reading = DnsReading(self.zone, self.server, self._serial(soa), {}, {}, {}, {})
        return replace(reading, **self._understood(found))

    async def _resolved(self, deadline: float) -> DnsReading:
        """What a resolver answers. Raises ReadFailure when it answers nothing at all."""
        found = await asyncio.gather(*(self._answers(r, deadline) for r in self._records))
        failed = [first for first, *_ in found if isinstance(first, ReadFailure)]
        if failed and len(failed) == len(found):
            raise failed[0]
        return replace(DnsReading(self.zone, self.server, 0, {}), **self._understood(found))

    async def _answers(self, record: DnsRecord, deadline: float) -> list[Heard]:
        """The answer to a record; of an alias its addresses as well, without which no client arrives."""
        name = dns.name.from_text(record.name, self._origin)
        kinds = (record.type, *(ADDRESSES if record.type == "CNAME" else ()))
        return await asyncio.gather(*(self._heard(name, kind, deadline) for kind in kinds))

    def _understood(self, found: Sequence[list[Heard]]) -> dict[str, Any]:
        """The answers record by record, as the fields of a reading."""
        told: dict[str, dict[str, Any]] = {"records": {}, "ttls": {}, "aliases": {}, "lost": {}, "lacks": {}}
        for record, (answer, *addresses) in zip(self._records, found, strict=True):
            if isinstance(answer, ReadFailure):
                said: dict[str, Any] = {"lacks": NameLack(answer.trouble, answer.message)}
            elif not self._recursive and not answer.flags & dns.flags.AA:
                said = {"lacks": self._referred(answer)}
            else:
                said = self._answered(answer, record.type, addresses)
            for field, value in said.items():
                told[field][f"{record.name}/{record.type}"] = value
        return told

    def _answered(self, answer: dns.message.Message, kind: str, addresses: Sequence[Heard]) -> dict[str, Any]:
        """The answer to one record, as its part of each field of a reading."""
        rows, ttl, target = _rrset(answer, kind)
        records = tuple(sorted(str(each) for each in rows))
        if rows:
            end = self._end(addresses, str(rows[0]).removesuffix("."))
            if isinstance(end, NameLack):
                return {"lacks": end}
            return {"records": records, "ttls": ttl, **({} if end is None else {"lost": end})}
        if target is None:
            return {"records": records}
        if not self._recursive and (below := self._delegated(answer)):
            return {"lacks": below}  # its alias leads to a name that others answer for
        end, outside = target.to_text(omit_final_dot=True), not target.is_subdomain(self._origin)
        said = {"records": records, "aliases": end, "ttls": ttl}
        if not self._denies(answer):
            return said
        return {**said, "lost": end} if outside else {"records": records, "lost": end}

    def _end(self, addresses: Sequence[Heard], first: str) -> str | NameLack | None:
        """Of an alias to `first` the name at its end, where this server proves that it has no address; what is wrong
        with the answers where it says neither; None where it has one, or where others answer for it."""
        heard = [each for each in addresses if not isinstance(each, ReadFailure)]
        answers = [(each, _rrset(each, kind)) for each in heard for kind in ADDRESSES]
        if any(rows for _, (rows, _, _) in answers) or not addresses:
            return None
        failed = next((each for each in addresses if isinstance(each, ReadFailure)), None)
        if failed is not None:
            return NameLack(failed.trouble, f"its address: {failed.message}")
        if not all(self._denies(each) for each in heard):
            return None
        return next((end.to_text(omit_final_dot=True) for _, (_, _, end) in answers if end is not None), first)

    def _denies(self, answer: dns.message.Message) -> bool:
        """Whether an answer without rows says that there are none, in place of leaving the end of an alias to others.
        A resolver leaves nothing to others; of a server it is NXDOMAIN, or the SOA of the zone (RFC 2308 2)."""
        given = any(rrset.rdtype == dns.rdatatype.SOA for rrset in answer.authority)
        return self._recursive or answer.rcode() == dns.rcode.NXDOMAIN or given

    async def _heard(self, name: dns.name.Name, kind: str, deadline: float) -> Heard:
        """The answer to one question, or what went wrong with it."""
        try:
            async with asyncio.timeout(deadline):
                return await self._ask(name, kind)
        except ReadFailure as failure:
            return failure
        except (TimeoutError, dns.exception.Timeout):
            message = f"{self.server} did not answer for {self.zone} within {deadline:g} s"
            return ReadFailure(Trouble.TIMEOUT, message)
        except (OSError, EOFError) as error:
            return ReadFailure(Trouble.UNREACHABLE, f"{self.server}: {str(error) or type(error).__name__}")
        except dns.exception.DNSException as error:
            return ReadFailure(Trouble.ERROR, f"{self.server}: {str(error) or type(error).__name__}")

    async def _ask(self, name: dns.name.Name, kind: str) -> dns.message.Message:
        query = dns.message.make_query(name, kind, flags=dns.flags.RD if self._recursive else 0)
        if self._signer is not None:
            try:
                self._signer.sign(query)
            except ValueError as error:  # its text may have the secret in it
                raise ReadFailure(Trouble.DENIED, f"the secret of the key of {self.zone} is not base64") from error
        answer = await ask_server(query, self._host, self._port)
        code = answer.rcode()
        if code in (dns.rcode.REFUSED, dns.rcode.NOTAUTH) or (self._signer is not None and not answer.had_tsig):
            raise ReadFailure(Trouble.DENIED, f"{self.server}: {dns.rcode.to_text(code)} for {name}")
        if self._recursive and code == dns.rcode.SERVFAIL:
            return answer  # what its clients get: no address
        if code not in EXISTS:
            raise ReadFailure(Trouble.ERROR, f"{self.server}: {dns.rcode.to_text(code)} for {name}")
        if kind == "SOA" and not answer.flags & dns.flags.AA:
            raise ReadFailure(Trouble.ERROR, f"{self.server} is not authoritative for {name}")
        return answer

    def _referred(self, answer: dns.message.Message) -> NameLack:
        """An answer that is not authoritative: a delegation below the zone (RFC 1034 4.3.2), or none of its own."""
        return self._delegated(answer) or NameLack(Trouble.ERROR, f"{self.server} is not authoritative for it")

    def _delegated(self, answer: dns.message.Message) -> NameLack | None:
        """The servers of a zone below, to which an answer refers; None where it refers to none."""
        for rrset in answer.authority:
            below = rrset.name.is_subdomain(self._origin) and rrset.name != self._origin
            if rrset.rdtype == dns.rdatatype.NS and below:
                servers = tuple(sorted(each.target.to_text(omit_final_dot=True) for each in rrset))
                return NameLack(Trouble.EMPTY, "", servers)
        return None

    def _serial(self, answer: dns.message.Message) -> int:
        rows, _, _ = _rrset(answer, "SOA")
        if not rows:
            raise ReadFailure(Trouble.EMPTY, f"{self.server} has no SOA for {self.zone}")
        return int(rows[0].serial)


def _rrset(answer: dns.message.Message, kind: str) -> tuple[list[Any], int, dns.name.Name | None]:
    """The rows of one type in the answer section, the shortest TTL on the way to them, and the last alias."""
    wanted = dns.rdatatype.from_text(kind)
    ttls: list[int] = []
    target: dns.name.Name | None = None
    for rrset in answer.answer:
        if rrset.rdtype == wanted:
            return list(rrset), min([*ttls, int(rrset.ttl)]), target
        if rrset.rdtype == dns.rdatatype.CNAME:
            ttls.append(int(rrset.ttl))
            target = rrset[0].target
    return [], min(ttls, default=0), target
