"""What a database is to be restored to, as a person types it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class TargetKind(StrEnum):
    """What a target is told by."""

    TIME = "time"
    LSN = "lsn"
    NAME = "name"
    XID = "xid"
    LATEST = "latest"


LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
XID = re.compile(r"xid:([0-9]{1,20})")
NAMED = re.compile(r"name:(.+)")
BARE = ("name:", "xid:")
"""Beginnings after which something must follow: a variable of a shell was empty."""
POINT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,62}")
"""A name of a restore point: what any shell and any setting takes as it is."""
WAYS = "a time (2026-11-27T14:05:00Z), an LSN (0/3000060), xid:NUMBER, the name of a restore point, or latest"


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """`at` is a time in epoch seconds, `lsn` a position in bytes, `text` a name or a transaction's number."""

    kind: TargetKind
    at: float = 0.0
    lsn: int = 0
    text: str = ""


def parse_target(text: str) -> RestoreTarget:
    """A target as typed. Raises ValueError, with what would do."""
    if text == "latest":
        return RestoreTarget(TargetKind.LATEST)
    if found := LSN.fullmatch(text):
        return RestoreTarget(TargetKind.LSN, lsn=(int(found[1], 16) << 32) + int(found[2], 16))
    if found := XID.fullmatch(text):
        return RestoreTarget(TargetKind.XID, text=str(int(found[1])))  # PostgreSQL reads 0100 as octal
    if (moment := _moment(text)) is not None:
        return RestoreTarget(TargetKind.TIME, at=moment)
    name = found[1] if (found := NAMED.fullmatch(text)) else text
    if not POINT.fullmatch(name) or text in BARE:
        raise ValueError(f"{text!r} is none of these: {WAYS}")
    if name[0].isdigit() and found is None:
        raise ValueError(f"{text!r} is no time and no LSN: {WAYS}; for a name that begins so name:{name}")
    return RestoreTarget(TargetKind.NAME, text=name)


def _moment(text: str) -> float | None:
    """RFC 3339 or with a blank; without a zone it is no time: nobody knows whose clock was meant."""
    if not re.match(r"\d{4}-\d\d-\d\d[T ]\d", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: end it with Z for UTC, or with its offset as +02:00")
    try:
        return moment.astimezone(UTC).timestamp()
    except OverflowError:
        return None  # beyond the years 1 to 9999 in UTC


def setting_of(target: RestoreTarget) -> tuple[str, str]:
    """The kind and value of PostgreSQL's recovery target."""
    match target.kind:
        case TargetKind.TIME:
            moment = datetime.fromtimestamp(target.at, UTC).replace(tzinfo=None)
            return "time", f"{moment.isoformat(' ', 'microseconds')}+00"
        case TargetKind.LSN:
            return "lsn", f"{target.lsn >> 32:X}/{target.lsn & 0xFFFFFFFF:X}"
        case TargetKind.LATEST:
            return "default", ""
    return target.kind.value, target.text
