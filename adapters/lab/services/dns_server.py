"""An authoritative DNS server for one zone, over UDP and TCP, with updates signed by TSIG.

RFC 1035 (messages), RFC 2136 (updates, prerequisites first, then all or nothing), RFC 8945 (TSIG), RFC 5936 (AXFR).
It replaces BIND where BIND is not installed.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update

TsigKey = tuple[dns.name.Name, dns.rdatatype.RdataType]
IN, ANY, NONE = dns.rdataclass.IN, dns.rdataclass.ANY, dns.rdataclass.NONE


class Zone:
    """The records of a zone and its serial; every update that is carried out raises the serial by one."""

    def __init__(self, origin: str, records: Mapping[str, list[str]], ttl: int) -> None:
        self.origin = dns.name.from_text(origin)
        self.ttl = ttl
        self.serial = 1
        self._records: dict[TsigKey, dns.rrset.RRset] = {}
        self._put(dns.rrset.from_text(self.origin, ttl, "IN", "NS", f"ns1.{self.origin}"))
        for name, addresses in {"ns1": ["127.0.0.1"], **records}.items():
            self._put(dns.rrset.from_text(dns.name.from_text(name, self.origin), ttl, "IN", "A", *addresses))

    def _put(self, rrset: dns.rrset.RRset) -> None:
        self._records[rrset.name, rrset.rdtype] = rrset

    def soa(self) -> dns.rrset.RRset:
        text = f"ns1.{self.origin} admin.{self.origin} {self.serial} 60 30 600 {self.ttl}"
        return dns.rrset.from_text(self.origin, self.ttl, "IN", "SOA", text)

    def find(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
        if kind == dns.rdatatype.SOA and name == self.origin:
            return self.soa()
        return self._records.get((name, kind))

    def knows(self, name: dns.name.Name) -> bool:
        return name == self.origin or any(key[0] == name for key in self._records)

    def transfer(self) -> list[dns.rrset.RRset]:
        return [self.soa(), *self._records.values(), self.soa()]

    def update(self, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        """Carry out an update when all its prerequisites are met (RFC 2136 section 3.2)."""
        required: dict[TsigKey, set[dns.rdata.Rdata]] = {}
        for rrset in message.prerequisite:
            refusal = self._unmet(rrset, required)
            if refusal is not None:
                return refusal
        for key, values in required.items():
            current = self._records.get(key)
            if current is None or set(current) != values:
                return dns.rcode.NXRRSET
        for rrset in message.update:
            self._apply(rrset)
        self.serial += 1 if message.update else 0
        return dns.rcode.NOERROR

    def _unmet(self, rrset: dns.rrset.RRset, required: dict[TsigKey, set[dns.rdata.Rdata]]) -> dns.rcode.Rcode | None:
        whole_name = rrset.rdtype == dns.rdatatype.ANY
        exists = self.knows(rrset.name) if whole_name else (rrset.name, rrset.rdtype) in self._records
        wanted = rrset.deleting if rrset.deleting is not None else rrset.rdclass
        if wanted == ANY:
            return None if exists else (dns.rcode.NXDOMAIN if whole_name else dns.rcode.NXRRSET)
        if wanted == NONE:
            return None if not exists else (dns.rcode.YXDOMAIN if whole_name else dns.rcode.YXRRSET)
        required.setdefault((rrset.name, rrset.rdtype), set()).update(rrset)
        return None

    def _apply(self, rrset: dns.rrset.RRset) -> None:
        key = (rrset.name, rrset.rdtype)
        if rrset.deleting == ANY:
            for other in [k for k in self._records if k[0] == rrset.name and rrset.rdtype in (k[1], dns.rdatatype.ANY)]:
                del self._records[other]
            return
        current = set(self._records.get(key, ()))
        if rrset.deleting == NONE:
            gone = {value.to_text() for value in rrset}
            kept = [value for value in current if value.to_text() not in gone]
            ttl = self._records[key].ttl if key in self._records else rrset.ttl
        else:
            kept = [*current, *(value for value in rrset if value not in current)]
            ttl = rrset.ttl
        if kept:
            self._put(dns.rrset.from_rdata_list(rrset.name, ttl, sorted(kept, key=str)))
        else:
            self._records.pop(key, None)


class DnsServer:
    """Answers for one zone. `key` is (name, base64 secret, algorithm)."""

    def __init__(self, zone: Zone, key: tuple[str, str, str]) -> None:
        self.zone = zone
        name, secret, algorithm = key
        self._keyring = dns.tsigkeyring.from_text({name: (algorithm, secret)})
        self._server: asyncio.Server | None = None
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen on UDP and TCP. Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _ZoneDatagrams(self), local_addr=(host, port))
        self._server = await asyncio.start_server(self._stream, host, port, reuse_address=True)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._transport is not None:
            self._transport.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(length))
                if answer is None:
                    break
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client closed: the usual end of a DNS connection
        finally:
            writer.close()

    def answer(self, wire: bytes) -> bytes | None:
        """The reply to one message, or None for one that gets no reply."""
        try:
            message = dns.message.from_wire(wire, keyring=self._keyring)
        except (dns.tsig.BadSignature, dns.tsig.BadTime, dns.message.UnknownTSIGKey):
            return self._refusal(wire)
        except dns.exception.DNSException:
            return None
        reply = dns.message.make_response(message)
        if isinstance(message, dns.update.UpdateMessage):
            reply.set_rcode(self.zone.update(message) if message.had_tsig else dns.rcode.REFUSED)
        elif message.opcode() == dns.opcode.QUERY and message.question:
            self._query(message, reply)
        else:
            reply.set_rcode(dns.rcode.NOTIMP)
        return reply.to_wire()

    def _refusal(self, wire: bytes) -> bytes | None:
        """NOTAUTH, unsigned: the sender shares no secret with this server."""
        try:
            unsigned = dns.message.from_wire(wire, keyring=False, continue_on_error=True)
        except dns.exception.DNSException:
            return None
        reply = dns.message.Message(unsigned.id)
        reply.flags = dns.flags.QR | dns.opcode.to_flags(unsigned.opcode())
        reply.set_rcode(dns.rcode.NOTAUTH)
        return reply.to_wire()

    def _query(self, message: dns.message.Message, reply: dns.message.Message) -> None:
        question = message.question[0]
        reply.flags |= dns.flags.AA
        if not question.name.is_subdomain(self.zone.origin):
            reply.flags &= ~dns.flags.AA
            reply.set_rcode(dns.rcode.REFUSED)
        elif question.rdtype == dns.rdatatype.AXFR:
            if message.had_tsig:
                reply.answer += self.zone.transfer()
            else:
                reply.set_rcode(dns.rcode.REFUSED)
        elif (found := self.zone.find(question.name, question.rdtype)) is not None:
            reply.answer.append(found)
        else:
            reply.authority.append(self.zone.soa())
            if not self.zone.knows(question.name):
                reply.set_rcode(dns.rcode.NXDOMAIN)


class _ZoneDatagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
