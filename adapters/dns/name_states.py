"""One name at one server: every set of it, the types besides, and the serial they belong to."""

from __future__ import annotations

import asyncio
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rdtypes.svcbbase
import dns.tsig

from adapters.context import split_address
from adapters.dns.asking_servers import ask_server
from adapters.dns.signing import Signer
from state.errors import ReadFailure, Trouble
from state.world.record_sets import SETTABLE, NameState, RecordSet

EXISTS = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
UNCOUNTED = frozenset({"RRSIG", "NSEC", "NSEC3", "HINFO", *SETTABLE})
"""Types that say nothing about what else a name has: signatures, and what stands for a refused ANY (RFC 8482)."""

HINTS = (dns.rdtypes.svcbbase.ParamKey.IPV4HINT, dns.rdtypes.svcbbase.ParamKey.IPV6HINT)


class NameQueries:
    """Questions to one server about names of one zone; with a signer, each is signed and its answer must be."""

    def __init__(self, zone: str, server: str, signer: Signer | None = None) -> None:
        self.zone, self.server = zone, server
        self._host, self._port = split_address(server)
        self.origin = dns.name.from_text(zone)
        self._signer = signer

    async def state(self, record: str, *, deadline: float) -> NameState:
        """The name now. Raises ReadFailure; what is not answered with authority is a failure as well."""
        name = dns.name.from_text(record, self.origin)
        kinds = ("SOA", *SETTABLE, "ANY")
        places = (self.origin, *(name,) * (len(kinds) - 1))
        (soa, *answers), below = await asyncio.gather(
            asyncio.gather(*(self.ask(place, kind, deadline) for place, kind in zip(places, kinds, strict=True))),
            self._below(name, deadline),
        )
        serial, negative = _soa(soa, self.server, self.zone)
        sets, delegated = {}, below
        for kind, answer in zip(SETTABLE, answers, strict=False):
            delegated = delegated or referred(answer, self.origin)
            if found := set_of(answer, name, kind):
                sets[kind] = found
        if not delegated and not all(each.flags & dns.flags.AA for each in answers[: len(SETTABLE)]):
            raise ReadFailure(Trouble.ERROR, f"{self.server} is not authoritative for {record} of {self.zone}")
        kinds_here = {dns.rdatatype.to_text(rrset.rdtype) for rrset in answers[-1].answer if rrset.name == name}
        other = tuple(sorted(kinds_here - UNCOUNTED))
        return NameState(
            self.server, serial, negative, {} if delegated else sets, other, delegated, hints_of(answers[-1], name)
        )

    async def _below(self, name: dns.name.Name, deadline: float) -> tuple[str, ...]:
        """The servers of a zone below that has the name. A server of both zones answers for the lower one with
        authority, and takes an update of the upper one that nobody will ever be answered."""
        cuts: list[dns.name.Name] = []
        while name.is_subdomain(self.origin) and name != self.origin:
            cuts.append(name)
            name = name.parent()
        answers = await asyncio.gather(*(self.ask(each, "NS", deadline) for each in cuts))
        for cut, answer in zip(cuts, answers, strict=True):
            for rrset in answer.answer:
                if rrset.rdtype == dns.rdatatype.NS and rrset.name == cut:
                    return tuple(sorted(each.target.to_text(omit_final_dot=True) for each in rrset))
        return ()

    async def wildcard(self, name: dns.name.Name, *, deadline: float) -> dict[str, RecordSet]:
        """The sets of a wildcard, asked for by its own name. Raises ReadFailure."""
        answers = await asyncio.gather(*(self.ask(name, kind, deadline) for kind in SETTABLE))
        found = {kind: set_of(answer, name, kind) for kind, answer in zip(SETTABLE, answers, strict=True)}
        return {kind: each for kind, each in found.items() if each is not None}

    async def ask(self, name: dns.name.Name, kind: str, deadline: float) -> dns.message.Message:
        """The answer to one question. Raises ReadFailure."""
        query = dns.message.make_query(name, kind, flags=0)
        if self._signer is not None:
            try:
                self._signer.sign(query)
            except ValueError as error:  # its text may have the secret in it
                raise ReadFailure(Trouble.DENIED, f"the secret of the key of {self.zone} is not base64") from error
        try:
            async with asyncio.timeout(deadline):
                answer = await ask_server(query, self._host, self._port)
        except TimeoutError as error:
            raise ReadFailure(Trouble.TIMEOUT, f"{self.server} did not answer within {deadline:g} s") from error
        except (OSError, EOFError) as error:
            message = f"{self.server}: {str(error) or type(error).__name__}"
            raise ReadFailure(Trouble.UNREACHABLE, message) from error
        except dns.tsig.PeerError as error:
            raise ReadFailure(Trouble.DENIED, f"{self.server} refuses the signature: {_refused(error)}") from error
        except dns.exception.DNSException as error:
            raise ReadFailure(Trouble.ERROR, f"{self.server}: {str(error) or type(error).__name__}") from error
        code = answer.rcode()
        if code in (dns.rcode.REFUSED, dns.rcode.NOTAUTH) or (self._signer is not None and not answer.had_tsig):
            said = dns.rcode.to_text(code)
            if code in (dns.rcode.REFUSED, dns.rcode.NOTAUTH):
                said = f"{said}, it does not serve the zone, or not to this host"
            raise ReadFailure(Trouble.DENIED, f"{self.server}: {said} ({name})")
        if code not in EXISTS and kind != "ANY":
            raise ReadFailure(Trouble.ERROR, f"{self.server}: {dns.rcode.to_text(code)} for {name}")
        return answer


