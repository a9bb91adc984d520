"""The journal's format: sealing, reading and verifying entries. Pure; storage is an adapter.

An entry is a header and a payload. The header is a canonical JSON array
`[seq, node, at, mono, boot, actor, session, kind, incident, run, step, commitment]`; the payload is canonical JSON,
committed to by sha256(salt + payload), so retention may erase it and the chain still verifies. The chain is
hash = sha256(previous hash + header bytes); the stored bytes are the hashed bytes, so verifying parses nothing.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from state.errors import UnsuitableArgument
from state.journal.events import (
    OBSERVED,
    Body,
    Erased,
    Event,
    Foreign,
    Observation,
    Recorded,
    TooLarge,
    Unreadable,
    origin_of,
    read_body,
)
from state.journal.shortening import LIMITS, SHORTENED, shortened, told_shorter
from state.proof.chain import Verification, Verifier, verify
from state.proof.encoding import GENESIS, Sealed, canonical

__all__ = [
    "ALTERED",
    "FOREIGN",
    "GENESIS",
    "LAST_INSTANT",
    "MAX_PAYLOAD",
    "TOO_LARGE",
    "Sealed",
    "Sealer",
    "Verification",
    "Verifier",
    "canonical",
    "known_head",
    "recorded",
    "unseal",
    "unseal_any",
    "verify",
]

FOREIGN = "foreign"
"""The kind of an entry whose bytes cannot be read."""

TOO_LARGE = "payload too large"
"""The words that replace a payload that was too large."""
ALTERED = (b'"words":"%s"' % TOO_LARGE.encode(), b'"%s":' % SHORTENED.encode())
"""In a payload that may not be what was asked for."""

LAST_INSTANT = 1e12
"""Seconds no clock shows; what says so, or is not a number at all, is not an entry."""

MAX_PAYLOAD = 256 * 1024
"""The most bytes of a payload. The texts of a larger observation are shortened before sealing, and what a larger
outcome only tells; anything else is replaced by its size and hash."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """Where and when entries are made: journal node and boot id."""

    node: str
    boot: str

    def seal(self, event: Event, *, seq: int, previous: bytes, at: float, mono: float, payload: bytes = b"") -> Sealed:
        """Make an entry of an event, chained to the hash before it; `payload` when it was encoded before."""
        payload = payload or canonical(event.body.as_json())
        if len(payload) > MAX_PAYLOAD:
            payload = _smaller(event, payload)
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
    kind, hexed = event.kind, sealed.hash.hex()
    if any(each in sealed.payload for each in ALTERED):
        event = replace(event, body=_body(kind, json.loads(sealed.payload)))
    return Recorded(sealed.seq, round(at, 6), round(mono, 6), sealer.boot, sealer.node, hexed, kind, event)


def _smaller(event: Event, payload: bytes) -> bytes:
    body = event.body
    for letters in LIMITS if body.tells or isinstance(body, Observation) else ():
        told = body.as_json()
        short = canonical(told_shorter(told, body.tells, letters) if body.tells else shortened(told, letters))
        if len(short) <= MAX_PAYLOAD:
            return short
    return canonical({"words": TOO_LARGE, "bytes": len(payload), "sha256": sha256(payload).hexdigest()})


def _body(kind: str, raw: dict[str, Any]) -> Body:
    """A body as its bytes say; an observation that was too large says nothing, and nothing depends on it."""
    body = read_body(kind, raw)
    large = raw.get("words") == TOO_LARGE and raw.keys() == {"words", "bytes", "sha256"}
    return TooLarge() if large and isinstance(body, Unreadable) and origin_of(kind) == OBSERVED else body


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
    body = _body(kind, raw) if sealed.payload else Erased()
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


def known_head(text: str) -> str:
    """The beginning of a hash that was stored elsewhere, at least 8 digits. Raises UnsuitableArgument."""
    if not re.fullmatch(r"[0-9a-fA-F]{8,64}", text):
        raise UnsuitableArgument(f"a head is 8 to 64 hexadecimal digits of the hash of an entry, not {text[:80]!r}")
    return text.lower()
