"""Dynamic updates (RFC 2136) of one name: all of its sets are compared, then changed in the same message.

Removals come first: a server that finds a CNAME beside an address leaves out what does not fit, answers NOERROR, and
carries out the rest. Types that forbid a CNAME are named in the prerequisites for the same reason.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from dataclasses import dataclass, replace

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.update

from adapters.context import split_address
from adapters.dns.asking_servers import HEADER, LARGEST, READER, understood_answer
from adapters.dns.signing import FUDGE, WIDEST, KeyRefusal, Signer, clock_alone, is_readable, is_unsigned, refusal_of
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.ports.target import Receipt
from state.world.record_sets import SETTABLE, Bar, RecordSet, Sets

MOVED = (dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN)
"""Answers of a server that found something else than the prerequisites say; it has changed nothing (RFC 2136 3.2)."""
BESIDE = ("TXT", "MX", "NS", "SRV", "CAA", "PTR", "NAPTR", "SSHFP", "TLSA", "HTTPS", "SVCB", "LOC", "DS", "DNAME")
"""Types that no CNAME may stand beside (RFC 1034 3.6.2)."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What the server says to prerequisites without an update: whether they are met, or why it does not look."""

    met: bool
    refusal: KeyRefusal | None = None
    moved: bool = False


@dataclass(frozen=True, slots=True)
class UpdateChannel:
    """Sends signed updates to one server, each over a connection of its own."""

    zone: str
    server: str
    signer: Signer

    async def probe(self, record: str, held: Sets | None, *, deadline: float) -> Probed:
        """What `_probe` says; a refusal that names no reason is asked again with a signature for any time of the
        day."""
        found = await self._probe(record, held, FUDGE, deadline)
        refusal = found.refusal
        if refusal is None or refusal.bar is not Bar.KEY or refusal.code not in ("notauth", "refused"):
            return found
        again = await self._probe(record, held, WIDEST, deadline)
        return found if again.refusal is not None else Probed(False, clock_alone(self.server))

    async def _probe(self, record: str, held: Sets | None, fudge: int, deadline: float) -> Probed:
        """Whether the name has exactly these sets, or with None: whether it is not in use at all. Changes nothing: the
        message has prerequisites only."""
        name = dns.name.from_text(record, dns.name.from_text(self.zone))
        try:
            message = self._message(fudge)
            if held is None:
                message.absent(name)
            else:
                _require(message, name, held)
            wire = await self._exchange(message, deadline)
            answer = await self._taken(wire, message)
        except (EffectRefused, EffectUnknown) as error:
            bar = Bar.KEY if error.code == "key" else Bar.SILENT
            return Probed(False, KeyRefusal(bar, error.message, error.code))
        if isinstance(answer, KeyRefusal):
            return Probed(False, answer)
        if answer.rcode() == dns.rcode.NOERROR:
            return Probed(True)
        if answer.rcode() in MOVED:
            return Probed(False, moved=True)
        said = f"{self.server} answers {dns.rcode.to_text(answer.rcode())}"
        return Probed(False, KeyRefusal(Bar.SILENT, said, "strange"))

    async def send(self, record: str, before: Sets, after: Sets, *, deadline: float) -> Receipt:
        """Send the update once. Raises EffectRefused where a signed answer says that nothing was changed, or nothing
        was sent; EffectUnknown for everything else that is not NOERROR."""
        message = self._message()
        _fill(message, dns.name.from_text(record, dns.name.from_text(self.zone)), before, after)
        wire = await self._exchange(message, deadline)
        answer = await self._taken(wire, message)
        if isinstance(answer, KeyRefusal):
            if answer.signed:
                raise EffectRefused(answer.message, answer.code)
            raise EffectUnknown(answer.message, answer.code, over=True)  # anybody on the way could have said it
        code = answer.rcode()
        if code in MOVED:
            raise EffectRefused("the name has other records now than were read, so none was changed", "moved")
        if code != dns.rcode.NOERROR:
            raise EffectUnknown(f"{self.server} answers {dns.rcode.to_text(code)}", dns.rcode.to_text(code), over=True)
        return Receipt("noerror", f"{self.server} answers NOERROR, which is no proof")

    def _message(self, fudge: int = FUDGE) -> dns.update.UpdateMessage:
        message = dns.update.UpdateMessage(self.zone)
        try:
            self.signer.sign(message, fudge)
        except ValueError as error:  # its text may have the secret in it
            raise EffectRefused(f"the secret of the key {self.signer.key.name} is not base64", "key") from error
        return message

    async def _taken(self, wire: bytes, message: dns.update.UpdateMessage) -> dns.message.Message | KeyRefusal:
        """What `_read` says, read beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(READER, self._read, wire, message)

    def _read(self, wire: bytes, message: dns.update.UpdateMessage) -> dns.message.Message | KeyRefusal:
        """The answer, signed with the key; or the refusal of a server that does not accept the sender."""
        message_of = f"{self.server}: its answer makes no sense"
        if not is_readable(wire):
            raise EffectUnknown(f"{message_of} (an answer of {len(wire)} bytes is not read)", "strange")
        try:
            answer = understood_answer(wire, message)
        except ReadFailure as failure:  # too large to be read
            raise EffectUnknown(f"{message_of} ({failure.message})", "strange") from failure
        except dns.exception.DNSException as error:
            refusal = self._refusal(wire)
            if refusal is not None:
                return refusal
            if is_unsigned(wire):
                raise EffectUnknown(f"{self.server}: its answer is not signed with the key", "unsigned") from error
            raise EffectUnknown(f"{message_of} ({type(error).__name__})", "strange") from error
        refusal = self._refusal(wire)
        return answer if refusal is None else replace(refusal, signed=True)

    def _refusal(self, wire: bytes) -> KeyRefusal | None:
        return refusal_of(wire, self.server, self.zone, self.signer.key.name)

    async def _exchange(self, message: dns.update.UpdateMessage, deadline: float) -> bytes:
        """The bytes of the answer. Raises EffectRefused when nothing was sent, else EffectUnknown."""
        host, port = split_address(self.server)
        wire, sent = message.to_wire(), False
        try:
            async with asyncio.timeout(deadline):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    sent = True
                    writer.write(struct.pack("!H", len(wire)) + wire)
                    await writer.drain()
                    (size,) = struct.unpack("!H", await reader.readexactly(2))
                    if not HEADER.size <= size <= LARGEST:
                        raise EffectUnknown(f"{self.server}: an answer of {size} bytes is not read", "oversize")
                    return await reader.readexactly(size)
                finally:
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()
        except TimeoutError as error:
            if not sent:
                raise EffectRefused(f"no connection to {self.server} within {deadline:g} s", "unreachable") from error
            raise EffectUnknown(f"{self.server} did not answer within {deadline:g} s", "timeout") from error
        except (OSError, EOFError) as error:
            reason = str(error) or type(error).__name__
            if not sent:
                raise EffectRefused(f"no connection to {self.server}: {reason}", "unreachable") from error
            raise EffectUnknown(f"{self.server}: the connection was lost: {reason}", "reset") from error


def _fill(message: dns.update.UpdateMessage, name: dns.name.Name, before: Sets, after: Sets) -> None:
    """The prerequisites, then what is removed, then what is added."""
    _require(message, name, before)
    if "CNAME" in after:
        for kind in BESIDE:
            message.absent(name, kind)
    for kind in SETTABLE:
        if kind in before and before[kind] != after.get(kind):
            message.delete(name, kind)
    for kind, each in after.items():
        if before.get(kind) != each:
            message.add(name, _rdataset(name, each))


def _require(message: dns.update.UpdateMessage, name: dns.name.Name, held: Sets) -> None:
    """The prerequisites: each set exactly as it is, and none of the other types."""
    for kind in SETTABLE:
        if kind in held:
            message.present(name, _rdataset(name, replace(held[kind], ttl=0)))  # a TTL cannot be required
        else:
            message.absent(name, kind)


def _rdataset(name: dns.name.Name, each: RecordSet) -> dns.rrset.RRset:
    values = [f"{value}." if each.type == "CNAME" else value for value in each.values]
    return dns.rrset.from_text(name, each.ttl, "IN", each.type, *values)
