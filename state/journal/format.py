"""The journal's format: sealing, reading and verifying entries. Pure; storage is an adapter.

An entry is a header and a payload. The header is a canonical JSON array
`[seq, node, at, mono, boot, actor, session, kind, incident, run, step, commitment]`; the payload is canonical JSON,
committed to by sha256(salt + payload), so retention may erase it and the chain still verifies. The chain is
hash = sha256(previous hash + header bytes); the stored bytes are the hashed bytes, so verifying parses nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from state.journal.events import Erased, Event, Foreign, Recorded, read_body

FOREIGN = "foreign"
"""The kind of an entry whose bytes cannot be read."""

TOO_LARGE = b'"words":"payload too large"'
"""What replaces a payload that was too large."""

GENESIS = bytes(32)
"""The previous hash of the first entry."""

LAST_INSTANT = 1e12
"""Seconds no clock shows; what says so, or is not a number at all, is not an entry."""

MAX_PAYLOAD = 256 * 1024
"""The most bytes of a payload; a larger one is replaced by its size and hash before sealing."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An entry as stored: header bytes, chain hash (32 bytes), salt and payload bytes (empty when erased)."""

    seq: int
    header: bytes
    hash: bytes
    salt: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of checking a chain: number of valid entries, the head, and the first problem as text."""

    entries: int
    head: bytes
    problem: str = ""
    torn: str = ""

    @property
    def ok(self) -> bool:
        """Whether every entry is valid. A torn last record is not tampering, but it is reported."""
        return not self.problem


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, ASCII only: one value, one byte string. Raises ValueError on NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


@dataclass(frozen=True, slots=True)
class Sealer:
    """Where and when entries are made: journal node and boot id."""

    node: str
    boot: str

    def seal(self, event: Event, *, seq: int, previous: bytes, at: float, mono: float, payload: bytes = b"") -> Sealed:
        """Make an entry of an event, chained to the hash before it; `payload` when it was encoded before."""
        payload = payload or canonical(event.body.as_json())
        if len(payload) > MAX_PAYLOAD:
            digest = sha256(payload).hexdigest()
            payload = canonical({"words": "payload too large", "bytes": len(payload), "sha256": digest})
        salt = secrets.token_bytes(16)
        commitment = sha256(salt + payload).hexdigest()
        header = canonical(
            [
                seq,
                self.node,
                round(at, 6),
                round(mono, 6),
                self.boot,
                event.actor,
                event.session,
                event.kind,
                event.incident,
                event.run,
                event.step,
                commitment,
            ]
        )
        return Sealed(seq, header, sha256(previous + header).digest(), salt, payload)


def recorded(sealed: Sealed, event: Event, *, at: float, mono: float, sealer: Sealer) -> Recorded:
    """An entry just sealed, as `unseal` would read it back, without parsing it again."""
    if TOO_LARGE in sealed.payload:
        event = replace(event, body=read_body(event.kind, json.loads(sealed.payload)))
    hexed = sealed.hash.hex()
    return Recorded(sealed.seq, round(at, 6), round(mono, 6), sealer.boot, sealer.node, hexed, event.kind, event)


def unseal(sealed: Sealed) -> Recorded:
    """Read an entry back. Raises ValueError when the bytes are not an entry."""
    try:
        _, node, at, mono, boot, *names, _ = json.loads(sealed.header)
        actor, session, kind, incident, run, step = names
        raw = json.loads(sealed.payload) if sealed.payload else {}
    except (TypeError, RecursionError) as error:
        raise ValueError("not an entry") from error
    texts, times = (node, boot, *names), (at, mono)
    if not (isinstance(raw, dict) and all(isinstance(t, str) for t in texts) and all(map(_is_instant, times))):
        raise ValueError("not an entry")
    body = read_body(kind, raw) if sealed.payload else Erased()
    event = Event(body, actor, session, incident, run, step)
    return Recorded(sealed.seq, at, mono, boot, node, sealed.hash.hex(), kind, event)


def unseal_any(sealed: Sealed) -> Recorded:
    """Read an entry back; other bytes become an entry of an unknown kind, so that reading continues after them."""
    try:
        return unseal(sealed)
    except ValueError:
        event = Event(Foreign({"words": "these bytes are not a journal entry"}), "")
        return Recorded(sealed.seq, 0.0, 0.0, "", "", sealed.hash.hex(), FOREIGN, event)


def _is_instant(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LAST_INSTANT


class Verifier:
    """Checks a chain piece by piece, so that a long one need not be in memory, nor checked at once."""

    def __init__(self) -> None:
        self.entries, self.head, self.problem = 0, GENESIS, ""

    def feed(self, entries: Iterable[Sealed]) -> bool:
        """Check the next entries; False from the first invalid one on."""
        count, previous = self.entries, self.head
        for entry in entries:
            if self.problem:
                break
            header, chained = entry.header, sha256(previous + entry.header).digest()
            if chained != entry.hash:
                self.problem = f"entry {entry.seq} does not follow from entry {count}"
            elif not header.startswith(b"[%d," % (count + 1)) or entry.seq != count + 1:
                self.problem = f"entry {entry.seq} is in the place of entry {count + 1}"
            elif entry.payload and header[-66:-2] != sha256(entry.salt + entry.payload).hexdigest().encode():
                self.problem = f"the payload of entry {entry.seq} is not the one that was recorded"
            else:
                count, previous = count + 1, chained
        self.entries, self.head = count, previous
        return not self.problem

    def finish(self, head: bytes | None = None) -> Verification:
        """The result; `head` is the hash the chain must end with, when known."""
        if not self.problem and head is not None and head != self.head:
            self.problem = f"the chain ends at entry {self.entries} with another hash than the known head"
        return Verification(self.entries, self.head, self.problem)


def verify(entries: Iterable[Sealed], *, head: bytes | None = None) -> Verification:
    """Check a whole chain from its first entry; `head` is the hash it must end with, when known.

    Detects any edit, deletion, insertion and reordering, and with `head` also truncation and replacement.
    """
    verifier = Verifier()
    verifier.feed(entries)
    return verifier.finish(head)


def export_line(entry: Sealed) -> bytes:
    """One entry as a line of an export: everything an offline verifier needs."""
    return canonical(
        {
            "seq": entry.seq,
            "header": entry.header.decode("ascii", "replace"),
            "hash": entry.hash.hex(),
            "salt": entry.salt.hex(),
            "payload": entry.payload.decode("ascii", "replace"),
        }
    )


def verify_export(lines: Iterable[bytes], *, head: bytes | None = None) -> Verification:
    """Check an exported journal. A last line cut short is torn (a crash), not tampering."""
    entries: list[Sealed] = []
    broken = ""
    for number, line in enumerate(lines, 1):
        if broken:
            return Verification(len(entries), GENESIS, broken)
        try:
            raw = json.loads(line)
            entry = Sealed(
                int(raw["seq"]),
                raw["header"].encode("ascii"),
                bytes.fromhex(raw["hash"]),
                bytes.fromhex(raw["salt"]),
                raw["payload"].encode("ascii"),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            broken = f"line {number} is not a journal entry"
            continue
        entries.append(entry)
    result = verify(entries, head=None if broken else head)
    if broken and result.ok:
        return Verification(
            result.entries, result.head, torn=f"{broken}: torn by a crash, {len(entries)} entries are valid"
        )
    return result
