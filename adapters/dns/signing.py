"""Signatures of messages (TSIG, RFC 8945), and what a refusal of one means.

A server that refuses a signature says so in the record of its own answer: with the time of its clock where the clocks
differ. Some give no such record, and then the answer proves nothing but that they refused.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring

from adapters.dns.asking_servers import HEADER
from adapters.secrets import Secret
from state.estate.model import Entry, SecretRef
from state.units import utc
from state.world.record_sets import Bar

FUDGE = 300
"""Seconds by which the clocks may differ (RFC 8945 10)."""
NO_ANSWER = (dns.exception.DNSException, ValueError, IndexError, struct.error)
"""What the library raises for bytes that are no message."""
MOST_RECORDS = 64
"""An answer to an update has hardly more than its signature; each record may cost milliseconds to read."""
WIDEST = 0xFFFF
"""The most seconds that a signature can allow: only for questions, to tell a clock from a key."""


class Key(Entry):
    """The TSIG key for updates: its name, its algorithm and where its base64 secret is read."""

    name: str
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret: SecretRef


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with one key. `sign` raises ValueError for a secret that is not base64."""

    key: Key
    secret: Secret

    def sign(self, message: dns.message.Message, fudge: int = FUDGE) -> None:
        """From now on the message is signed when it becomes bytes, and its answer must be."""
        ring = dns.tsigkeyring.from_text({self.key.name: (f"{self.key.algorithm}.", self.secret.reveal())})
        message.use_tsig(ring, dns.name.from_text(self.key.name), fudge=fudge, algorithm=f"{self.key.algorithm}.")


@dataclass(frozen=True, slots=True)
class KeyRefusal:
    """Why a signed message was refused, in words; `signed`: the answer is proven to come from the server."""

    bar: Bar
    message: str
    code: str
    signed: bool = False


def is_readable(wire: bytes) -> bool:
    """Whether an answer says that it has no more records than an answer to an update can have."""
    return len(wire) >= HEADER.size and sum(HEADER.unpack_from(wire)[2:]) <= MOST_RECORDS


def is_unsigned(wire: bytes) -> bool:
    """Whether an answer has no signature at all; False for bytes that are no answer."""
    if not is_readable(wire):
        return False
    try:
        return not dns.message.from_wire(wire, keyring=False, continue_on_error=True).had_tsig
    except NO_ANSWER:
        return False


def refusal_of(wire: bytes, server: str, zone: str, key: str) -> KeyRefusal | None:
    """What an answer refuses, read without trust in it; None for an answer that refuses nothing about the sender."""
    if not is_readable(wire):
        return None
    try:
        answer = dns.message.from_wire(wire, keyring=False, continue_on_error=True)
    except NO_ANSWER:
        return None
    code, error = answer.rcode(), _tsig_error(answer)
    if error == dns.rcode.BADTIME:
        return KeyRefusal(Bar.CLOCK, f"{server} has another time: {_clocks(answer)}", "badtime")
    if error in (dns.rcode.BADKEY, dns.rcode.BADSIG):
        said = dns.rcode.to_text(dns.rcode.Rcode(error), tsig=True)
        way = "it does not know the key" if error == dns.rcode.BADKEY else "its secret for the key is another one"
        return KeyRefusal(Bar.KEY, f"{server} does not accept the key {key} ({said}): {way}", said.lower())
    if code in (dns.rcode.NOTAUTH, dns.rcode.REFUSED) and error is None:
        said = dns.rcode.to_text(code)
        why = "it does not know the key, has another secret for it, or does not let it do this"
        return KeyRefusal(Bar.KEY, f"{server} refuses the key {key} ({said}, unsigned): {why}", said.lower())
    if code in (dns.rcode.NOTAUTH, dns.rcode.NOTZONE):
        return KeyRefusal(Bar.ZONE, f"{server} is not authoritative for {zone} ({dns.rcode.to_text(code)})", "notzone")
    if code == dns.rcode.REFUSED:
        return KeyRefusal(Bar.DENIED, f"{server} does not let the key {key} do it, or lets nobody (REFUSED)", "denied")
    return None


def clock_alone(server: str) -> KeyRefusal:
    """The same question was accepted where the signature allowed any time of the day: only the clocks differ."""
    said = f"{server} has another time than this host ({utc(time.time())} here): they differ by more than {FUDGE} s"
    return KeyRefusal(Bar.CLOCK, said, "badtime")


def _tsig_error(answer: dns.message.Message) -> int | None:
    return None if answer.tsig is None else int(answer.tsig[0].error)


def _clocks(answer: dns.message.Message) -> str:
    """Both clocks: the server's is in its answer (RFC 8945 5.2.3)."""
    assert answer.tsig is not None
    record, now = answer.tsig[0], time.time()
    theirs = int.from_bytes(record.other, "big") if len(record.other) == 6 else int(record.time_signed)
    return f"{utc(theirs)} there, {utc(now)} here; they may differ by {FUDGE} s"