def _refused(error: dns.tsig.PeerError) -> str:
    """What of a signature a server does not accept."""
    if isinstance(error, dns.tsig.PeerBadTime):
        return "its clock is another one than this host's (BADTIME)"
    if isinstance(error, dns.tsig.PeerBadKey):
        return "it does not know the key (BADKEY)"
    return "its secret for the key is another one (BADSIG)"


def spelt(kind: str, value: Any) -> str:
    """A value in the one spelling by which sets are compared."""
    return str(value.target.to_text(omit_final_dot=True)).lower() if kind == "CNAME" else str(value.to_text())


def set_of(answer: dns.message.Message, name: dns.name.Name, kind: str) -> RecordSet | None:
    """The set of one type at the very name, None where there is none."""
    wanted = dns.rdatatype.from_text(kind)
    for rrset in answer.answer:
        if rrset.rdtype == wanted and rrset.name == name:
            return RecordSet(kind, int(rrset.ttl), tuple(sorted(spelt(kind, each) for each in rrset)))
    return None


def hints_of(answer: dns.message.Message, name: dns.name.Name) -> tuple[str, ...]:
    """The addresses in the HTTPS records of a name."""
    sets = (each for each in answer.answer if each.rdtype == dns.rdatatype.HTTPS and each.name == name)
    given = (row.params.get(key) for rrset in sets for row in rrset for key in HINTS)
    return tuple(sorted({address for each in given if each is not None for address in each.addresses}))


def referred(answer: dns.message.Message, origin: dns.name.Name) -> tuple[str, ...]:
    """The servers of a zone below to which an answer refers, none for an answer of its own."""
    if answer.flags & dns.flags.AA:
        return ()
    for rrset in answer.authority:
        if rrset.rdtype == dns.rdatatype.NS and rrset.name != origin and rrset.name.is_subdomain(origin):
            return tuple(sorted(each.target.to_text(omit_final_dot=True) for each in rrset))
    return ()


def _soa(answer: dns.message.Message, server: str, zone: str) -> tuple[int, int]:
    """Serial, and the seconds for which "there is none" is kept: the lesser of the SOA's TTL and its minimum."""
    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.SOA and answer.flags & dns.flags.AA:
            return int(rrset[0].serial), min(int(rrset.ttl), int(rrset[0].minimum))
    raise ReadFailure(Trouble.ERROR, f"{server} is not authoritative for {zone}")
