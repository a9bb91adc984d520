"""What an approver signs: a short text that names everything the approval is about, the same in every place."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from state.journal.format import canonical
from state.text import clean
from state.units import megabytes, rfc3339

LONGEST = 1000
"""Characters of a line. What could act on a terminal is shown as an escape, with % in place of the backslash: so each
line is the same after it was made safe once more on its way."""
VERSION = "recovery approval, version 1"


def plan_hash(parts: Mapping[str, Any]) -> str:
    """The hash of everything an approval is about: another word anywhere makes it another one."""
    return sha256(canonical(dict(parts))).hexdigest()


def statement(
    *,
    estate: str,
    environment: str,
    request: str,
    plan: str,
    risk: str,
    title: str,
    loss: int | None,
    requester: str,
    reason: str,
    change: str,
    approver: str,
    until: float,
) -> str:
    """The text, one fact a line, with a line end behind the last one. `until` is in epoch seconds."""
    lines = [
        VERSION,
        f"estate: {estate}",
        f"environment: {environment}",
        f"request: {request}",
        f"plan: {plan}",
        f"risk: {risk}",
        f"does: {title}",
        f"may lose: {'unknown' if loss is None else megabytes(loss)}",
        f"asked by: {requester}",
        f"reason: {reason}",
        f"change: {change or 'none'}",
        f"approved by: {approver}",
        f"approve until: {rfc3339(until)}",
    ]
    return whole(tuple(clean(line, LONGEST).replace("\\", "%") for line in lines))


def confirmation(*, estate: str, environment: str, plan: str, fingerprint: str, title: str, person: str) -> str:
    """What a person at a shared account signs to carry out one plan, once: one fact a line, as in `statement`."""
    lines = (
        "recovery confirmation, version 1",
        f"estate: {estate}",
        f"environment: {environment}",
        f"plan: {plan}",
        f"fingerprint: {fingerprint}",
        f"does: {title}",
        f"confirmed by: {person}",
    )
    return whole(tuple(clean(line, LONGEST).replace("\\", "%") for line in lines))


def whole(lines: Iterable[str]) -> str:
    """The text of its lines, as it is signed."""
    return "".join(f"{line}\n" for line in lines)


def altered(text: str) -> Mapping[str, bytes]:
    """The same text as other programs leave it, with what they did to it."""
    raw, windows = text.encode(), text.replace("\n", "\r\n")
    return {
        "with other line ends (CRLF)": windows.encode(),
        "without its last line end": raw.rstrip(b"\n"),
        "with one line end more": raw + b"\n",
        "with blanks at its end": raw.rstrip(b"\n") + b" \n",
        "with a byte order mark in front": text.encode("utf-8-sig"),
        "with a byte order mark and other line ends (CRLF)": windows.encode("utf-8-sig"),
        "rewritten in UTF-16": codecs.BOM_UTF16_LE + windows.encode("utf-16-le"),
    }
