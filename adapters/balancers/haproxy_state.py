"""HAProxy's server-state file: what is written into it, and what a reload would make of it.

`show servers state` is of now, and a reload comes later. Two parts of a row would then harm (both measured, ADR 75): a
server that was down is out again until its checks have passed, though it serves; and the port of a row goes before the
configured one. So only servers that are not as configured have a row, and no row says what a check said.

Rows: HAProxy management guide 9.3, `show servers state`. How they are read: configuration manual,
`load-server-state-from-file`, and `src/server_state.c` of HAProxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from adapters.balancers.haproxy_parse import CHECK_CONFIGURED, CHECK_ENABLED, STATE_HEADER
from state.errors import ReadFailure, Trouble

FORCED_MAINT, CONFIGURED_MAINT, FORCED_DRAIN, RENAMED = 0x01, 0x04, 0x08, 0x40
"""Bits of `srv_admin_state`: by hand, by the configuration (it stays after `ready`), by hand, a name set by hand."""
KEY_BACKEND, KEY_SERVER, ADMIN, WEIGHT, CONFIGURED, CHECK, AGENT = 1, 3, 6, 7, 8, 13, 14
"""Columns of a row."""
NEUTRAL: Mapping[int, bytes] = {5: b"2", 9: b"0", 10: b"1", 11: b"0", 12: b"0"}
"""Columns that tell of checks, and their values in a process that has just begun: running, just now, no check yet."""
SOME_ROWS = 500
MOST = 64 << 20
"""Bytes of a state file."""


class StateRow(NamedTuple):
    """What a row says that people set. `disabled` is by the configuration; `more` is set besides: a check or an agent
    that is off, or another name."""

    maintenance: bool
    disabled: bool
    drained: bool
    weight: int
    configured: int
    more: bool
    agent: bool

    @property
    def as_configured(self) -> bool:
        """Whether a process without a state file has the same."""
        same = self.maintenance == self.disabled and not self.drained and self.weight == self.configured
        return same and not self.more

    @property
    def now(self) -> tuple[str, int]:
        """State and weight."""
        return _word(self.maintenance, self.drained), self.weight

    def after_reload(self, kept: StateRow | None) -> tuple[str, int]:
        """State and weight that the next process has, by what its file has of this server; the configuration is taken
        to be the same."""
        if kept is None:
            return _word(self.disabled, drained=False), self.configured
        out = self.disabled if kept.disabled != self.disabled else kept.maintenance
        drained = kept.drained and not out and (kept.configured > 0 or self.configured == 0)
        return _word(out, drained), kept.weight if kept.configured == self.configured else self.configured


def _word(out: bool, drained: bool) -> str:
    return "maint" if out else "drain" if drained else "ready"


def _row(fields: list[bytes]) -> StateRow:
    admin, check, agent = int(fields[ADMIN]), int(fields[CHECK]), int(fields[AGENT])
    off = any(bits & (CHECK_CONFIGURED | CHECK_ENABLED) == CHECK_CONFIGURED for bits in (check, agent))
    return StateRow(
        bool(admin & FORCED_MAINT),
        bool(admin & CONFIGURED_MAINT),
        bool(admin & FORCED_DRAIN),
        int(fields[WEIGHT]),
        int(fields[CONFIGURED]),
        off or bool(admin & RENAMED),
        bool(agent & CHECK_ENABLED),
    )


def _lines(text: bytes) -> list[bytes]:
    """Version, header and rows. Raises ReadFailure for anything else."""
    lines = text.splitlines()
    if len(lines) < 2 or lines[0] != b"1" or not lines[1].startswith(STATE_HEADER):
        raise ReadFailure(Trouble.ERROR, "it has not the form of `show servers state`, version 1")
    return lines


def _each_row(text: bytes) -> Iterator[tuple[str, StateRow]]:
    """Every server in turn. Raises ReadFailure."""
    try:
        for line in _lines(text)[2:]:
            fields = line.split(b" ")
            if len(fields) > 1:
                yield f"{fields[KEY_BACKEND].decode()}/{fields[KEY_SERVER].decode()}", _row(fields)
    except (IndexError, ValueError) as error:
        raise ReadFailure(Trouble.ERROR, "it has a row that cannot be read") from error


def rows_in(text: bytes) -> dict[str, StateRow]:
    """The servers of a file that are not as configured, by `backend/server`. Raises ReadFailure."""
    return {key: row for key, row in _each_row(text) if not row.as_configured}


async def rows_now(dump: bytes, also: Container[str]) -> dict[str, StateRow]:
    """Those of `show servers state` that are not as configured, and those of `also`. Raises ReadFailure."""
    found: dict[str, StateRow] = {}
    for place, (key, row) in enumerate(_each_row(dump)):
        if not place % SOME_ROWS:
            await asyncio.sleep(0)
        if not row.as_configured or key in also:
            found[key] = row
    return found


def written(dump: bytes) -> bytes:
    """The content of the file for what `show servers state` answers. Raises ReadFailure."""
    lines = _lines(dump)
    made = lines[:2]
    try:
        for line in lines[2:]:
            fields = line.split(b" ")
            if len(fields) > 1 and not _row(fields).as_configured:
                made.append(b" ".join(NEUTRAL.get(place, field) for place, field in enumerate(fields)))
    except (IndexError, ValueError) as error:
        raise ReadFailure(Trouble.ERROR, "HAProxy's answer has a row that cannot be read") from error
    return b"\n".join(made) + b"\n"


def lost(now: Mapping[str, StateRow], kept: Mapping[str, StateRow]) -> dict[str, str]:
    """What a reload makes of the servers that it does not leave as they are: `drain`, `weight 30`, or both. An agent
    sets its server again by itself."""
    found: dict[str, str] = {}
    for key, row in now.items():
        then = row.after_reload(kept.get(key))
        if row.agent or then == row.now:
            continue
        (state, weight), (state_now, weight_now) = then, row.now
        parts = [state] if state != state_now else []
        found[key] = ", ".join([*parts, *([f"weight {weight}"] if weight != weight_now else [])])
    return found


def backends_in(dump: bytes) -> frozenset[str]:
    """The names of backends in `show servers state`."""
    rows = (line.split(b" ", 2) for line in dump.splitlines()[2:])
    return frozenset(fields[1].decode("utf-8", "replace") for fields in rows if len(fields) > 2)
