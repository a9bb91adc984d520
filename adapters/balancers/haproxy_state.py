"""HAProxy's server-state file: what is written into it, and what a reload would make of it.

`show servers state` is of now, and a reload comes later. Two parts of a row would then harm (both measured, ADR 75): a
server that was down is out again until its checks have passed, though it serves; and the port of a row goes before the
configured one. So only servers that are not as configured have a row, and no row says what a check said.

How rows are read: HAProxy configuration manual, `load-server-state-from-file`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from typing import NamedTuple

from adapters.balancers.haproxy_rows import STATE_HEADER, ConfiguredServer, StateRow, key_of, row_of
from state.errors import ReadFailure, Trouble

NEUTRAL: Mapping[int, bytes] = {5: b"2", 9: b"0", 10: b"1", 11: b"0", 12: b"0"}
"""Columns that tell of checks, and their values in a process that has just begun: running, just now, no check yet."""
FIELDS = 20
"""Columns that every row must have. Those behind them are TLS, and where checks and agents are asked: HAProxy believes
them before the configuration, and takes what is configured where they are not there."""
ADDRESS, FQDN, RECORD, NONE = 4, 17, 19, b"-"
"""Columns of an address, of the name that it was resolved from, and of its SRV record; and one that has no value."""
MOST = 64 << 20
"""Bytes of a state file."""
LONGEST = 1998
"""Bytes of a line, without its end: of a longer one HAProxy reads the beginning as a line of its own."""
FIRST = b"1\n"
BEGINS = FIRST + STATE_HEADER.split(b" srv_id")[0]
"""How every state file begins; what begins otherwise is somebody's other file."""
ROW = re.compile(
    rb"\d{1,10} [!-~]+ \d{1,10} [!-~]+ [!-~]+"  # ids, names, address
    rb" [0-3] \d{1,3} \d{1,3} \d{1,3} -?\d{1,18} (?:1?\d|20) [0-4] \d{1,9}"  # states, weights, what its check said
    rb" (?:[12]?\d|3[01]) (?:[12]?\d|3[01]) [01] [01] [-\w.]+ \d{1,5} [-\w.]+"  # check, agent, forced ids, names, port
    rb"( -?[01](?: \d{1,5} [!-~]+ [!-~]+ \d{1,5})?)?"  # TLS; other ports and addresses of check and agent
)
"""A row as HAProxy writes it. It reads some others too, takes a part of them, and by one drops the whole file
(`srv_state_parse_line` in its src/server_state.c): a file with another row is not understood here."""


class PresentRows(NamedTuple):
    """The servers of a process by `backend/server`: all of them, and those that are not as configured; and its
    backends."""

    rows: Mapping[str, StateRow]
    unlike: Mapping[str, StateRow]
    backends: frozenset[str]


def _fields(text: bytes) -> Iterator[tuple[list[bytes], StateRow]]:
    """Every row in turn. Raises ReadFailure."""
    lines = BytesIO(text)  # one after the other: a file of empty lines would be a list without end
    if lines.readline() != FIRST or not lines.readline().startswith(STATE_HEADER):
        raise ReadFailure(Trouble.ERROR, "it has not the form of `show servers state`, version 1")
    try:
        for line in lines:
            fields = line.rstrip(b"\n").split(b" ")
            if fields != [b""] and not fields[0].startswith(b"#"):
                yield fields, row_of(fields)
    except (IndexError, ValueError) as error:
        raise ReadFailure(Trouble.ERROR, "it has a row that cannot be read") from error


def rows_in(text: bytes) -> dict[str, StateRow]:
    """The servers of a file that are not as configured, by `backend/server`. Raises ReadFailure, also for a file of
    which HAProxy takes nothing: it drops all of one with a line that is cut off."""
    if not text.endswith(b"\n"):
        raise _dropped("its last line has no end")
    if any(len(line) > LONGEST + 1 for line in BytesIO(text)):
        raise _dropped(f"it has a line of more than {LONGEST} bytes")
    found: dict[str, StateRow] = {}
    for fields, row in _fields(text):
        if len(fields) < FIELDS:
            raise _dropped("it has a row that is too short")
        if not ROW.fullmatch(b" ".join(fields)):
            raise ReadFailure(Trouble.ERROR, "it has a row that HAProxy did not write")
        found.setdefault(_key(fields), row)  # of two rows HAProxy takes the first one
    return {key: row for key, row in found.items() if row.taken and not row.as_configured}


def _dropped(why: str) -> ReadFailure:
    return ReadFailure(Trouble.ERROR, f"{why}, so that HAProxy takes nothing of the file")


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
    """The content of the file for what `show servers state` answers. Raises ReadFailure.

    A server by a name is resolved again: HAProxy's default takes the address of a row before it asks (`init-addr`). Of
    several that share a name only their addresses tell which is which, so all of them have a row where one has. A row
    ends before TLS, and where checks and agents are asked.
    """
    every = list(_fields(dump))
    sharing = Counter(_shared(fields) for fields, _ in every)
    pinned = {_shared(fields) for fields, row in every if not row.as_configured and sharing[_shared(fields)] > 1}
    made = dump.split(b"\n")[:2]
    for fields, row in every:
        together = _shared(fields) in pinned and _shared(fields)[1] != NONE
        if together or not row.as_configured:
            again = {} if together or fields[FQDN] == NONE else {ADDRESS: NONE}
            made.append(
                b" ".join({**NEUTRAL, **again}.get(place, field) for place, field in enumerate(fields[:FIELDS]))
            )
    return b"\n".join(made) + b"\n"


def _shared(fields: list[bytes]) -> tuple[bytes, bytes]:
    """The backend, and the name that several servers of it may have their addresses from."""
    record = fields[RECORD] if len(fields) > RECORD else NONE
    return fields[1], fields[FQDN] if record == NONE else record


def lost(
    present: PresentRows, kept: Mapping[str, StateRow], configured: Mapping[str, ConfiguredServer | None]
) -> dict[str, str]:
    """What a reload makes of the servers that it does not leave as they are: `drain`, `weight 30`, or both; empty for
    one that it takes away; and `port 81` of one that it leaves there where another one is configured. An agent sets its
    server again by itself. `configured` is what the configuration on the disk has of servers; of one that is not there
    it is taken to be the same."""
    found = {key: "" for key, then in configured.items() if then is None}
    stale = {key: present.rows[key] for key in kept if key in present.rows}
    for key, row in {**present.unlike, **stale}.items():
        now_on = configured.get(key, row.begun)
        if now_on is None:
            continue
        (state, weight), (state_now, weight_now) = row.after_reload(kept.get(key), now_on), row.now
        parts = [state] if state != state_now and not row.agent else []
        parts += [f"weight {weight}"] if weight != weight_now and not row.agent else []
        held = kept[key].port if key in kept and now_on.port else now_on.port
        parts += [f"port {held}"] if held != now_on.port else []
        if parts:
            found[key] = ", ".join(parts)
    return found


def kept_whole(present: PresentRows, kept: Mapping[str, StateRow], missing: Collection[str]) -> frozenset[str]:
    """The backends of which a reload keeps everything that is set. Where an agent has the last word nothing is kept but
    what the file has."""
    sure = {key for key, row in present.unlike.items() if not row.agent or key in kept}
    return frozenset({key.partition("/")[0] for key in sure} - {key.partition("/")[0] for key in missing})
