"""Names and values of DNS as an estate and requests may have them: nothing else reaches a server."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from state.units import parse_duration

APEX = "@"
"""The zone's own name."""
RECORD_PATTERN = r"^(@|\*|(\*\.)?[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62}){0,8})$"
RECORD_RULE = "a name within its zone: labels of letters, digits, dash and underscore, `@` for the zone itself"
LONGEST_NAME = 253
MOST_TTL = (1 << 31) - 1
"""Seconds, RFC 2181 8."""
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62}){0,20}")


def _four(text: str) -> str:
    return str(IPv4Address(text))


def _six(text: str) -> str:
    if "%" in text:
        raise ValueError(f"{text!r} has a scope, which no record can have")
    return str(IPv6Address(text))


def _host(text: str) -> str:
    name = text.removesuffix(".")
    if len(name) > LONGEST_NAME or _HOST.fullmatch(name) is None:
        raise ValueError("a target is a whole name: labels of letters, digits, dash and underscore")
    return name.lower()


def _whole(seconds: float) -> float:
    if seconds != int(seconds):
        raise ValueError("a TTL is whole seconds")
    return seconds


RecordName = Annotated[str, Field(pattern=RECORD_PATTERN)]
FourAddress = Annotated[str, AfterValidator(_four)]
SixAddress = Annotated[str, AfterValidator(_six)]
TargetName = Annotated[str, AfterValidator(_host)]
"""The whole name that an alias leads to, with or without the final dot."""
Ttl = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, le=MOST_TTL), AfterValidator(_whole)]
"""Whole seconds that an answer may be kept."""


def whole_name(record: str, zone: str) -> str:
    """A record's name with its zone's."""
    return zone if record == APEX else f"{record}.{zone}"
