"""HAProxy's server-state file: what is written into it, and what a reload would make of it.

`show servers state` is of now, and a reload comes later. Two parts of a row would then harm (both measured, ADR 75): a
server that was down is out again until its checks have passed, though it serves; and the port of a row goes before the
configured one. So only servers that are not as configured have a row, and no row says what a check said.

How rows are read: HAProxy configuration manual, `load-server-state-from-file`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from adapters.balancers.haproxy_rows import STATE_HEADER, StateRow, key_of, row_of
from state.errors import ReadFailure, Trouble

NEUTRAL: Mapping[int, bytes] = {5: b"2", 9: b"0", 10: b"1", 11: b"0", 12: b"0"}
"""Columns that tell of checks, and their values in a process that has just begun: running, just now, no check yet."""
MOST = 64 << 20
"""Bytes of a state file."""


class PresentRows(NamedTuple):
    """The servers of a process by `backend/server`: all of them, and those that are not as configured; and its
    backends."""

    rows: Mapping[str, StateRow]
    unlike: Mapping[str, StateRow]
    backends: frozenset[str]


def _fields(text: bytes) -> Iterator[tuple[list[bytes], StateRow]]:
    """Every row in turn. Raises ReadFailure."""
    lines = text.splitlines()
    if len(lines) < 2 or lines[0] != b"1" or not lines[1].startswith(STATE_HEADER):
        raise ReadFailure(Trouble.ERROR, "it has not the form of `show servers state`, version 1")
    try:
        for line in lines[2:]:
            fields = line.split(b" ")
            if len(fields) > 1:
                yield fields, row_of(fields)
    except (IndexError, ValueError) as error:
        raise ReadFailure(Trouble.ERROR, "it has a row that cannot be read") from error


def rows_in(text: bytes) -> dict[str, StateRow]:
    """The servers of a file that are not as configured, by `backend/server`. Raises ReadFailure."""
    return {_key(fields): row for fields, row in _fields(text) if not row.as_configured}


def present_in(dump: bytes) -> PresentRows:
    """What `show servers state` answered. Raises ReadFailure. 10,000 servers take 0.1 s: for a thread."""
    rows = {_key(fields): row for fields, row in _fields(dump)}
    unlike = {key: row for key, row in rows.items() if not row.as_configured}
    return PresentRows(rows, unlike, frozenset(key.partition("/")[0] for key in rows))


def _key(fields: list[bytes]) -> str:
    try:
        return key_of(fields)
    except ValueError as error:
        raise ReadFailure(Trouble.ERROR, "it has a name that cannot be read") from error


def written(dump: bytes) -> bytes:
    """The content of the file for what `show servers state` answers. Raises ReadFailure."""
    made = dump.splitlines()[:2]
    for fields, row in _fields(dump):
        if not row.as_configured:
            made.append(b" ".join(NEUTRAL.get(place, field) for place, field in enumerate(fields)))
    return b"\n".join(made) + b"\n"


def lost(present: PresentRows, kept: Mapping[str, StateRow]) -> dict[str, str]:
    """What a reload makes of the servers that it does not leave as they are: `drain`, `weight 30`, or both. An agent
    sets its server again by itself."""
    found: dict[str, str] = {}
    stale = {key: present.rows[key] for key in kept if key in present.rows}
    for key, row in {**present.unlike, **stale}.items():
        then = row.after_reload(kept.get(key))
        if row.agent or then == row.now:
            continue
        (state, weight), (state_now, weight_now) = then, row.now
        parts = [state] if state != state_now else []
        found[key] = ", ".join([*parts, *([f"weight {weight}"] if weight != weight_now else [])])
    return found
